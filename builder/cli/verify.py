# SPDX-License-Identifier: MIT
"""`openstack-builder verify`: boot an image on a throw-away overlay and run the checklist on it."""

from __future__ import annotations

import argparse
import difflib
import os
import re
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import TypeVar

from builder.cli import Context
from builder.errors import InputError
from builder.guest.firmware import FirmwareKind
from builder.guest.instance import Datasource
from builder.guest.outcome import CheckState
from builder.guest.qemu import DiskBus
from builder.guest.verify import ACROSS, INSIDE, OUTSIDE, ImageVerdict, VerifyOptions, check_ids, verify
from builder.manifest import find_manifest
from builder.page import Check, add_checks, page_path
from builder.sizes import GIB, KIB, MIB, TIB

SUMMARY = "Boot an image on a throw-away overlay and run the checklist on it; the image is only read."
EXAMPLE = (
    "  openstack-builder verify out/jeos-fixture/jeos-fixture.qcow2 --resize +1G\n"
    "  openstack-builder verify IMAGE --firmware uefi --datasource openstack --disk-bus nvme\n"
    "  openstack-builder verify IMAGE --no-boot --checks root-locked,no-host-keys"
)

Kind = TypeVar("Kind", bound=StrEnum)
SIZE = re.compile(r"^\+(\d+)([KMGT]?)$")
UNITS = {"": 1, "K": KIB, "M": MIB, "G": GIB, "T": TIB}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    add = parser.add_argument
    add(
        "image",
        metavar="IMAGE",
        type=Path,
        nargs="?",
        help="an image; it is only read",
    )
    add(
        "--firmware",
        type=_list_of(FirmwareKind),
        metavar="LIST",
        help="bios, uefi (default: what the manifest says, or both)",
    )
    add(
        "--datasource",
        type=_list_of(Datasource),
        metavar="LIST",
        help="nocloud, configdrive, ec2, openstack (default: nocloud,openstack, or those that the kickstart "
        "leaves cloud-init). Lists are combined in pairs: one boot for each entry of the longest",
    )
    add(
        "--disk-bus",
        type=_list_of(DiskBus),
        metavar="LIST",
        default=(DiskBus.VIRTIO_BLK,),
        help="virtio-blk, virtio-scsi, ide, nvme (default: virtio-blk)",
    )
    add(
        "--secure-boot",
        action="store_true",
        help="boot by UEFI with Secure Boot on and Microsoft's keys enrolled, and prove it from inside",
    )
    add("--resize", type=_growth, metavar="+SIZE", default=0, help="grow the disk first, +1G for instance")
    add(
        "--user",
        metavar="NAME",
        help="user who logs in (default: the manifest's or cloud-init's default user)",
    )
    add("--checks", metavar="LIST", help="only these checks; nothing is booted where none is from inside")
    add("--no-boot", action="store_true", help="only the checks from outside")
    add("--second-boot", action="store_true", help="start each guest a second time")
    add("--list-checks", action="store_true", help="list the checks with explanations, and stop")
    add("--json", action="store_true", help="print the verdict as JSON")
    add("--keep", action="store_true", help="keep the work folder")
    add(
        "--timeout",
        type=_positive,
        metavar="S",
        help="seconds that a boot may take (default: 120, emulated 900)",
    )
    add(
        "--memory",
        type=_positive,
        metavar="MIB",
        default=1024,
        help="memory of the guest (default: 1024)",
    )


def run(args: argparse.Namespace, context: Context) -> int:
    """Verify; 0 when every check is good, 1 when one failed or could not be done."""
    if args.list_checks:
        _list_checks(args, context)
        return 0
    if args.image is None:
        raise InputError("verify needs an image", hint="openstack-builder verify out/NAME/NAME.qcow2")
    if not args.image.exists():
        raise InputError(f"{args.image}: there is no such file")
    if not args.image.is_file():
        raise InputError(f"{args.image}: not a regular file", hint="give the file of a disk")
    if args.secure_boot and FirmwareKind.BIOS in (args.firmware or ()):
        raise InputError("--secure-boot: BIOS does not have Secure Boot", hint="leave out --firmware bios")
    options = VerifyOptions(
        firmware=args.firmware,
        secure_boot=args.secure_boot,
        datasources=args.datasource,
        buses=args.disk_bus,
        grow=args.resize,
        user=args.user,
        checks=_chosen(args.checks),
        boot=not args.no_boot,
        second_boot=args.second_boot,
        timeout=float(args.timeout) if args.timeout else None,
        memory=args.memory,
        keep=args.keep,
    )
    verdict = verify(context.runner, args.image.absolute(), find_manifest(args.image), options)
    checks = tuple(
        Check(check=one.check, state=one.state.value, reason=one.reason) for one in verdict.results
    )
    # The page of the build has them too, where it is there and may be written.
    page = page_path(args.image)
    if os.access(page, os.W_OK):
        add_checks(page, verdict.sha256, checks)
    if args.json:
        context.report.json(verdict.as_json())
    else:
        show(verdict, context)
    return 0 if verdict.is_good else 1


def show(verdict: ImageVerdict, context: Context) -> None:
    for result in verdict.results:
        where = f"  [{result.boot}]" if result.boot else ""
        context.report.result(f"{result.state.value:<14}  {result.check:<22}  {result.reason}{where}")
    counts = verdict.as_json()["counts"]
    summary = ", ".join(f"{counts[state.value]} {state.value}" for state in CheckState)
    context.report.result(f"{'pass' if verdict.is_good else 'FAIL'}: {verdict.image}: {summary}")
    for record in verdict.boots:
        context.report.note(f"serial log: {record.serial_log}")


def _list_checks(args: argparse.Namespace, context: Context) -> None:
    rows = [
        {"id": check.id, "where": where, "rows": list(check.rows), "explanation": check.explanation}
        for where, checks in (("outside", OUTSIDE), ("inside", INSIDE), ("all boots", ACROSS))
        for check in checks
    ]
    if args.json:
        context.report.json(rows)
        return
    table = [
        (row["id"], row["where"], ",".join(map(str, row["rows"])), row["explanation"])
        for row in rows
        if isinstance(row["rows"], list)
    ]
    context.report.table(("CHECK", "WHERE", "ROWS", "WHAT"), table)


def _chosen(text: str | None) -> tuple[str, ...] | None:
    if text is None:
        return None
    names = tuple(name.strip() for name in text.split(",") if name.strip())
    for name in names:
        if name not in check_ids():
            near = difflib.get_close_matches(name, check_ids(), n=1)
            raise InputError(
                f"unknown check: {name}",
                hint=f"did you mean {near[0]}?" if near else "see openstack-builder verify --list-checks",
            )
    if not names:
        raise InputError("--checks names no check", hint="see openstack-builder verify --list-checks")
    return names


def _list_of(kind: type[Kind]) -> Callable[[str], tuple[Kind, ...]]:
    """Return a parser of comma-separated members of `kind`."""

    def parse(text: str) -> tuple[Kind, ...]:
        try:
            return tuple(kind(word.strip()) for word in text.split(","))
        except ValueError:
            known = ", ".join(member.value for member in kind)
            raise argparse.ArgumentTypeError(f"`{text}` is not a list of {known}") from None

    return parse


def _growth(text: str) -> int:
    match = SIZE.match(text)
    if not match:
        raise argparse.ArgumentTypeError(f"`{text}` is not an increment such as +1G")
    size = int(match.group(1)) * UNITS[match.group(2)]
    if size % 512:
        raise argparse.ArgumentTypeError(f"`{text}` is not a whole number of sectors")
    return size


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"`{text}` is not a number above 0")
    return int(text)
