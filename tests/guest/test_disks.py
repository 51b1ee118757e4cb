# SPDX-License-Identifier: MIT
"""Disks as published cloud kickstarts have them: built, looked at from outside, booted, grown."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from builder import tools
from builder.files import sha256_file
from builder.report import Report
from tests.guest.conftest import OUT, ROOT, repository_options, run, verdict_of
from tests.rig.fixture.repository import build_repository
from tests.support.other_user import run_as_plain_user

pytestmark = pytest.mark.skipif(
    not (tools.has("mkfs.xfs") and tools.has("btrfs") and tools.has("parted")),
    reason="needs xfsprogs, btrfs-progs and parted",
)

SYSTEM = """\
lang C.UTF-8
%include {include}/guest.ks
%include {include}/cloud-init.ks
zerombr
bootloader --location=mbr --timeout=1 --append="rw no_timer_check console=tty1 console=ttyS0,115200n8"
services --enabled=sshd
{disk}
%packages --excludedocs --exclude-weakdeps --inst-langs=en
@core
kernel
grub2-pc-modules
grub2-efi-x64-modules
cloud-init
cloud-utils-growpart
zstd
xfsprogs
btrfs-progs
lvm2
%end
"""
DISKS = {
    # Fedora's cloud base.
    "fedora": """
clearpart --all --initlabel --disklabel=gpt
part prepboot --size=4 --fstype=prepboot
part biosboot --size=1 --fstype=biosboot
part /boot/efi --size=100 --fstype=efi
part /boot --size=400 --fstype=ext4 --label=boot
part btrfs.007 --size=1600 --fstype="btrfs" --fsoptions="compress=zstd:1"
btrfs none --label=fedora btrfs.007
btrfs /home --subvol --name=home LABEL=fedora
btrfs / --subvol --name=root LABEL=fedora
""",
    # AlmaLinux and Rocky Linux.
    "onpart": """
%pre --erroronfail
set -e
parted -s -a optimal /dev/sda -- mklabel gpt
parted -s -a optimal /dev/sda -- mkpart biosboot 1MiB 2MiB set 1 bios_grub on
parted -s -a optimal /dev/sda -- mkpart '"EFI System Partition"' fat32 2MiB 102MiB set 2 esp on
parted -s -a optimal /dev/sda -- mkpart boot xfs 102MiB 602MiB
parted -s -a optimal /dev/sda -- mkpart root xfs 602MiB 100%
%end
part biosboot --fstype=biosboot --onpart=sda1
part /boot/efi --fstype=efi --onpart=sda2
part /boot --fstype=xfs --onpart=sda3
part / --fstype=xfs --onpart=sda4 --mkfsoptions "-m bigtime=0,inobtcount=0"
""",
    # Guests of RHEL.
    "lvm": """
clearpart --all --initlabel --disklabel=gpt
reqpart
part /boot --fstype=xfs --size=500
part pv.01 --size=1800
volgroup guest pv.01
logvol swap --vgname=guest --name=swap --size=128
logvol / --vgname=guest --name=root --fstype=xfs --size=1024 --grow
""",
    "msdos": """
clearpart --all --initlabel --disklabel=msdos
part swap --size=128
part /boot/efi --size=64
part / --fstype=xfs --size=1600
""",
}
# A policy, and files whose labels no setfiles of the host's kernel would give by itself.
POLICY = """
selinux --permissive
%packages
selinux-policy-targeted
policycoreutils
%end
%post --erroronfail
mkdir -p /srv/site /home/later
echo page > /srv/site/page
ln -s page /srv/site/link
mkfifo /var/tmp/pipe
%end
"""


def build(disk: str, out: Path, folder: Path, *, name: str | None = None, packages: str = "") -> Path:
    """Build an image with a disk of `DISKS`, and with more `packages`; return its qcow2."""
    name = name or f"disk-{disk}"
    more = f"%packages\n{packages}%end\n" if packages else ""
    words = [*words_to_build(disk, folder / f"{name}.ks", more), "--out", str(out)]
    run(words)
    return out / name / f"{name}.qcow2"


def words_to_build(disk: str, kickstart: Path, more: str = "") -> list[str]:
    """Write the kickstart of an image with a disk of `DISKS`; return the command that builds it."""
    kickstart.write_text(SYSTEM.format(include=ROOT / "kickstarts/include", disk=DISKS[disk]) + more)
    size = ("--size", "2400M") if disk == "onpart" else ()
    return repository_options("image", kickstart, "--target", "fixture-12", *size)


def assert_same(image: Path, first: Path) -> None:
    """Hold an image to the bytes of another one, if all that decides the bytes was the same.

    Where it was not, nobody can expect the same bytes: code that was edited between two builds, say.
    """
    inputs = [
        json.loads(one.with_name(f"{one.stem}.manifest.json").read_text())["inputs"]["fingerprint"]
        for one in (image, first)
    ]
    assert inputs[0] == inputs[1], "plan, repositories or our code changed between the builds"
    assert sha256_file(image) == sha256_file(first)


def wrong(verdict: dict[str, Any]) -> list[str]:
    """Return what a verdict is not content with."""
    return [
        str(check) for check in verdict.get("checks", ()) if "fail" in str(check) or "not-done" in str(check)
    ]


@pytest.fixture(params=DISKS)
def image(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """An image with each disk, built in the folder that is kept between runs."""
    return build(request.param, OUT, tmp_path)


def test_the_image_is_sound_from_outside(image: Path) -> None:
    verdict = verdict_of(image, "--no-boot")

    assert verdict["status"] == 0, wrong(verdict) or verdict


@pytest.mark.slow
@pytest.mark.parametrize("name", DISKS)
def test_every_inode_has_the_label_of_the_images_policy(name: str, tmp_path: Path) -> None:
    run([*words_to_build(name, tmp_path / f"labels-{name}.ks", POLICY), "--out", str(OUT)])

    verdict = verdict_of(OUT / f"labels-{name}/labels-{name}.qcow2", "--no-boot")

    (labels,) = (check for check in verdict["checks"] if check["check"] == "labels-as-policy")
    assert labels["state"] == "pass", labels
    assert int(labels["reason"].split()[0]) > 5000, labels
    assert verdict["status"] == 0, wrong(verdict) or verdict


@pytest.mark.slow
@pytest.mark.parametrize("name", DISKS)
def test_another_build_gives_the_same_bytes(name: str, tmp_path: Path) -> None:
    first = build(name, OUT, tmp_path)

    assert_same(build(name, tmp_path / "again", tmp_path), first)


@pytest.mark.slow
@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="becomes another user, which needs root")
@pytest.mark.parametrize("name", DISKS)
def test_a_plain_user_builds_the_same_bytes(name: str, tmp_path: Path) -> None:
    first = build(name, OUT, tmp_path)
    words = " ".join([*words_to_build(name, tmp_path / f"disk-{name}.ks"), "--out", f"{tmp_path}/out"])
    # A plain user reads neither root's caches nor this checkout's out/.
    for folder in (build_repository(Report(quiet=True)).folder, OUT / "rpm/fixture-12/repo"):
        shutil.copytree(folder, tmp_path / folder.name)
        words = words.replace(str(folder), f"{tmp_path}/{folder.name}")

    done = run_as_plain_user(words.split(), tmp_path, environment={"PATH": os.environ["PATH"]})

    assert done.returncode == 0, done.stderr
    assert_same(tmp_path / f"out/disk-{name}/disk-{name}.qcow2", first)


@pytest.mark.slow
@pytest.mark.boot
@pytest.mark.parametrize("name", DISKS)
def test_the_image_boots_and_grows(name: str, tmp_path: Path) -> None:
    verdict = verdict_of(
        build(name, OUT, tmp_path), "--firmware", "bios,uefi", "--datasource", "nocloud", "--resize", "+1G"
    )

    assert verdict["status"] == 0, wrong(verdict) or verdict
