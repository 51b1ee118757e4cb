# SPDX-License-Identifier: MIT
"""The fixture's JeOS by both engines: what must be equal is, and what is not is in a table.

diskimage-builder runs on stand-ins of sudo and of kpartx (tests/rig/bench/dib_files): this kernel may have no
device-mapper, and may mount no vfat, so the disk has no EFI partition.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from builder.places import KICKSTARTS
from builder.report import Report
from builder.runner import Runner
from tests.rig.bench import dib
from tests.rig.fixture.rpmpackage import Kind, RpmFile
from tests.support.imaging import ROOT, Look

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        os.geteuid() != 0, reason="needs root: diskimage-builder mounts, and makes loop devices"
    ),
]

INCLUDE = KICKSTARTS / "include"
DISK = """\
zerombr
clearpart --all --initlabel --disklabel=gpt
part biosboot --fstype=biosboot --size=1
part / --fstype=ext4 --label=root --size=2000
bootloader --location=mbr --timeout=1 --append="rw no_timer_check console=tty1 console=ttyS0,115200n8"
user --name=worker --uid=1234 --groups=wheel
%packages
# grub2-install, which grub2-tools of Fedora has.
grub2-common
%end
"""
# Names that only Fedora has, and elements of diskimage-builder ask for; one empty package provides them.
NAMES = (*dib.NAMES.read_text().split(), "grub2", "efibootmgr", "shim-x64", "dracut-config-generic")
# What elements need and the fixture has not: a grub2-mkconfig that ends well (the theme of Debian is in its
# way), a grubby, and a setfiles that labels where no /proc is mounted.
QUIRKS = {
    "post-install.d/60-quirks": """\
rm -f /etc/grub.d/05_debian_theme /etc/selinux/targeted/contexts/files/file_contexts
echo '#!/bin/sh' >/usr/local/sbin/grubby
chmod 755 /usr/local/sbin/grubby""",
    "finalise.d/98-quirks": "rm -f /usr/local/sbin/grubby",
}
# What differs, and why. Whatever else does is a mistake of one of the engines.
_COMMON = "the element redhat-common of every image of that family asks for it"
DIFFERENT_PACKAGES = {
    dib.STAND_IN: "in place of packages that only Fedora has",
    "lsof": _COMMON,
    "policycoreutils": _COMMON,
    "selinux-policy-targeted": _COMMON,
    "selinux-utils": _COMMON,
}
# Checks of `verify` that an image by diskimage-builder fails.
FAILED_CHECKS = {
    "fstab": "it mounts by label, not by UUID",
    "package-files": "its element yum-minimal removes /usr/share/doc of the packages that it installs first",
    "console-arguments": "only the menu has them: Debian's grub-mkconfig knows no --update-bls-cmdline",
    "selinux-settings": "the quirks take the policy away",
}
DIFFERENT_ARGUMENTS = {"ro": "GRUB's own script puts it before those of the kickstart, whose rw counts"}


@dataclass(frozen=True)
class Built:
    """A finished image: its folder, manifest, and a look into its root."""

    folder: Path
    manifest: dict[str, Any]
    look: Look

    @property
    def packages(self) -> set[str]:
        """Names of packages."""
        return {package["name"] for package in self.manifest["packages"]}

    def enabled(self) -> set[str]:
        """Return the names of the units that multi-user.target and its kin want."""
        found = set()
        for target in ("multi-user", "cloud-init", "sockets", "timers", "sysinit", "network-online"):
            listed = self.look.ask(f"ls -p /etc/systemd/system/{target}.target.wants")
            found |= {part[5] for line in listed.splitlines() if len(part := line.split("/")) > 6}
        return found - {".", ".."}

    def accounts(self) -> list[str]:
        """Return name, ids, home and shell of every account that people use."""
        rows = [row.split(":") for row in self.look.text("/etc/passwd").splitlines()]
        return [
            ":".join([*row[:1], *row[2:4], *row[5:]]) for row in rows if row[2] == "0" or int(row[2]) >= 1000
        ]

    def fstab(self) -> list[tuple[str, str, str, str]]:
        """Return mount point, kind, options without those that are the default, and the order of checks."""
        rows = [line.split() for line in self.look.text("/etc/fstab").splitlines() if line and line[0] != "#"]
        return [(row[1], row[2], row[3], row[5]) for row in rows]

    def arguments(self) -> set[str]:
        """Return the kernel's arguments but for the root, which each engine names in its own way."""
        words = self.manifest["settings"]["kernel_arguments"].split()
        return {word for word in words if not word.startswith("root=")}


@pytest.fixture(scope="module")
def built(runner: Runner, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Built]:
    """Build by both engines."""
    folder = tmp_path_factory.mktemp("engines")
    folder.chmod(0o755)
    text = (INCLUDE / "fixture.ks").read_text().replace("%include disk.ks", DISK)
    text = re.sub(r"(?m)^%include ", f"%include {INCLUDE}/", text.replace("\nopenstack-utils\n", "\n"))
    (folder / "jeos.ks").write_text(text)
    made = runner.run([sys.executable, "-m", "tests.rig.fixture", "build"], env={"PYTHONPATH": str(ROOT)})
    fixture = Path(made.stdout.strip())
    _write_names(folder / "names", fixture, runner)
    argv = [sys.executable, "-m", "builder", "image", str(folder / "jeos.ks"), "--target", "fixture-12"]
    argv += ["--repo", f"fixture={fixture}", "--add-repo", f"names={folder / 'names'}", "--no-gpgcheck"]
    for path, text in QUIRKS.items():
        script = folder / "elements/quirks" / path
        script.parent.mkdir(parents=True)
        script.write_text(f"#!/bin/sh\n{text}\n")
        script.chmod(0o755)
    found = {}
    for engine in ("direct", "dib"):
        out = folder / engine
        _build([*argv, "--engine", engine, "--out", str(out)], folder, by_dib=engine == "dib")
        manifest = json.loads((out / "jeos/jeos.manifest.json").read_text())
        raw = folder / f"{engine}.raw"
        runner.run(["qemu-img", "convert", "-O", "raw", out / "jeos/jeos.qcow2", raw])
        root = next(one for one in manifest["partitions"] if one["mountpoint"] == "/")
        found[engine] = Built(out / "jeos", manifest, Look(f"{raw}?offset={root['start']}"))
    return found


def _write_names(folder: Path, fixture: Path, runner: Runner) -> None:
    folder.mkdir()
    there = {path.name.rsplit("-", 2)[0] for path in fixture.glob("*.rpm")}
    # fedora-minimal moves the files of the release's packages away, and fails where there is none.
    source = RpmFile(path="/etc/yum.repos.d/names.repo", kind=Kind.FILE, data=b"")
    dib.write_stand_in(folder, [name for name in NAMES if name not in there], source)
    runner.run(["createrepo_c", "--quiet", folder])


def _build(argv: list[str], folder: Path, *, by_dib: bool) -> None:
    env = {name: os.environ[name] for name in ("PATH", "HOME", "XDG_CACHE_HOME") if name in os.environ}
    if by_dib:
        environment = dib.prepare(Report(quiet=True), Runner(Report(quiet=True)))
        env["PATH"] = f"{dib.HERE}/bin:{environment}/bin:{env['PATH']}:/usr/sbin:/sbin"
        env["BENCH_FOLDER"] = str(folder)
        env["ELEMENTS_PATH"] = str(folder / "elements")
        argv = [*argv, "--element", "quirks"]
        enter = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--propagation", "private"]
        argv = [*enter, str(dib.HERE / "enter"), *argv]
    done = subprocess.run(argv, cwd=ROOT, env=env, capture_output=True, text=True, timeout=1800, check=False)
    assert done.returncode == 0, done.stderr


def test_packages_are_the_same_but_for_those_in_the_table(built: dict[str, Built]) -> None:
    different = built["direct"].packages ^ built["dib"].packages

    assert different - set(DIFFERENT_PACKAGES) == set()


def test_accounts_services_and_kernel_arguments_are_the_same(built: dict[str, Built]) -> None:
    direct, other = built["direct"], built["dib"]

    assert direct.accounts() == other.accounts()
    assert direct.enabled() == other.enabled()
    assert (direct.arguments() ^ other.arguments()) - set(DIFFERENT_ARGUMENTS) == set()


def test_verify_finds_no_fault_but_those_in_the_table(built: dict[str, Built]) -> None:
    argv = [sys.executable, "-m", "builder", "verify", "--no-boot", "--json"]

    done = subprocess.run(
        [*argv, built["dib"].folder / "jeos.qcow2"], cwd=ROOT, capture_output=True, text=True, check=False
    )

    results = json.loads(done.stdout)["checks"]
    assert {one["check"] for one in results if one["state"] == "fail"} <= set(FAILED_CHECKS), done.stderr
    assert len(results) > len(FAILED_CHECKS)


def test_fstab_says_the_same(built: dict[str, Built]) -> None:
    assert built["direct"].fstab() == built["dib"].fstab()


def test_the_result_is_a_folder_with_manifest_and_checksums(built: dict[str, Built]) -> None:
    folder = built["dib"].folder

    names = {path.name for path in folder.iterdir()}
    checked = subprocess.run(["sha256sum", "--check", "SHA256SUMS"], cwd=folder, check=False)
    assert names == {path.name for path in built["direct"].folder.iterdir()}
    assert checked.returncode == 0
    assert built["dib"].manifest["partitions"][1]["uuid"]
