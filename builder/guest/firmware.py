# SPDX-License-Identifier: MIT
"""Firmware of the test machine: SeaBIOS (qemu's own) and OVMF, found by qemu's firmware descriptors.

Descriptors: qemu's docs/interop/firmware.json; Debian and Fedora both ship them, so no path of a
distribution stands here.
"""

from __future__ import annotations

import contextlib
import fnmatch
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from builder import json_text, tools
from builder.errors import ToolMissing

DESCRIPTORS = (Path("/etc/qemu/firmware"), Path("/usr/share/qemu/firmware"))

# A plain OVMF is the rule: an image without a signed boot loader must start, and TCG has no fast SMM. For
# Secure Boot it is one that has the keys of Microsoft, which sign the shims of the distributions.
SECURE = {"secure-boot", "enrolled-keys"}
UNWANTED = {"requires-smm", *SECURE}


class FirmwareKind(StrEnum):
    """How the machine starts."""

    BIOS = "bios"
    UEFI = "uefi"


@dataclass(frozen=True, kw_only=True, slots=True)
class Firmware:
    """A firmware to boot with; SeaBIOS needs no files. `secure`: Secure Boot is on."""

    kind: FirmwareKind
    secure: bool = False
    code: Path | None = None
    code_format: str = "raw"
    variables: Path | None = None
    variables_format: str = "raw"

    @property
    def name(self) -> str:
        """The name that people know it by."""
        return "seabios" if self.kind is FirmwareKind.BIOS else "ovmf"


def find_firmware(
    kind: FirmwareKind, machine: str, folders: tuple[Path, ...] = DESCRIPTORS, *, secure: bool = False
) -> Firmware:
    """Return the firmware for `machine` (`q35`, `pc`).

    Args:
        secure: with Secure Boot on, and the keys of Microsoft enrolled.

    Raises:
        ToolMissing: no such OVMF is installed.
    """
    if kind is FirmwareKind.BIOS:
        return Firmware(kind=kind)
    for descriptor in _descriptors(folders):
        firmware = _read_descriptor(descriptor, machine, secure=secure)
        if firmware is not None:
            return firmware
    if secure:
        raise ToolMissing(
            f"no UEFI firmware with Secure Boot and Microsoft's keys for qemu's {machine} is installed",
            hint=f"{tools.install_hint('ovmf')}, or leave out --secure-boot",
        )
    raise ToolMissing(
        f"no UEFI firmware for qemu's {machine} is installed",
        hint=f"{tools.install_hint('ovmf')}, or --firmware bios",
    )


def _descriptors(folders: tuple[Path, ...]) -> Iterator[dict[str, Any]]:
    for folder in folders:
        for path in sorted(folder.glob("*.json")):
            with contextlib.suppress(OSError, ValueError):
                yield json_text.parse(path.read_text(encoding="utf-8"))


def _read_descriptor(descriptor: dict[str, Any], machine: str, *, secure: bool) -> Firmware | None:
    mapping = descriptor.get("mapping", {})
    features = set(descriptor.get("features", ()))
    fits = any(
        target.get("architecture") == "x86_64"
        and any(fnmatch.fnmatch(f"pc-{_family(machine)}-8.0", name) for name in target.get("machines", ()))
        for target in descriptor.get("targets", ())
    )
    if (
        "uefi" not in descriptor.get("interface-types", ())
        or not fits
        or (not features >= SECURE if secure else UNWANTED & features)
        or mapping.get("device") != "flash"
        or "nvram-template" not in mapping
    ):
        return None
    code, variables = mapping["executable"], mapping["nvram-template"]
    if not (Path(code["filename"]).is_file() and Path(variables["filename"]).is_file()):
        return None
    return Firmware(
        kind=FirmwareKind.UEFI,
        secure=secure,
        code=Path(code["filename"]),
        code_format=code.get("format", "raw"),
        variables=Path(variables["filename"]),
        variables_format=variables.get("format", "raw"),
    )


def _family(machine: str) -> str:
    return "i440fx" if machine == "pc" else machine


def copy_variables(firmware: Firmware, folder: Path) -> Path | None:
    """Copy the variable store's template to `folder`, writable; None when the firmware has none."""
    if firmware.variables is None:
        return None
    copy = folder / "firmware.vars"
    shutil.copyfile(firmware.variables, copy)
    return copy
