# SPDX-License-Identifier: MIT
"""The elements that diskimage-builder itself ships, in an image of the fixture distribution that we build.

They are data: read from an installed diskimage-builder (builder/requirements/dib.txt), never from this tree.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from builder.report import Report
from builder.runner import Runner
from tests.rig.bench import dib
from tests.rig.bench.image import write_kickstart
from tests.rig.fixture.rpmpackage import Dependency, RpmPackage, Sense
from tests.rig.fixture.rpmwriter import write_rpm
from tests.support.imaging import ROOT, Look

pytestmark = pytest.mark.slow

# What elements ask for and only Fedora has; one empty package provides them.
NAMES = ("NetworkManager-initscripts-updown", "biosdevname", "dhclient", "openssh")
KEY = "ssh-ed25519 AAAA somebody"
# Element -> (path in the image, what must be in it). `!`: what must not be in it, or that it is not there.
EFFECTS = {
    "growroot": ("/usr/local/sbin/growroot", "growpart"),
    "cloud-init-datasources": (
        "/etc/cloud/cloud.cfg.d/91-dib-cloud-init-datasources.cfg",
        "OpenStack, ConfigDrive, NoCloud, None",
    ),
    "cloud-init-disable-resizefs": ("/etc/cloud/cloud.cfg", "! - resizefs"),
    "cloud-init-growpart": ("/etc/cloud/cloud.cfg.d/55-growpart.cfg", "growpart:"),
    "dhcp-all-interfaces": ("/etc/NetworkManager/conf.d/00-main.conf", "!"),
    "enable-serial-console": ("/etc/udev/rules.d/99-serial-console.rules", "getty@"),
    "runtime-ssh-host-keys": ("/usr/local/sbin/runtime-ssh-host-keys.sh", "ssh-keygen"),
    "disable-nouveau": ("/etc/modprobe.d/disable-nouveau.conf", "blacklist nouveau"),
    "modprobe": ("/etc/modprobe.d/blacklist.conf", "blacklist floppy"),
    "journal-to-console": ("/etc/systemd/journald.conf.d/log-to-console.conf", "ForwardToConsole=true"),
    "stable-interface-names": ("/etc/udev/rules.d/80-net-name-slot.rules", "!"),
    "devuser": ("/home/devuser/.ssh/authorized_keys", KEY),
    "openssh-server": ("/etc/ssh/sshd_config", "!aes256-gcm@openssh.com"),
}
ENVIRONMENT = {
    "DIB_CLOUD_INIT_DATASOURCES": "Ec2, OpenStack, ConfigDrive, NoCloud",
    "DIB_CLOUD_INIT_GROWPART_DEVICES": "/",
    "DIB_MODPROBE_BLACKLIST": "floppy",
    "DIB_DEV_USER_PWDLESS_SUDO": "yes",
    # Hardened, a file of a package has other content, which `verify` would say.
    "DIB_OPENSSH_SERVER_HARDENING": "0",
}


@pytest.fixture(scope="module")
def image(runner: Runner, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the fixture's JeOS with all of them; return the folder of the image."""
    folder = tmp_path_factory.mktemp("shipped")
    folder.chmod(0o755)
    names = folder / "names"
    names.mkdir()
    provides = tuple(Dependency(name, Sense.EQUAL, "999") for name in NAMES)
    package = RpmPackage(name="names", version="1", release="1", summary="Names of Fedora", provides=provides)
    (names / package.file_name).write_bytes(write_rpm(package))
    runner.run(["createrepo_c", "--quiet", names])
    made = subprocess.run(
        [sys.executable, "-m", "tests.rig.fixture", "build"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    write_kickstart(folder / "jeos.ks")
    (folder / "id.pub").write_text(f"{KEY}\n")
    environment = dib.prepare(Report(quiet=True), runner)
    (elements,) = environment.glob("lib/python3*/site-packages/diskimage_builder/elements")
    argv = [sys.executable, "-m", "builder", "image", folder / "jeos.ks", "--target", "fixture-12"]
    argv += ["--repo", f"fixture={made.stdout.strip()}", "--add-repo", f"names={names}", "--no-gpgcheck"]
    argv += ["--out", folder / "out", "--element", ",".join(EFFECTS)]
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "XDG_CACHE_HOME") if name in os.environ}
    given = {"ELEMENTS_PATH": str(elements), "DIB_DEV_USER_AUTHORIZED_KEYS": str(folder / "id.pub")}
    done = subprocess.run(
        argv, cwd=ROOT, env={**kept, **given, **ENVIRONMENT},
        capture_output=True, text=True, timeout=900, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return folder / "out" / "jeos"


@pytest.fixture(scope="module")
def look(image: Path, runner: Runner) -> Look:
    """Return a look into its root file system."""
    raw = image.with_name("look.raw")
    runner.run(["qemu-img", "convert", "-O", "raw", image / "jeos.qcow2", raw])
    manifest = json.loads((image / "jeos.manifest.json").read_text())
    root = next(one for one in manifest["partitions"] if one["mountpoint"] == "/")
    return Look(f"{raw}?offset={root['start']}")


@pytest.mark.parametrize("element", EFFECTS)
def test_an_element_does_what_it_does_under_diskimage_builder(look: Look, element: str) -> None:
    path, text = EFFECTS[element]

    if text == "!":
        assert not look.exists(path)
    elif text.startswith("!"):
        assert text.removeprefix("!") not in look.text(path)
        assert look.exists(path)
    else:
        assert text in look.text(path)


def test_services_and_accounts_of_elements_are_there(look: Look) -> None:
    assert look.exists("/etc/systemd/system/multi-user.target.wants/growroot.service")
    assert look.exists("/etc/systemd/system/multi-user.target.wants/sshd.service")
    assert "devuser:x:" in look.text("/etc/passwd")
    assert look.owner("/home/devuser/.ssh/authorized_keys")[1:] == (1000, 1000)
    assert look.text("/etc/sudoers.d/devuser") == "devuser ALL=(ALL) NOPASSWD:ALL\n"


def test_the_image_passes_every_check_from_outside(image: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "builder", "verify", image / "jeos.qcow2", "--no-boot", "--json"],
        cwd=ROOT, capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip

    assert done.returncode == 0, done.stdout + done.stderr
