# SPDX-License-Identifier: MIT
"""Verify an image: the checks from outside, the boots with the checks from inside, those over all boots."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

from builder import files, tools
from builder.errors import BuildError, CommandFailed, InputError
from builder.formats.diskimage import FORMATS, UNPACK
from builder.guest import boots
from builder.guest.acceleration import Acceleration, find_acceleration
from builder.guest.boots import Bench
from builder.guest.checks import across, booted, content, disk, identity, labels, signatures
from builder.guest.evidence import ImageEvidence
from builder.guest.firmware import FirmwareKind, find_firmware
from builder.guest.instance import Datasource
from builder.guest.outcome import (
    NO_SENSE,
    CannotCheck,
    Check,
    CheckResult,
    CheckState,
    leave_undone,
    run_checks,
)
from builder.guest.patience import Patience
from builder.guest.qemu import DiskBus, machine_for
from builder.guest.record import BootPlan, BootRecord, plan_boots
from builder.guest.seed import ISO_WRITER
from builder.manifest import ImageManifest
from builder.runner import Runner

Seen = TypeVar("Seen")

OUTSIDE = (*disk.CHECKS, *identity.CHECKS, *content.CHECKS, *labels.CHECKS, *signatures.CHECKS)
INSIDE = booted.CHECKS
ACROSS = across.CHECKS

# What qemu gets as it is; the disk of another format is unpacked, in a room of its own.
BOOTED = ("qcow2", "raw")
# From power-on to login; an emulated guest took 80 s on an idle host and 450 s on a very busy one.
LOGIN_SECONDS = {"kvm": 120.0, "tcg": 900.0}
TOOLS = ("bwrap", "qemu-img", "blkid", "e2fsck", "debugfs", "fsck.vfat", "mcopy", "rpm", "rpmdb")
DATASOURCES = (Datasource.NOCLOUD, Datasource.OPENSTACK)
BOOT_TOOLS = ("qemu-system-x86_64", "ssh", "ssh-keygen")


@dataclass(frozen=True, kw_only=True, slots=True)
class VerifyOptions:
    """What the user asked for; None: take it from the manifest, or the default."""

    firmware: tuple[FirmwareKind, ...] | None = None
    datasources: tuple[Datasource, ...] | None = None
    buses: tuple[DiskBus, ...] = (DiskBus.VIRTIO_BLK,)
    secure_boot: bool = False
    grow: int = 0  # bytes added to the disk
    user: str | None = None
    checks: tuple[str, ...] | None = None
    boot: bool = True
    second_boot: bool = False
    timeout: float | None = None
    memory: int = 1024
    keep: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class ImageVerdict:
    """Everything that came out."""

    image: Path
    sha256: str
    results: tuple[CheckResult, ...]
    boots: tuple[BootRecord, ...]
    acceleration: Acceleration | None

    @property
    def is_good(self) -> bool:
        """Whether no check failed and none was left undone."""
        return all(result.is_good for result in self.results)

    def as_json(self) -> dict[str, Any]:
        """Return the verdict as plain data (format 1)."""
        counts = Counter(result.state for result in self.results)
        return {
            "format": 1,
            "image": str(self.image),
            "sha256": self.sha256,
            "verdict": "pass" if self.is_good else "fail",
            "counts": {state.value: counts[state] for state in CheckState},
            "acceleration": asdict(self.acceleration) if self.acceleration else None,
            "boots": [_boot_json(record) for record in self.boots],
            "checks": [asdict(result) for result in self.results],
        }


def _boot_json(record: BootRecord) -> dict[str, Any]:
    return {
        "label": record.label,
        "firmware": record.plan.firmware.value,
        "secure_boot": record.plan.secure,
        "datasource": record.plan.datasource.value,
        "disk_bus": record.plan.disk_bus.value,
        "disk_size": record.disk_size,
        "login_seconds": _rounded(record.login_seconds),
        "shutdown_seconds": _rounded(record.shutdown_seconds),
        "failure": record.failure,
        "serial_log": str(record.serial_log),
    }


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 1)


def check_ids() -> tuple[str, ...]:
    """Return the names of all checks, in their order."""
    return (*_ids(OUTSIDE), *_ids(INSIDE), *_ids(ACROSS))


def _ids(checks: Sequence[Check[Any]]) -> tuple[str, ...]:
    return tuple(check.id for check in checks)


def verify(
    runner: Runner, image: Path, manifest: ImageManifest | None, options: VerifyOptions
) -> ImageVerdict:
    """Verify `image`; it is only ever read.

    Raises:
        InputError: it is not an image that can be read, or not one of a firmware that was asked for.
        ToolMissing: a program or a firmware is not installed.
    """
    plans = _plan(manifest, options)
    _check_firmware(image, manifest, plans)
    _check_tools(plans)
    cache = files.cache_folder("verify")
    with files.work_folder(cache, "verify", keep=options.keep) as work:
        if options.keep:
            runner.report.note(f"work folder: {work.with_name(work.name.removeprefix(files.WORK_PREFIX))}")
        evidence = ImageEvidence(runner, image, manifest, work, secure_boot=options.secure_boot)
        if evidence.header.format not in FORMATS:
            found = evidence.header.format
            unpack = f"{UNPACK[found]} {image}" if found in UNPACK else None
            raise InputError(f"{image}: its format is {found}, not {', '.join(FORMATS)}", hint=unpack)
        if plans:
            evidence.header.require_disk(image)
        chosen = set(options.checks if options.checks is not None else check_ids())
        outside = [check for check in OUTSIDE if check.id in chosen]
        with runner.report.step("inspect", image.name) as step:
            results = list(run_checks(outside, evidence, look=Patience().look))
            good = sum(result.is_good for result in results)
            step.detail = f"{image.name}  {good} of {len(results)} checks good"
        for name in _seen(lambda: evidence.unknown_datasources) or ():
            runner.report.warn(
                f"{image.name}: datasource_list names {name}, which the image's cloud-init does not know "
                "(and ignores)"
            )
        if plans and options.datasources is None:
            plans = _plan(manifest, options, sources_to_boot(_scripted_cloud_config(evidence)))
            _check_tools(plans)
        records: list[BootRecord] = []
        acceleration = None
        if plans:
            if evidence.is_standalone:
                acceleration = _find_acceleration(evidence)
                bench = _bench(evidence, manifest, options, acceleration)
                records = _boot_all(bench, plans)
            results += _judge_boots(plans, records, chosen)
        return ImageVerdict(
            image=image,
            sha256=files.sha256_file(image),
            results=tuple(results),
            boots=tuple(records),
            acceleration=acceleration,
        )


def sources_to_boot(scripted: Mapping[str, Any]) -> tuple[Datasource, ...]:
    """Return where a boot offers its metadata: there, of what is usual, where the image looks for them.

    Args:
        scripted: cloud-init's configuration, as far as scripts of the kickstart wrote it.
    """
    listed = scripted.get("datasource_list")
    named = {str(name).lower() for name in listed} if isinstance(listed, list) else set()
    usual = tuple(one for one in DATASOURCES if one.value in named)
    return usual or tuple(one for one in Datasource if one.value in named) or DATASOURCES


def _scripted_cloud_config(evidence: ImageEvidence) -> dict[str, Any]:
    return _seen(lambda: evidence.scripted_cloud_config) or {}


def _plan(
    manifest: ImageManifest | None,
    options: VerifyOptions,
    datasources: tuple[Datasource, ...] = DATASOURCES,
) -> tuple[BootPlan, ...]:
    inside = {*_ids(INSIDE), *_ids(ACROSS)}
    if not options.boot or (options.checks is not None and not inside & set(options.checks)):
        return ()
    named = manifest.firmware if manifest else ()
    firmware = options.firmware or tuple(FirmwareKind(name) for name in named) or tuple(FirmwareKind)
    if options.secure_boot:
        firmware = (FirmwareKind.UEFI,)
    return plan_boots(
        firmware,
        options.datasources or datasources,
        options.buses,
        again=options.second_boot,
        secure=options.secure_boot,
    )


def _check_firmware(image: Path, manifest: ImageManifest | None, plans: Sequence[BootPlan]) -> None:
    """Refuse a boot that can only end in the firmware's own shell or menu."""
    known = manifest.firmware if manifest else ()
    for plan in plans:
        if known and plan.firmware.value not in known:
            title = plan.firmware.value.upper()
            raise InputError(
                f"{image}: its manifest says that it does not boot by {title}",
                hint=f"--firmware {','.join(known)}",
            )


def _check_tools(plans: Sequence[BootPlan]) -> None:
    """Look for every tool before anything is done."""
    for name in (*TOOLS, *(BOOT_TOOLS if plans else ())):
        tools.find(name)
    for plan in plans:
        find_firmware(plan.firmware, machine_for(plan.disk_bus), secure=plan.secure)
        if not plan.datasource.is_network:
            tools.find(ISO_WRITER)


def _find_acceleration(evidence: ImageEvidence) -> Acceleration:
    kernel = _seen(evidence.kernel_image)
    found = find_acceleration(evidence.runner, evidence.work, kernel)
    evidence.runner.report.verbose(f"acceleration: {found.name} ({found.reason})")
    return found


def _bench(
    evidence: ImageEvidence,
    manifest: ImageManifest | None,
    options: VerifyOptions,
    acceleration: Acceleration,
) -> Bench:
    logs = files.cache_folder("verify", "logs")
    boots.remove_old_logs(logs)
    size = int(evidence.info["virtual-size"])
    bench = Bench(
        runner=evidence.runner,
        work=evidence.work,
        logs=logs,
        image=evidence.image if evidence.header.format in BOOTED else evidence.disk.raw,
        image_format=evidence.header.format if evidence.header.format in BOOTED else "raw",
        disk_size=size + options.grow,
        user=_user(evidence, manifest, options),
        acceleration=acceleration,
        manifest=manifest,
        scripted_cloud_config=_scripted_cloud_config(evidence),
        timeout=options.timeout or LOGIN_SECONDS[acceleration.name],
        memory=options.memory,
    )
    boots.check_space(bench)
    return bench


def _user(evidence: ImageEvidence, manifest: ImageManifest | None, options: VerifyOptions) -> str:
    """Who logs in: by option, manifest, cloud-init's configuration in the image, or ec2-user."""
    if options.user:
        return options.user
    if manifest and manifest.default_user:
        return manifest.default_user
    return _seen(lambda: content.default_user(evidence)) or "ec2-user"


def _seen(look: Callable[[], Seen | None]) -> Seen | None:
    """Return what a look at the image finds; None where it comes to nothing."""
    try:
        with Patience().look():
            return look()
    except (CannotCheck, CommandFailed, OSError, MemoryError, *NO_SENSE):
        return None


def _boot_all(bench: Bench, plans: Sequence[BootPlan]) -> list[BootRecord]:
    records: list[BootRecord] = []
    report = bench.runner.report
    costly = True
    for number, plan in enumerate(plans, 1):
        try:
            for record in boots.run_boot(bench, plan, number, costly=costly):
                records.append(record)
                costly = costly and not record.facts
                if record.failure:
                    report.note(f"{record.label}: {record.failure}; the end of {record.serial_log}:")
                    for line in boots.serial_tail(record):
                        report.note(f"  | {line}")
        except BuildError as error:
            report.warn(f"{plan.label}: {error.message}")
    return records


def _judge_boots(
    plans: Sequence[BootPlan], records: Sequence[BootRecord], chosen: set[str]
) -> list[CheckResult]:
    inside = [check for check in INSIDE if check.id in chosen]
    results: list[CheckResult] = []
    for record in records:
        results += run_checks(inside, record, boot=record.label)
    done = {record.plan for record in records}
    for plan in plans:
        if plan not in done:
            results += leave_undone(inside, "the boot was not done", boot=plan.label)
    over_all = [check for check in ACROSS if check.id in chosen]
    if done == set(plans):
        return results + list(run_checks(over_all, records))
    return results + list(leave_undone(over_all, "not every boot was done"))
