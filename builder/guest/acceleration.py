# SPDX-License-Identifier: MIT
"""How qemu runs guests on this host: KVM where a kernel really boots under it, else TCG.

A /dev/kvm that opens proves nothing (nested hosts without vmx or svm make a vCPU and then hang), so a
kernel is booted under it for some seconds. The answer is cached for this host, kernel and qemu.
"""

from __future__ import annotations

import json
import os
import platform
import time
from dataclasses import dataclass
from pathlib import Path

from builder import files, json_text
from builder.room import start_apart
from builder.runner import Runner

QEMU = "qemu-system-x86_64"
# Everything that qemu can emulate: EL 10 needs x86-64-v3. Leave single features out and programs that
# look at others instead die of them: without aes and pclmulqdq no dracut gets past its first mount.
EMULATED_CPU = "max"

PROBE_SECONDS = 15.0
# A kernel with no root to mount has come through all of its start when it says this.
PROBE_MARKS = (b"Unable to mount root fs", b"Kernel panic - not syncing", b"Run /init as init process")


@dataclass(frozen=True, kw_only=True, slots=True)
class Acceleration:
    """`kvm` or `tcg`, and why."""

    name: str
    reason: str

    @property
    def arguments(self) -> tuple[str, ...]:
        """qemu's options for it."""
        if self.name == "kvm":
            return ("-accel", "kvm", "-cpu", "host")
        return ("-accel", "tcg,thread=multi", "-cpu", EMULATED_CPU)

    @property
    def slowness(self) -> int:
        """How many times slower than hardware a guest may be before we call it stuck."""
        return 1 if self.name == "kvm" else 5


def find_acceleration(runner: Runner, folder: Path, kernel: Path | None) -> Acceleration:
    """Return how to run guests here, from the cache when host, kernel and qemu are the same.

    Args:
        folder: for the probe's serial log.
        kernel: a kernel to boot, the image's own for instance; None: the host's, when readable.
    """
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        missing = "is not there" if not os.path.exists("/dev/kvm") else "may not be opened"
        return Acceleration(name="tcg", reason=f"/dev/kvm {missing}")
    version = runner.run([QEMU, "--version"]).stdout.splitlines()[0]
    key = files.digest_of([version, platform.release(), platform.version(), _cpu()])
    cached = files.cache_folder("verify") / "acceleration.json"
    try:
        known = json_text.parse(cached.read_text(encoding="utf-8"))
        if known["key"] == key:
            return Acceleration(name=known["name"], reason=known["reason"])
    except (OSError, ValueError, KeyError, TypeError):
        pass
    kernel = kernel or _host_kernel()
    if kernel is None:
        return Acceleration(name="tcg", reason="no kernel to probe /dev/kvm with")
    found = _probe(runner, folder, kernel)
    answer = {"key": key, "name": found.name, "reason": found.reason}
    files.write_atomic(cached, json.dumps(answer, indent=1) + "\n")
    return found


def _probe(runner: Runner, folder: Path, kernel: Path) -> Acceleration:
    serial = folder / "kvm-probe.serial.log"
    serial.write_bytes(b"")
    log = folder / "kvm-probe.log"
    process = start_apart(
        runner,
        [
            QEMU, "-nodefaults", "-no-user-config", "-no-reboot", "-display", "none",
            "-machine", "q35", "-accel", "kvm", "-cpu", "host", "-smp", "2", "-m", "512",
            "-kernel", kernel.resolve(), "-append", "console=ttyS0 earlyprintk=ttyS0 panic=-1 root=/dev/none",
            "-serial", f"file:{serial.name}",
        ],
        folder=folder, readable=[kernel.resolve()], devices=["/dev/kvm"], log=log,
    )  # fmt: skip
    end = time.monotonic() + PROBE_SECONDS
    try:
        while time.monotonic() < end and process.poll() is None:
            if _has_mark(serial):
                break
            time.sleep(0.1)
    finally:
        process.kill()
        process.wait()
    if _has_mark(serial):
        return Acceleration(name="kvm", reason="a kernel booted under it")
    if time.monotonic() < end:
        said = log.read_text(errors="replace").strip().splitlines()
        return Acceleration(name="tcg", reason=f"qemu with KVM ended: {said[-1] if said else 'no reason'}")
    return Acceleration(
        name="tcg", reason=f"/dev/kvm opens, but no kernel booted under it within {PROBE_SECONDS:.0f} s"
    )


def _has_mark(serial: Path) -> bool:
    text = serial.read_bytes()
    return any(mark in text for mark in PROBE_MARKS)


def _host_kernel() -> Path | None:
    kernel = Path("/boot", f"vmlinuz-{platform.release()}")
    return kernel if os.access(kernel, os.R_OK) else None


def _cpu() -> list[str]:
    """The lines of /proc/cpuinfo in which kinds of hosts differ."""
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        return sorted({line for line in file if line.startswith(("model name", "flags"))})
