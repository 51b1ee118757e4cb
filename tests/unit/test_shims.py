# SPDX-License-Identifier: MIT
"""The programs that answer scripts from the plan, under every shell that an image may have as /bin/sh."""

from __future__ import annotations

import shutil
import socket
import subprocess
from pathlib import Path

import pytest

from builder.image.disk import layout
from builder.image.isolation import shims
from builder.kickstart.plan import Disk, Partition

SHELLS = [shell for shell in (["bash", "--posix"], ["dash"], ["busybox", "sh"]) if shutil.which(shell[0])]
PLACED = layout.place(
    Disk(
        partitions=(
            Partition(mountpoint=None, fstype="biosboot", size=1),
            Partition(mountpoint="/boot", fstype="ext4", size=200, label="boot"),
            Partition(mountpoint="/", fstype="ext4", size=1000),
        )
    ),
    seed="s",
    content={},
)
ROOT, BOOT = PLACED.root.placed.uuid, PLACED.boot.placed.uuid

ANSWERS = {
    "findmnt -no UUID /": f"{ROOT}\n",
    "findmnt -n -o SOURCE /boot": "/dev/vda2\n",
    "findmnt -n -o SOURCE -T /boot/grub2": "/dev/vda2\n",
    "findmnt -n -o SOURCE,FSTYPE --target /usr/bin": "/dev/vda3 ext4\n",
    "findmnt -no SOURCE /mnt/sysimage/boot": "/dev/vda2\n",
    "grub2-probe --target=disk /boot/grub2": "/dev/vda\n",
    "grub2-probe --target=fs_uuid /boot": f"{BOOT}\n",
    "grub2-probe -t compatibility_hint /": "hd0,gpt3\n",
    "blkid -s UUID -o value /dev/sda3": f"{ROOT}\n",
    "blkid -L boot": "/dev/vda2\n",
    "lsblk -no PKNAME /dev/vda2": "vda\n",
    "lsblk -dno NAME": "vda\n",
    "lsblk -no SIZE /dev/vda2": "200M\n",
    "lsblk -dbno NAME,RM,SIZE": f"vda 0 {PLACED.size}\n",
    "mountpoint /boot": "/boot is a mountpoint\n",
    "blockdev --getsize64 /dev/vda2": f"{200 << 20}\n",
    "uname": "Linux\n",
    "uname -r": "6.1.0-9\n",
    "uname -mr -s": "Linux 6.1.0-9 x86_64\n",
    "uname --kernel-release": "6.1.0-9\n",
    "uname -a": f"Linux {socket.gethostname()} 6.1.0-9 #1 SMP x86_64 x86_64 x86_64 GNU/Linux\n",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the programs, which look there for what they know."""
    made = tmp_path_factory.mktemp("shims")
    shims.write_quiet(made)
    shims.write_answering(made, PLACED, disk="vda", kernel="6.1.0-9", machine="x86_64")
    for path in made.iterdir():
        path.write_text(path.read_text().replace("/run/openstack-builder/bin", str(made)))
    return made


@pytest.mark.parametrize("shell", SHELLS, ids=[shell[0] for shell in SHELLS])
@pytest.mark.parametrize("words", ANSWERS)
def test_program_answers_from_the_plan(folder: Path, shell: list[str], words: str) -> None:
    name, *arguments = words.split()

    done = subprocess.run([*shell, folder / name, *arguments], capture_output=True, text=True, check=False)

    assert (done.stdout, done.returncode) == (ANSWERS[words], 0), done.stderr


@pytest.mark.parametrize("shell", SHELLS, ids=[shell[0] for shell in SHELLS])
def test_program_without_an_effect_says_why_and_ends_well(folder: Path, shell: list[str]) -> None:
    for name, why in shims.NOT_NOW.items():
        done = subprocess.run([*shell, folder / name, "-x"], capture_output=True, text=True, check=False)

        assert (done.stdout, done.stderr, done.returncode) == ("", f"{name}: not now: {why}\n", 0)


@pytest.mark.parametrize("shell", SHELLS, ids=[shell[0] for shell in SHELLS])
@pytest.mark.parametrize("words", ["findmnt /usr", "mountpoint -q /usr", "blkid /dev/vda9"])
def test_program_says_no_as_its_original(folder: Path, shell: list[str], words: str) -> None:
    name, *arguments = words.split()

    assert subprocess.run([*shell, folder / name, *arguments], capture_output=True, check=False).returncode


def test_device_names_are_those_of_the_kernel() -> None:
    assert shims.partition_name("vda", 3) == "/dev/vda3"
    assert shims.partition_name("nvme0n1", 3) == "/dev/nvme0n1p3"
    assert shims.volume_name("vg-0", "root") == "/dev/mapper/vg--0-root"
