# SPDX-License-Identifier: MIT
"""Scripts find what an installed system gives them: the disk, terminals, programs of the boot menu."""

from __future__ import annotations

import pytest

from tests.rig.fixture.synthetic import KERNEL
from tests.support.imaging import Bench, kickstart

# Public kickstarts of AlmaLinux, Rocky Linux and Fedora do these; each line must hold.
ASKING = """\
test "$(grub2-probe --target=disk /boot/grub2)" = /dev/vda
test "$(grub2-probe --target=device /boot/grub2)" = /dev/vda3
test "$(grub2-probe -t partmap /boot)" = gpt
test "$(grub2-probe --target=fs_uuid /)" = "$(findmnt -no UUID /)"
test "$(grub2-probe --target=compatibility_hint --device /dev/sda3)" = hd0,gpt3
test "$(blkid -s UUID -o value /dev/vda3)" = "$(sed -n 's/^UUID=\\([^ ]*\\) *\\/ .*/\\1/p' /etc/fstab)"
test "$(blkid -o value -s TYPE /dev/sda2)" = vfat
test "$(blkid -U "$(blkid -s UUID -o value /dev/vda3)")" = /dev/vda3
blkid | grep -q '^/dev/vda3: .*TYPE="ext4"'
! blkid /dev/vda9
test "$(findmnt -n -o SOURCE /)" = /dev/vda3
test "$(findmnt -n -o SOURCE --target /usr/bin)" = /dev/vda3
test "$(findmnt -no TARGET -T /boot/efi/EFI)" = /boot/efi
! findmnt /usr
mountpoint -q /boot/efi && mountpoint -q / && ! mountpoint -q /boot
test "$(lsblk -no PKNAME /dev/vda3)" = vda
test "$(lsblk -dno NAME)" = vda
lsblk -f | grep -q 'vda3 ext4'
parted -s /dev/vda disk_set pmbr_boot off
parted -s /dev/sda print | grep -q 'Partition Table: gpt'
sfdisk --dump /dev/vda | grep -q '^/dev/vda3 : start='
test "$(blockdev --getsize64 /dev/vda)" -gt 100000000
partprobe && udevadm settle && udevadm trigger
efibootmgr -v && chvt 3 && dmesg && restorecon -R / && fstrim -av
logger -t test hello
openvt -c 3 -- sh -c 'echo started >/etc/started' && test "$(cat /etc/started)" = started
openvt -sw false && exit 1 || openvt -s false
test "$(uname -r)" = {kernel} && test "$(uname -m)" = x86_64 && ! uname -z
/usr/bin/grub2-mkconfig -o /etc/grub2.cfg
test "$(grubby --default-kernel)" = /boot/vmlinuz-{kernel}
"""

# How published kickstarts choose a disk in %pre. The host's disks are not among the answers.
CHOOSING = """\
[ -b /dev/vda ] && [[ -b "/dev/vda" ]] && test -b /dev/vda
[ ! -b /dev/nvme0n1 ]
test "$(lsblk -dno NAME)" = vda
test "$(lsblk -dpno NAME,SIZE,TYPE)" = "/dev/vda 3G disk"
test "$(lsblk -bdno SIZE)" = 3221225472
test "$(awk 'NR > 2 { print $4 }' /proc/partitions)" = vda
test "$(ls /sys/block)" = vda
test "$(cat /sys/block/vda/size)" = 6291456
test "$(cat /sys/class/block/vda/removable)" = 0
test "$(fdisk -l | grep -c '^Disk /dev/')" = 1
parted -s /dev/vda mklabel gpt mkpart root 1MiB 2GiB
test "$(lsblk -no NAME,SIZE,TYPE | tail -n 1)" = "vda1 2G part"
test "$(lsblk -no PKNAME /dev/vda1)" = vda
for disk in $(list-harddrives); do echo "$disk"; done | grep -q '^vda$'
"""

# The same by Python. A file is one still, and a copy of the disk's name is the disk.
CHOOSING_BY_PYTHON = """\
import os, stat, subprocess
from pathlib import Path
assert stat.S_ISBLK(os.stat("/dev/vda").st_mode) and Path("/dev/sda").is_block_device()
assert not Path("/dev/vda").is_file() and not os.path.isfile("/dev/vda")
assert not os.path.exists("/dev/vdb") and stat.S_ISCHR(os.stat("/dev/null").st_mode)
os.symlink("/dev/vda", "/tmp/disk")
assert Path("/tmp/disk").is_block_device() and not stat.S_ISBLK(os.lstat("/tmp/disk").st_mode)
Path("/tmp/file").write_text("text")
assert os.path.getsize("/tmp/file") == 4 and os.path.isfile("/tmp/file")
with open("/dev/vda", "r+b") as disk:
    assert stat.S_ISBLK(os.fstat(disk.fileno()).st_mode)
    assert disk.seek(0, os.SEEK_END) == 3 << 30
    assert os.stat(disk.fileno()).st_rdev == os.makedev(252, 0)
subprocess.run([*"parted -s /dev/vda mklabel gpt mkpart root 1MiB 2GiB".split()], check=True)
"""

TERMINAL = """\
exec < /dev/tty3 > /dev/tty3
chvt 3
echo said to a terminal
echo and to another >/dev/ttyS0
echo done >/etc/done
exec < /dev/tty1 > /dev/tty1
"""


# The shell of the synthetic image is busybox, which takes its own applets before any program in PATH.
APPLETS = """\
for name in blkid blockdev chvt dmesg fdisk findmnt fstrim logger lsblk mountpoint openvt partprobe; do
    eval "$name() { /run/openstack-builder/bin/$name \\"\\$@\\"; }"
done
"""


def script(body: str, options: str = "--erroronfail", more: str = "") -> str:
    """Return a kickstart with a %post, in an image that has a grub2-mkconfig of its own, which fails."""
    own = "mkdir -p /usr/bin\nprintf '#!/bin/sh\\nexit 1\\n' >/usr/bin/grub2-mkconfig\n"
    own += "chmod 755 /usr/bin/grub2-mkconfig\n"
    return kickstart(tail=f"%post\n{own}%end\n%post {options}\n{APPLETS}set -ex\n{body}\n%end\n{more}")


def test_programs_answer_as_on_the_planned_disk(bench: Bench) -> None:
    bench.build(script(ASKING.replace("{kernel}", KERNEL)))


def test_scripts_that_choose_a_disk_find_the_images_alone(bench: Bench) -> None:
    bench.build(kickstart(tail=f"%pre --erroronfail\nset -ex\n{CHOOSING}%end\n"), "--size", "3G")


def test_scripts_of_python_find_the_images_disk(bench: Bench) -> None:
    script = f"%pre --erroronfail --interpreter=/usr/bin/python3\n{CHOOSING_BY_PYTHON}%end\n"

    bench.build(kickstart(tail=script), "--size", "3G")


def test_they_answer_outside_the_chroot_too(bench: Bench) -> None:
    body = 'test "$(findmnt -n -o SOURCE /mnt/sysimage/boot/efi)" = /dev/vda2\nchvt 6\nlsblk /dev/vda'

    bench.build(script(body, "--nochroot --erroronfail"))


def test_program_that_is_asked_of_something_else_is_the_images_own(bench: Bench) -> None:
    body = "printf '#!/bin/sh\\necho real >/etc/real\\n' >/usr/sbin/sfdisk; chmod 755 /usr/sbin/sfdisk\n"

    bench.build(script(body + "sfdisk /srv/disk.img"))

    assert bench.look().text("/etc/real") == "real\n"


def test_a_script_that_moves_to_a_terminal_does_its_work_and_is_logged(bench: Bench) -> None:
    bench.build(script(TERMINAL))

    assert bench.look().text("/etc/done") == "done\n"
    log = (bench.out / "test.log").read_text()
    assert "said to a terminal" in log
    assert "and to another" in log


MENUS = {
    "grub2-mkconfig after sed": (
        'sed -i \'s/^GRUB_CMDLINE_LINUX=.*/GRUB_CMDLINE_LINUX="net.ifnames=0 quiet"/;'
        "s/^GRUB_TIMEOUT=.*/GRUB_TIMEOUT=7/' /etc/default/grub\n"
        "grub2-mkconfig -o /boot/grub2/grub.cfg",
        ["net.ifnames=0", "quiet"],
        ["console=ttyS0"],
        "set timeout=7",
    ),
    "grub2-mkconfig to stdout": (
        "echo 'GRUB_CMDLINE_LINUX=\"$GRUB_CMDLINE_LINUX audit=1\"' >>/etc/default/grub\n"
        "grub2-mkconfig >/boot/grub2/grub.cfg",
        ["console=ttyS0", "audit=1"],
        [],
        "set timeout=1",
    ),
    "the whole path": (
        "echo 'GRUB_CMDLINE_LINUX=\"audit=1\"' >>/etc/default/grub\n"
        "/usr/bin/grub2-mkconfig -o /boot/efi/EFI/fixture/grub.cfg",
        ["audit=1"],
        ["console=ttyS0"],
        "set timeout=1",
    ),
    "grubby": (
        "grubby --update-kernel=ALL --args='audit=1 mitigations=off' --remove-args=console\n"
        "grubby --update-kernel ALL --args mitigations=auto",
        ["audit=1", "mitigations=auto"],
        ["console=ttyS0", "mitigations=off"],
        "set timeout=1",
    ),
    "an edit without the program": (
        "echo 'GRUB_CMDLINE_LINUX=\"audit=1\"' >>/etc/default/grub",
        ["console=ttyS0"],
        ["audit=1"],
        "set timeout=1",
    ),
}


@pytest.mark.parametrize(("body", "there", "gone", "timeout"), MENUS.values(), ids=MENUS)
def test_what_is_changed_of_the_menu_is_in_menu_entries_and_later_kernels(
    bench: Bench, body: str, there: list[str], gone: list[str], timeout: str
) -> None:
    bench.build(script(body))

    look = bench.look()
    menu = look.text("/boot/grub2/grub.cfg")
    lines = [line for line in menu.splitlines() if line.strip().startswith("linux ")]
    entry = look.ask("ls -p /boot/loader/entries").split("/")
    name = next(word for word in entry if word.endswith(".conf"))
    lines.append(look.text(f"/boot/loader/entries/{name}"))
    lines.append(look.text("/etc/kernel/cmdline"))
    lines.append(bench.manifest()["settings"]["kernel_arguments"])
    for line in lines:
        assert set(there) <= set(line.split()), line
        assert not set(gone) & set(line.split()), line
    assert len(lines) > 3
    assert timeout in menu


BY_HAND = "sed -i 's/console=ttyS0/quiet a=1/; s/^set timeout=.*/set timeout=9/' /boot/grub2/grub.cfg\n"


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        pytest.param("", ["quiet", "a=1"], id="alone"),
        # A real grub2-mkconfig would write the file again, without it; what came after that would stay.
        pytest.param("grubby --update-kernel=ALL --args=b=2\n", ["b=2", "quiet", "a=1"], id="and a program"),
        pytest.param(
            f"cp /boot/vmlinuz-{KERNEL} /boot/vmlinuz-9.9\n"
            f"cp -r /usr/lib/modules/{KERNEL} /usr/lib/modules/9.9\n",
            ["quiet", "a=1"],
            id="and another kernel",
        ),
    ],
)
def test_an_edit_of_the_menu_by_hand_stays(bench: Bench, more: str, expected: list[str]) -> None:
    bench.build(script(BY_HAND + more))

    menu = bench.look().text("/boot/grub2/grub.cfg")
    lines = [line.split() for line in menu.splitlines() if line.strip().startswith("linux ")]
    assert len(lines) == (2 if "9.9" in more else 1)
    for line in lines:
        assert line[-len(expected) :] == expected
        assert "console=ttyS0" not in line
    assert "set timeout=9" in menu


def test_entries_of_40_custom_are_in_the_menu(bench: Bench) -> None:
    body = (
        "mkdir -p /etc/grub.d\nprintf '#!/bin/sh\\nexec tail -n +3 $0\\n# a comment\\n"
        "menuentry other {\\n  chainloader +1\\n}\\n' >/etc/grub.d/40_custom\n"
        "chmod 755 /etc/grub.d/40_custom\ngrub2-mkconfig -o /boot/grub2/grub.cfg"
    )

    bench.build(script(body))

    assert "menuentry other {\n  chainloader +1\n}\n" in bench.look().text("/boot/grub2/grub.cfg")


def test_script_that_ends_early_is_reported_again_at_the_end(bench: Bench) -> None:
    done = bench.build(kickstart(tail="%post\necho before\nfalse\n%end\n%post\nexit 3\n%end\n"))

    last = done.stderr.splitlines()[-2:]
    assert ["%post of " in line and "ended with status" in line for line in last] == [True, True]
    assert "status 3" in last[1]
