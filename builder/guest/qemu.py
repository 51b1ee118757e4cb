# SPDX-License-Identifier: MIT
"""The test machine: its command line (pure), its process, and QMP.

qemu runs in the work folder, so that every path on its command line is a plain name: no commas to
escape, and no Unix socket longer than the kernel takes. It runs in a room (`builder.room`): a guest
that takes qemu over finds its own disk there, and no network.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
import signal
import socket
import stat
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from builder import json_text
from builder.errors import BuildError
from builder.guest import metadata, port_relay
from builder.guest.acceleration import QEMU, Acceleration
from builder.guest.firmware import Firmware, FirmwareKind
from builder.room import run_apart, start_apart
from builder.runner import Process, ProcessTimeout, Runner

QMP = "qmp.sock"
LOG = "qemu.log"
OVERLAY = "overlay.qcow2"
SERIAL = "serial.log"
SSH = "ssh.sock"
# Of the guest's ssh, in the network of the room.
PORT = 2222
PYTHON = os.path.realpath(sys.executable)
PORT_RELAY = Path(port_relay.__file__).resolve()
# Bytes of what a guest, or qemu for it, may write.
LARGEST = {SERIAL: 64 << 20, LOG: 16 << 20, metadata.LOG: 16 << 20}
# Bytes of the host's disk that a guest, which writes into its overlay, leaves free.
LEAST_FREE = 512 << 20
# Of one answer of QMP in bytes, and of what comes before an answer.
LONGEST_ANSWER, MOST_EVENTS = 1 << 20, 1000
# Bytes of an empty overlay.
OVERLAY_ROOM = 64 << 20
# slirp's addresses when the metadata service must be inside the guest's network (guestfwd).
METADATA_NET = "net=169.254.0.0/16,host=169.254.169.253,dns=169.254.169.252,dhcpstart=169.254.10.15"


class DiskBus(StrEnum):
    """What the disk hangs on."""

    VIRTIO_BLK = "virtio-blk"
    VIRTIO_SCSI = "virtio-scsi"
    IDE = "ide"
    NVME = "nvme"


# i440fx has the PIIX IDE controller; q35 would give AHCI.
MACHINES = {DiskBus.IDE: "pc"}

DISK_DEVICES = {
    DiskBus.VIRTIO_BLK: ("virtio-blk-pci,drive=disk0,bootindex=1",),
    DiskBus.VIRTIO_SCSI: ("virtio-scsi-pci,id=scsi0", "scsi-hd,bus=scsi0.0,drive=disk0,bootindex=1"),
    DiskBus.IDE: ("ide-hd,bus=ide.0,drive=disk0,bootindex=1",),
    DiskBus.NVME: ("nvme,serial=verify,drive=disk0,bootindex=1",),
}


def machine_for(bus: DiskBus) -> str:
    """Return the machine type that has the bus."""
    return MACHINES.get(bus, "q35")


@dataclass(frozen=True, kw_only=True, slots=True)
class Machine:
    """Everything on qemu's command line, and the image below its overlay. Names are in the work folder."""

    acceleration: Acceleration
    firmware: Firmware
    mac: str
    image: Path | None = None
    variables: str | None = None
    disk_bus: DiskBus = DiskBus.VIRTIO_BLK
    memory: int = 1024
    processors: int = 2
    seed: str | None = None
    metadata_command: str | None = None
    smbios: str | None = None


def command_line(machine: Machine) -> list[str]:
    """Return qemu's argv for `machine`.

    The guest reaches nothing (`restrict=on`) but its DHCP server and the metadata service; PORT of the room
    is its port 22. Without IPv6: slirp would announce a name server that never answers.
    """
    argv = [QEMU, "-nodefaults", "-no-user-config", "-no-reboot", "-display", "none"]
    # The relay of the metadata service is a program that qemu starts, in a session of its own.
    starting = "" if machine.metadata_command else ",elevateprivileges=deny,spawn=deny"
    argv += ["-sandbox", f"on,obsolete=deny,resourcecontrol=deny{starting}"]
    # graphics=off makes SeaBIOS talk on the serial port: a disk that does not boot says so in the log.
    # Only code in system management mode may write the variables that hold the keys of Secure Boot.
    management = ",smm=on" if machine.firmware.secure else ""
    argv += ["-machine", f"{machine_for(machine.disk_bus)},graphics=off{management}"]
    argv += machine.acceleration.arguments
    argv += ["-smp", str(machine.processors), "-m", str(machine.memory), "-rtc", "base=utc"]
    argv += ["-serial", f"file:{SERIAL}", "-qmp", f"unix:{QMP},server=on,wait=off"]
    argv += _firmware_arguments(machine)
    # cache=unsafe: the overlay is thrown away, flushes would only cost.
    argv += ["-drive", f"if=none,id=disk0,format=qcow2,file={OVERLAY},cache=unsafe,discard=unmap"]
    for device in DISK_DEVICES[machine.disk_bus]:
        argv += ["-device", device]
    if machine.seed:
        argv += ["-drive", f"if=none,id=seed0,format=raw,readonly=on,file={machine.seed}"]
        argv += ["-device", "virtio-blk-pci,drive=seed0"]
    network = f"user,id=net0,restrict=on,ipv6=off,hostfwd=tcp:127.0.0.1:{PORT}-:22"
    if machine.metadata_command:
        command = machine.metadata_command.replace(",", ",,")
        network += f",{METADATA_NET},guestfwd=tcp:169.254.169.254:80-cmd:{command}"
    argv += ["-netdev", network]
    argv += ["-device", f"virtio-net-pci,netdev=net0,mac={machine.mac},romfile="]
    argv += ["-device", "virtio-rng-pci"]
    if machine.smbios:
        argv += ["-smbios", machine.smbios]
    return argv


def _firmware_arguments(machine: Machine) -> list[str]:
    firmware = machine.firmware
    if firmware.kind is FirmwareKind.BIOS:
        return []
    code = os.fspath(firmware.code or "").replace(",", ",,")
    flash = ["-drive", f"if=pflash,unit=0,format={firmware.code_format},readonly=on,file={code}"]
    if firmware.secure:
        flash += ["-global", "driver=cfi.pflash01,property=secure,value=on"]
    if machine.variables:
        flash += [
            "-drive",
            f"if=pflash,unit=1,format={firmware.variables_format},file={machine.variables}",
        ]
    return flash


class Guest:
    """A running machine."""

    def __init__(self, folder: Path, process: Process) -> None:
        self.folder = folder
        self.process = process
        self.started = time.monotonic()
        self.ended: str | None = None  # why we have ended it

    @property
    def seconds(self) -> float:
        """Seconds since power-on."""
        return time.monotonic() - self.started

    @property
    def is_running(self) -> bool:
        """Whether qemu is there."""
        return self.process.poll() is None

    def last_words(self) -> str:
        """Return what qemu itself said last, and how it ended, or why we have ended it."""
        if self.ended:
            return self.ended
        text = _tail(self.folder / LOG).decode(errors="replace").strip().splitlines()
        status = self.process.poll()
        # bubblewrap gives the number of a signal as a shell does.
        number = -status if status and status < 0 else (status or 0) - 128
        how = f"killed by {signal.Signals(number).name}" if number > 0 else f"status {status}"
        return f"qemu ended ({how})" + (f": {text[-1]}" if text else "")

    def power_down(self, limit: float) -> float | None:
        """Press the power button; return the seconds until the machine was off, None: it did not go."""
        begun = time.monotonic()
        self._qmp("system_powerdown")
        try:
            self.process.wait(timeout=limit)
        except ProcessTimeout:
            return None
        return time.monotonic() - begun

    def _qmp(self, command: str) -> None:
        """Run a QMP command (qemu's docs/interop/qmp-spec)."""
        try:
            with connected(self.folder, QMP, 30) as peer, peer.makefile("rw", encoding="utf-8") as stream:
                stream.readline(LONGEST_ANSWER)
                for name in ("qmp_capabilities", command):
                    stream.write(json.dumps({"execute": name}) + "\n")
                    stream.flush()
                    for _ in range(MOST_EVENTS):
                        line = stream.readline(LONGEST_ANSWER)
                        if not line or "return" in (reply := json_text.parse(line)):
                            break
                        if "error" in reply:
                            raise BuildError(f"qmp {name}: {reply['error']['desc']}")
        except (OSError, ValueError, TypeError, LookupError) as error:
            raise BuildError(f"qmp {command}: {error}") from error


def _tail(path: Path) -> bytes:
    """Return the last 4 KiB of a file in the guest's folder; nothing where qemu put something else there."""
    with contextlib.suppress(OSError):
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(descriptor, "rb") as file:
            file.seek(max(0, os.fstat(descriptor).st_size - 4096))
            return file.read(4096)
    return b""


@contextmanager
def running(runner: Runner, folder: Path, machine: Machine) -> Iterator[Guest]:
    """Run `machine` in `folder` while the body runs; whatever happens, no qemu is left."""
    for name in (QMP, SSH, LOG):
        (folder / name).unlink(missing_ok=True)
    relay = [PYTHON, "-I", "-S", os.fspath(PORT_RELAY), SSH, str(PORT)]
    serial = folder / SERIAL
    process = start_apart(
        runner,
        [*relay, *command_line(machine)],
        folder=folder,
        readable=_readable(machine),
        writable=[serial.resolve()] if serial.is_symlink() else [],
        devices=["/dev/kvm"] if machine.acceleration.name == "kvm" else [],
        log=folder / LOG,
    )
    guest = Guest(folder, process)
    ended = threading.Event()
    watcher = threading.Thread(target=_watch, args=(guest, ended), daemon=True)
    watcher.start()
    try:
        yield guest
    finally:
        ended.set()
        watcher.join()
        process.kill()
        process.wait()


def _watch(guest: Guest, ended: threading.Event) -> None:
    """End a guest that fills the host's disk: with its console, its requests, or what it writes at all."""
    while not guest.ended and not ended.wait(1.0):
        for name, most in LARGEST.items():
            with contextlib.suppress(FileNotFoundError):
                if (guest.folder / name).stat().st_size > most:
                    guest.ended = f"the guest was ended: it wrote more than {most >> 20} MiB to its {name}"
        if shutil.disk_usage(guest.folder).free < LEAST_FREE:
            guest.ended = f"the guest was ended: it left less than {LEAST_FREE >> 20} MiB of the host's disk"
    if guest.ended:
        guest.process.kill()


def _readable(machine: Machine) -> list[Path]:
    """Return what qemu and the relays that it needs read besides the host's programs."""
    images = [path.resolve() for path in (machine.image, machine.firmware.code) if path is not None]
    return [*relay_files(), metadata.RELAY, *images]


def relay_files() -> list[Path]:
    """Return what PYTHON needs in a room to run PORT_RELAY."""
    return [PORT_RELAY, *([] if sys.base_prefix.startswith("/usr") else [Path(sys.base_prefix)])]


@contextmanager
def connected(folder: Path, name: str, patience: float) -> Iterator[socket.socket]:
    """Connect to the socket `name` of a guest in `folder`, which may lie deeper than a Unix address is long.

    Args:
        patience: seconds for each call.
    """
    # What has the name is qemu's to choose: a link would lead to another socket of the host.
    descriptor = os.open(folder / name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        if not stat.S_ISSOCK(os.fstat(descriptor).st_mode):
            raise OSError(errno.ENOTSOCK, "not a socket", name)
        with socket.socket(socket.AF_UNIX) as peer:
            peer.settimeout(patience)
            peer.connect(f"/proc/self/fd/{descriptor}")
            yield peer
    finally:
        os.close(descriptor)


def make_overlay(runner: Runner, image: Path, image_format: str, overlay: Path, size: int) -> None:
    """Make a throw-away qcow2 of `size` bytes on top of `image`, which is only ever read."""
    base = ["-b", os.fspath(image.resolve()), "-F", image_format]
    argv = ["qemu-img", "create", "-q", "-f", "qcow2", *base, os.fspath(overlay), str(size)]
    run_apart(runner, argv, readable=[image.resolve()], writable=overlay.parent, room=OVERLAY_ROOM)
