# SPDX-License-Identifier: MIT
"""Another kernel is installed in a guest, and the guest boots it: what the image left for that is right."""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from builder.files import cache_folder
from builder.formats import kernel_arguments
from builder.guest import ssh
from builder.guest.acceleration import find_acceleration
from builder.guest.firmware import FirmwareKind, copy_variables, find_firmware
from builder.guest.instance import Datasource, Instance, new_instance
from builder.guest.qemu import (
    OVERLAY,
    PORT_RELAY,
    PYTHON,
    SSH,
    DiskBus,
    Machine,
    machine_for,
    make_overlay,
    running,
)
from builder.guest.seed import write_seed
from builder.guest.ssh import Login
from builder.report import Report
from builder.runner import Runner
from tests.guest.conftest import OUT, run
from tests.guest.test_disks import words_to_build
from tests.rig.fixture.apt import Apt
from tests.rig.fixture.convert import Setting, convert
from tests.rig.fixture.deb import read_deb
from tests.rig.fixture.products import Workshop
from tests.rig.fixture.repository import build_repository
from tests.rig.fixture.rpmwriter import write_rpm
from tests.rig.fixture.rules import load_distribution

RUNNER = Runner(Report(quiet=True))
PATIENCE = 2400.0
CLOUD_KERNEL = re.compile(r"linux-image-(6\.1\.0-\d+-cloud-amd64)")
DISK = {
    "xfs on LVM": ("lvm", FirmwareKind.BIOS),
    "a subvolume of btrfs": ("fedora", FirmwareKind.UEFI),
    "xfs on a partition of %pre": ("onpart", FirmwareKind.UEFI),
    "xfs on msdos": ("msdos", FirmwareKind.BIOS),
}
# What a shell would take for its own. GRUB spoils ' and \\ (builder/formats/kernel_arguments.py).
ODD = ("site.list=b;c", "site.price=$5", 'site.text="two words; $HOME"', "site.marks=a&b|c<d>e{f}")
APPEND = f"rw no_timer_check console=tty1 console=ttyS0,115200n8 {' '.join(ODD)}"
MORE = f"""\
bootloader --location=mbr --timeout=1 --append='{APPEND}'
%packages
grub2-tools
%end
"""
# Fixture's kernel writes a boot entry; its GRUB reads none, so the menu is made again, as its users do.
UPDATE = """\
set -eu
rpm -i --oldpackage --nosignature /tmp/kernel.rpm
ln -sfn grub2 /boot/grub  # where Debian builds its GRUB to look
grub2-mkconfig -o /boot/grub2/grub.cfg 2>&1
entry=$(grep -o 'gnulinux-@KERNEL@-advanced-[0-9a-f-]*' /boot/grub2/grub.cfg | head -n 1)
grub2-editenv /boot/grub2/grubenv set "saved_entry=$entry"
sync
"""
SHOW = """\
uname -r
cat /proc/cmdline
sed -n 's/^options //p' "/boot/loader/entries/fixture-@KERNEL@.conf"
findmnt -nro FSTYPE,OPTIONS /
"""


def another_kernel(folder: Path) -> tuple[str, Path]:
    """Return (version, RPM) of a kernel of Debian's that is not the fixture's, as the fixture packages it."""
    distribution = load_distribution()
    own = {path.name for path in build_repository(Report(quiet=True)).folder.glob("kernel-core-*.rpm")}
    apt = Apt(runner=RUNNER, folder=cache_folder("fixture"), source=distribution.source)
    setting = Setting(
        distribution=distribution,
        guest_python="",
        workshop=Workshop(cache=apt.folder / "products", mtime=distribution.mtime),
    )
    lists = next((apt.folder).glob("apt-*/lists/*main*Packages*"))
    named = RUNNER.run(["/usr/lib/apt/apt-helper", "cat-file", lists]).stdout
    for version in sorted(set(re.findall(rf"(?m)^Package: {CLOUD_KERNEL.pattern}$", named))):
        seed = f"linux-image-{version}"
        source = next(one for one in apt.resolve([seed]) if one.name == seed)
        apt.fetch([source])
        package = convert(read_deb(apt.path_of(source)), setting)
        if package.file_name not in own:
            path = folder / "kernel.rpm"
            path.write_bytes(write_rpm(package))
            return version, path
    pytest.skip("Debian has one cloud kernel only today")


@contextmanager
def booted(image: Path, folder: Path, instance: Instance, kind: FirmwareKind) -> Iterator[Login]:
    """Boot the overlay of `image` in `folder`, and yield the login of its user when cloud-init has done."""
    firmware = find_firmware(kind, machine_for(DiskBus.VIRTIO_BLK))
    variables = copy_variables(firmware, folder)
    seed = write_seed(RUNNER, folder, Datasource.NOCLOUD, instance)
    machine = Machine(
        acceleration=find_acceleration(RUNNER, folder, None),
        firmware=firmware,
        variables=variables.name if variables else None,
        mac=instance.mac,
        image=image.resolve(),
        seed=seed.name if seed else None,
    )
    with running(RUNNER, folder, machine) as guest:
        login = Login(runner=RUNNER, folder=folder, user="ec2-user")
        while login.run("sudo cloud-init status --wait\n", timeout=PATIENCE).returncode == 255:
            assert guest.is_running, guest.last_words()
            assert guest.seconds < PATIENCE, (folder / "serial.log").read_text(errors="replace")[-2000:]
            time.sleep(2)
        yield login
        guest.power_down(120)


def as_root(login: Login, script: str) -> str:
    """Run `script` in the guest as root and return what it printed."""
    done = login.run(f"sudo sh -s <<'SCRIPT'\n{script}SCRIPT\n", timeout=PATIENCE)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def arguments(line: str) -> set[str]:
    """Return the words of a command line as the kernel takes them: quotes only keep blanks in."""
    return {word.replace('"', "") for word in kernel_arguments.split(line)}


def send(login: Login, file: Path, path: str) -> None:
    """Copy `file` to `path` in the guest."""
    proxy = f"ProxyCommand={PYTHON} -I -S {PORT_RELAY} {SSH}"
    words = ["ssh", "-F", "/dev/null", "-i", ssh.KEY, "-o", proxy, "-o", "StrictHostKeyChecking=no"]
    words += ["-o", "UserKnownHostsFile=/dev/null", "-l", login.user, "guest", f"cat >{path}"]
    with file.open("rb") as stream:
        subprocess.run(words, stdin=stream, cwd=login.folder, check=True)


@pytest.mark.slow
@pytest.mark.boot
@pytest.mark.parametrize(("disk", "firmware"), DISK.values(), ids=DISK)
def test_the_guest_boots_a_kernel_that_it_was_given(
    disk: str, firmware: FirmwareKind, tmp_path: Path
) -> None:
    version, package = another_kernel(tmp_path)
    name = f"kernel-{disk}"
    run([*words_to_build(disk, tmp_path / f"{name}.ks", MORE), "--out", str(OUT)])
    image = OUT / name / f"{name}.qcow2"
    folder = tmp_path / "guest"
    folder.mkdir()
    instance = new_instance(ssh.make_key(RUNNER, folder))
    make_overlay(RUNNER, image, "qcow2", folder / OVERLAY, 6 << 30)

    with booted(image, folder, instance, firmware) as login:
        before = arguments(as_root(login, "cat /proc/cmdline\n"))
        send(login, package, "/tmp/kernel.rpm")
        print(as_root(login, UPDATE.replace("@KERNEL@", version)))
    with booted(image, folder, instance, firmware) as login:
        running_now, line, entry, root = as_root(login, SHOW.replace("@KERNEL@", version)).splitlines()

    assert running_now == version
    assert arguments(" ".join(ODD)) <= before
    wanted = {word for word in before if not word.startswith("BOOT_IMAGE=")}
    # grub2-mkconfig names the root in its own way.
    assert {word for word in wanted if not word.startswith("root=")} <= arguments(line)
    assert arguments(entry) == wanted
    assert root.startswith("btrfs" if disk == "fedora" else "xfs")
