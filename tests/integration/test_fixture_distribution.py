# SPDX-License-Identifier: MIT
"""The fixture distribution itself, as rpm and dnf judge it. Downloads from Debian's mirror the first time."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest

from tests.rig.fixture.rules import DATA
from tests.support.comps import for_dnf

ROOT = Path(__file__).parents[2]
JEOS = (
    "@minimal-environment", "kernel", "cloud-init", "cloud-utils-growpart", "grub2-pc", "grub2-efi-x64",
    "gdisk", "dosfstools", "parted",
)  # fmt: skip
EXTRA = (
    "btrfs-progs", "chrony", "firewalld", "lvm2", "mariadb-server", "postgresql-server",
    "selinux-policy-targeted", "xfsprogs",
)  # fmt: skip

# dnf in namespaces of its own. $1 is the root; the user may be mapped to root.
INSTALL = """
root=$1; shift
mkdir -p "$root/proc" "$root/dev" "$root/run"
mount -t tmpfs dev "$root/dev" && ln -s /proc/self/fd "$root/dev/fd"
for name in null zero full random urandom; do
    : >"$root/dev/$name" && mount --bind "/dev/$name" "$root/dev/$name"
done
mount -t proc proc "$root/proc" && mount -t tmpfs run "$root/run"
exec dnf --installroot="$root" "$@"
"""

pytestmark = pytest.mark.skipif(
    not all(map(shutil.which, ("rpm", "dnf", "createrepo_c", "apt-get", "semodule"))),
    reason="rpm, dnf, createrepo_c, apt-get or semodule is not installed",
)


@pytest.fixture(scope="module")
def repository() -> Path:
    """The folder of the repository, in the user's own cache: other tests want it too."""
    argv = [sys.executable, "-m", "tests.rig.fixture", "build"]
    return Path(subprocess.run(argv, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True).stdout.strip())


def dnf(repository: Path, folder: Path, *words: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Run dnf on a root below `folder`, with gpgcheck."""
    home = folder / "home"
    home.mkdir(exist_ok=True)
    (home / ".rpmmacros").write_text("%_dbpath /usr/lib/sysimage/rpm\n%_netsharedpath /proc:/dev:/run\n")
    mapped = [] if os.geteuid() == 0 else ["--map-root-user"]
    argv = [
        "unshare", *mapped, "--mount", "--pid", "--fork", "sh", "-c", INSTALL, "dnf", str(folder / "root"),
        "--assumeyes", "--releasever=12", "--setopt=plugins=0", "--setopt=reposdir=/nonexistent",
        f"--setopt=cachedir={folder}/cache", f"--repofrompath=fixture,file://{repository}", "--repo=fixture",
        "--setopt=fixture.gpgcheck=1", f"--setopt=fixture.gpgkey=file://{repository}/RPM-GPG-KEY-fixture",
    ]  # fmt: skip
    return subprocess.run(
        [*argv, *for_dnf(words, DATA / "comps.xml")],
        env=os.environ | {"HOME": str(home), "LC_ALL": "C.UTF-8", **env},
        capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_rpm_is_content_with_every_package(repository: Path, tmp_path: Path) -> None:
    database = ["--define", f"_dbpath {tmp_path}/keys"]
    subprocess.run(["rpmkeys", *database, "--import", repository / "RPM-GPG-KEY-fixture"], check=True)
    rpms = sorted(repository.glob("*.rpm"))

    done = subprocess.run(["rpmkeys", *database, "-K", *rpms], capture_output=True, text=True, check=False)

    assert [line for line in done.stdout.splitlines() if not line.endswith(": digests signatures OK")] == []
    assert len(done.stdout.splitlines()) == len(rpms) > 280


def test_every_package_can_be_installed_with_the_others(repository: Path, tmp_path: Path) -> None:
    done = dnf(repository, tmp_path, "--setopt=tsflags=test", "install", *JEOS, *EXTRA)

    assert done.returncode == 0, done.stdout + done.stderr
    assert "conflict" not in done.stdout + done.stderr


def test_what_a_shell_needs_runs_no_scriptlet(repository: Path) -> None:
    # Else there is a loop, which one rpm breaks here and another there: a scriptlet before its interpreter.
    form = (
        "[%{=NAME}\\tneeds\\t%{REQUIRENAME}\\n][%{=NAME}\\thas\\t%{PROVIDENAME}\\n]"
        "[%{=NAME}\\thas\\t%{FILENAMES}\\n]%{NAME}\\truns\\t%{PREINPROG} %{POSTINPROG}\\n"
    )
    argv = ["rpm", "-qp", "--nosignature", "--qf", form, *repository.glob("*.rpm")]
    shown = subprocess.run(argv, capture_output=True, text=True, check=True).stdout
    providers: defaultdict[str, set[str]] = defaultdict(set)
    needs: defaultdict[str, set[str]] = defaultdict(set)
    runs = {}
    for line in shown.splitlines():
        package, kind, what = line.split("\t")
        if kind == "has":
            providers[what].add(package)
        elif kind == "needs":
            needs[package].add(what)
        else:
            runs[package] = what

    found: set[str] = set()
    left = set(providers["/bin/sh"])
    while left:
        package = left.pop()
        found.add(package)
        left |= {one for what in needs[package] for one in providers[what]} - found

    assert {"bash", "filesystem", "glibc", "setup"} <= found
    assert {package: runs[package] for package in found if runs[package] != "(none) (none)"} == {}
    assert "/bin/sh" in runs["systemd"]


@pytest.mark.slow
@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
@pytest.mark.parametrize("bypass", ["environment", "mask", "no"])
def test_jeos_installs_without_a_word_from_a_scriptlet(repository: Path, tmp_path: Path, bypass: str) -> None:
    root = tmp_path / "root"
    if bypass == "mask":
        (root / "etc/kernel/install.d").mkdir(parents=True)
        (root / "etc/kernel/install.d/50-dracut.install").symlink_to("/dev/null")
    env = {"KERNEL_INSTALL_BYPASS": "1"} if bypass == "environment" else {}

    done = dnf(repository, tmp_path, "install", *JEOS, **env)

    assert done.returncode == 0, done.stdout + done.stderr
    said = [line for line in (done.stdout + done.stderr).splitlines() if "warning" in line or "rror" in line]
    assert [line for line in said if "libgpg-error" not in line] == []
    (kernel,) = (path.name for path in (root / "usr/lib/modules").iterdir())
    assert (root / f"boot/vmlinuz-{kernel}").exists()
    assert (root / f"boot/loader/entries/fixture-{kernel}.conf").exists()
    assert (root / f"boot/initramfs-{kernel}.img").exists() == (bypass == "no")
    verified = subprocess.run(
        ["rpm", "--root", root, "--define", "_dbpath /usr/lib/sysimage/rpm", "-Va"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert verified.stdout == ""
