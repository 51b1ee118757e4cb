# SPDX-License-Identifier: MIT
"""What a boot was to be, and what was seen of it: the evidence of the checks from inside."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from builder.guest.acceleration import Acceleration
from builder.guest.facts import Fact
from builder.guest.firmware import FirmwareKind
from builder.guest.instance import Datasource, Instance
from builder.guest.outcome import not_applicable, not_done
from builder.guest.qemu import DiskBus
from builder.manifest import ImageManifest
from builder.runner import Completed


@dataclass(frozen=True, kw_only=True, slots=True)
class BootPlan:
    """One boot to be: firmware, source of the metadata, bus of the disk; `secure`: with Secure Boot."""

    firmware: FirmwareKind
    datasource: Datasource
    disk_bus: DiskBus
    again: bool = False  # start the same guest a second time afterwards
    secure: bool = False

    @property
    def label(self) -> str:
        """How it is shown to people."""
        name = "seabios" if self.firmware is FirmwareKind.BIOS else "ovmf"
        secure = " secure-boot" if self.secure else ""
        return f"{name}{secure} {self.datasource} {self.disk_bus}"


def plan_boots(
    firmware: Sequence[FirmwareKind],
    datasources: Sequence[Datasource],
    buses: Sequence[DiskBus],
    *,
    again: bool = False,
    secure: bool = False,
) -> tuple[BootPlan, ...]:
    """Combine the lists in pairs, the shorter ones repeated: two firmwares and two sources are two
    boots, not four."""
    count = max(len(firmware), len(datasources), len(buses))
    return tuple(
        BootPlan(
            firmware=firmware[i % len(firmware)],
            datasource=datasources[i % len(datasources)],
            disk_bus=buses[i % len(buses)],
            again=again,
            secure=secure,
        )
        for i in range(count)
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class BootRecord:
    """What was seen of one boot."""

    plan: BootPlan
    label: str
    instance: Instance
    user: str
    acceleration: Acceleration
    disk_size: int
    serial: str
    serial_log: Path
    manifest: ImageManifest | None = None
    login_seconds: float | None = None
    login_limit: float = 0.0
    shutdown_seconds: float | None = None
    shutdown_limit: float = 0.0
    failure: str | None = None
    silence: str | None = None  # why there are no facts in spite of a login
    root_login: Completed | None = None
    facts: Mapping[str, Fact] = field(default_factory=dict)
    was_asked_all: bool = False  # the costly facts too
    is_second: bool = False
    # What of cloud-init's configuration is in files that scripts of the kickstart wrote.
    scripted_cloud_config: Mapping[str, Any] = field(default_factory=dict)

    @property
    def changed(self) -> frozenset[str]:
        """The files and folders that scripts of the kickstart changed or made; none without a manifest."""
        return frozenset(self.manifest.settings.changed) if self.manifest else frozenset()

    def fact(self, name: str) -> Fact:
        """Return what the guest said of `name`; the check is not done when it said nothing."""
        if name not in self.facts:
            raise not_done(self.failure or self.silence or f"the guest reported nothing about {name}")
        return self.facts[name]

    def good_fact(self, name: str) -> str:
        """Return the text of a fact whose command succeeded."""
        fact = self.fact(name)
        if fact.status != 0:
            raise not_done(f"{name}: status {fact.status}: {fact.text[:200] or 'no output'}")
        return fact.text

    def first_boot(self) -> None:
        """Say that a check is for the first boot of a guest only."""
        if self.is_second:
            raise not_applicable("the guest was started before")
