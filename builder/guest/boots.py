# SPDX-License-Identifier: MIT
"""One boot: a throw-away overlay, a seed or a metadata service, qemu, the login, facts, the power button."""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from builder.errors import BuildError
from builder.guest import metadata, ssh
from builder.guest.acceleration import Acceleration
from builder.guest.facts import Fact, FactScript, make_script, parse_facts
from builder.guest.firmware import copy_variables, find_firmware
from builder.guest.instance import Instance, new_instance, smbios
from builder.guest.qemu import (
    OVERLAY,
    SERIAL,
    Guest,
    Machine,
    machine_for,
    make_overlay,
    running,
)
from builder.guest.record import BootPlan, BootRecord
from builder.guest.seed import write_seed
from builder.guest.ssh import Login
from builder.manifest import ImageManifest
from builder.report import Step
from builder.runner import Completed, Runner, SaysTooMuch

SHUTDOWN_SECONDS = 30.0
KEPT_LOGS = 40

# What a machine says on its serial port when nothing more will come.
DEAD_ENDS = re.compile(
    rb"No bootable device|BdsDxe: No bootable option|Shell> |grub rescue>|Kernel panic - not syncing"
    rb"|bad shim signature|Security Violation|You are in emergency mode"
    rb"|Entering emergency mode|Press Enter for maintenance"
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Bench:
    """What all boots of a run share."""

    runner: Runner
    work: Path
    logs: Path
    image: Path
    image_format: str
    disk_size: int
    user: str
    acceleration: Acceleration
    timeout: float
    manifest: ImageManifest | None = None
    scripted_cloud_config: Mapping[str, Any] = field(default_factory=dict)
    memory: int = 1024


def run_boot(bench: Bench, plan: BootPlan, number: int, *, costly: bool) -> Iterator[BootRecord]:
    """Boot `plan` (twice where it says so) and yield what was seen of each boot.

    Args:
        number: of the boot in this run; names its folder.
        costly: take the facts that need to be taken once a run only.
    """
    folder = bench.work / f"boot{number}"
    folder.mkdir()
    public_key = ssh.make_key(bench.runner, folder)
    instance = new_instance(public_key)
    make_overlay(bench.runner, bench.image, bench.image_format, folder / OVERLAY, bench.disk_size)
    firmware = find_firmware(plan.firmware, machine_for(plan.disk_bus), secure=plan.secure)
    variables = copy_variables(firmware, folder)
    seed = write_seed(bench.runner, folder, plan.datasource, instance)
    is_network = plan.datasource.is_network
    for again in (False, True) if plan.again else (False,):
        machine = Machine(
            acceleration=bench.acceleration,
            firmware=firmware,
            variables=variables.name if variables else None,
            mac=instance.mac,
            image=bench.image.resolve(),
            disk_bus=plan.disk_bus,
            memory=bench.memory,
            seed=seed.name if seed else None,
            metadata_command=metadata.relay_command() if is_network else None,
            smbios=smbios(instance, plan.datasource),
        )
        label = f"{plan.label} again" if again else plan.label
        serial_log = _new_log(bench, folder, label)
        service = metadata.serve(folder, instance, plan.datasource) if is_network else nullcontext()
        with _step(bench, label) as step, service:
            with running(bench.runner, folder, machine) as guest:
                record = _watch(bench, plan, guest, instance, step, label, serial_log, costly and not again)
            step.detail = _detail(record)
        yield record
        if record.failure:
            return


@contextmanager
def _step(bench: Bench, label: str) -> Iterator[Step]:
    with bench.runner.report.step("boot", label) as step:
        yield step


def _detail(record: BootRecord) -> str:
    if record.login_seconds is None:
        return f"{record.label}  no login: {record.failure}"
    off = f", off after {record.shutdown_seconds:.1f}s" if record.shutdown_seconds is not None else ""
    return f"{record.label}  login after {record.login_seconds:.1f}s{off}"


def _new_log(bench: Bench, folder: Path, label: str) -> Path:
    """Make the serial log where it outlives the run; qemu reaches it by a link in its folder."""
    # Another run of the same image may go on at the same time.
    name = f"{bench.image.stem}-{label.replace(' ', '-')}-{time.strftime('%m%d-%H%M%S')}-{os.getpid()}"
    path = bench.logs / f"{name}.serial.log"
    path.write_bytes(b"")
    link = folder / SERIAL
    link.unlink(missing_ok=True)
    link.symlink_to(path.resolve())
    return path


def remove_old_logs(folder: Path) -> None:
    """Remove all but the newest serial logs, none of the last hour: a run may still write it."""
    logs = sorted(folder.glob("*.serial.log"), key=lambda path: path.stat().st_mtime, reverse=True)
    for path in logs[KEPT_LOGS:]:
        if path.stat().st_mtime < time.time() - 3600:
            path.unlink(missing_ok=True)


def _watch(
    bench: Bench,
    plan: BootPlan,
    guest: Guest,
    instance: Instance,
    step: Step,
    label: str,
    serial_log: Path,
    costly: bool,
) -> BootRecord:
    """Wait for the login, ask the guest everything, turn it off."""
    login = Login(runner=bench.runner, folder=guest.folder, user=bench.user)
    failure = _wait_for_login(bench, guest, login, step, serial_log)
    seconds = None if failure else guest.seconds
    facts: dict[str, Fact] = {}
    root_login: Completed | None = None
    silence: str | None = None
    shutdown = None
    limit = SHUTDOWN_SECONDS * bench.acceleration.slowness
    if not failure:
        step.progress(f"{label}  login after {seconds:.1f}s, asking the guest")
        facts, silence = ask(login, make_script(wait=bench.timeout / 2, costly=costly), bench.timeout)
        try:
            root_login = login.run("id\n", timeout=60.0 * bench.acceleration.slowness, user="root")
        except SaysTooMuch as error:
            # Only who is in can say so much.
            root_login = Completed(returncode=0, stdout="", stderr=error.message)
        step.progress(f"{label}  turning it off")
        shutdown = guest.power_down(limit) if guest.is_running else None
    return BootRecord(
        plan=plan,
        label=label,
        instance=instance,
        user=bench.user,
        acceleration=bench.acceleration,
        disk_size=bench.disk_size,
        manifest=bench.manifest,
        scripted_cloud_config=bench.scripted_cloud_config,
        serial=serial_log.read_text(encoding="utf-8", errors="replace").replace("\r", ""),
        serial_log=serial_log,
        login_seconds=seconds,
        login_limit=bench.timeout,
        shutdown_seconds=shutdown,
        shutdown_limit=limit,
        failure=failure,
        silence=silence,
        root_login=root_login,
        facts=facts,
        was_asked_all=costly,
        is_second=label.endswith(" again"),
    )


def ask(
    login: Login, script: FactScript, patience: float, *, pause: float = 2.0
) -> tuple[dict[str, Fact], str | None]:
    """Run `script` in the guest; return its facts, and ssh's words where there were none.

    A first login proves little: cloud-init starts sshd anew when it has made its keys, and a connection in
    that second is refused. So it is tried again for `patience` seconds.
    """
    end = time.monotonic() + patience
    while True:
        try:
            done = login.run(script.text, timeout=patience * 2)
        except SaysTooMuch as error:
            return {}, f"the guest reported nothing: {error.message}"
        facts = parse_facts(script.mark, done.stdout)
        if facts or time.monotonic() > end:
            break
        time.sleep(pause)
    if facts:
        return facts, None
    said = (done.stderr.strip().splitlines() or [f"ssh ended with status {done.returncode}"])[-1]
    return facts, f"the guest reported nothing: {said}"


def _wait_for_login(bench: Bench, guest: Guest, login: Login, step: Step, serial_log: Path) -> str | None:
    """Return None when the user is in, else why there was no login."""
    said = ""
    while guest.seconds < bench.timeout:
        if not guest.is_running:
            tail = _read_tail(serial_log, 4096)
            if b"reboot: Restarting system" in tail:
                return "the guest started itself again"
            if b"reboot: Power down" in tail:
                return "the guest turned itself off"
            return guest.last_words()
        tail = _read_tail(serial_log, 16384)
        if dead := DEAD_ENDS.search(tail):
            return f"the console says `{dead.group().decode().strip()}`"
        if ssh.has_banner(guest.folder):
            try:
                done = login.run("exit 0\n", timeout=max(30.0, bench.timeout - guest.seconds))
            except SaysTooMuch as error:
                return error.message
            if done.returncode == 0:
                return None
            said = (done.stderr.strip().splitlines() or ["ssh gave no reason"])[-1]
        step.progress(f"{guest.seconds:.0f}s  {_last_line(tail)}")
        time.sleep(0.5)
    return f"no login within {bench.timeout:.0f} s" + (f": {said}" if said else ", no ssh server answered")


def _read_tail(path: Path, count: int) -> bytes:
    """Return the last `count` bytes: a guest may have written much."""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - count))
        return file.read(count)


def _last_line(tail: bytes) -> str:
    text = re.sub(rb"\x1b\[[0-9;?]*[A-Za-z]", b"", tail).decode(errors="replace")
    lines = [line for line in text.replace("\r", "\n").split("\n") if line.strip()]
    return lines[-1].strip()[:100] if lines else ""


def serial_tail(record: BootRecord, count: int = 25) -> list[str]:
    """Return the last lines of the serial log, without control codes."""
    text = re.sub(r"\x1b\[[0-9;?=]*[A-Za-z]|\x1b[c\]()][0-9A-Za-z]?", "", record.serial)
    return [line.rstrip() for line in text.split("\n") if line.strip()][-count:]


def check_space(bench: Bench) -> None:
    """Refuse to begin where the overlay could not grow.

    Raises:
        BuildError: less than 1 GiB is free.
    """
    free = shutil.disk_usage(bench.work).free
    if free < 1 << 30:
        raise BuildError(
            f"{bench.work}: {free >> 20} MiB are free, a boot needs 1024 MiB",
            hint="free some space, or set XDG_CACHE_HOME to another file system",
        )
