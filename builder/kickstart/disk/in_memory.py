# SPDX-License-Identifier: MIT
"""`part --fstype=tmpfs`: a folder that is in the guest's memory, by a line of fstab alone.

So does the installer: custom_partitioning.py of Anaconda, TmpFS of blivet. What packages install below such a
folder nobody sees in the guest, so some folders are refused.
"""

from __future__ import annotations

import re

from builder.kickstart.disk.filesystems import KINDS
from builder.kickstart.parsed import Kickstart, ParsedCommand
from builder.kickstart.plan import MemoryFolder

TMPFS = "tmpfs"
# tmpfs(5)
_OPTIONS = frozenset(["gid", "huge", "mode", "mpol", "nr_blocks", "nr_inodes", "size", "uid"])
# Without what packages have there, and below, a guest does not start, or does not know its packages.
_OF_SYSTEM = re.compile(r"/|/(boot|usr)(/.*)?|/var(/lib)?")


def is_in_memory(line: ParsedCommand) -> bool:
    """Say whether a part line asks for no partition."""
    return str(line.get("fstype", "")) == TMPFS


def plan_folders(ks: Kickstart) -> list[MemoryFolder]:
    """Return the folders that part lines put into the guest's memory; what is wrong goes to `ks.findings`."""
    lines = [line for line in ks.all("part", "partition") if is_in_memory(line)]
    return [folder for line in lines if (folder := _plan_folder(ks, line)) is not None]


def _plan_folder(ks: Kickstart, line: ParsedCommand) -> MemoryFolder | None:
    errors = len(ks.findings.errors)
    mountpoint = re.sub("^/+", "/", str(line.get("mountpoint", "")))
    what = f"{line.name} {mountpoint} --fstype={TMPFS}"
    given = str(line.get("fsopts", ""))
    if not re.fullmatch(r"/[^\s\\]*", mountpoint):
        ks.findings.error(
            line.place, f'{line.name}: "{mountpoint}" is not a mount point', "write an absolute path"
        )
    elif _OF_SYSTEM.fullmatch(mountpoint):
        ks.findings.error(
            line.place,
            f"{what}: what is installed there would not be in the guest",
            "give it a partition; /tmp and /var/tmp may be in memory",
        )
    for key, option in (("onPart", "onpart"), ("mkfsopts", "mkfsoptions")):
        if line.get(key):
            ks.findings.error(
                line.place, f"{what} --{option}: it is in memory, not on a partition", f"remove --{option}"
            )
    if line.get("label"):
        ks.findings.warn(line.place, f"{what} --label: {TMPFS} has no label")
    if line.get("grow") or line.get("maxSizeMB") or line.get("percent"):
        ks.findings.error(line.place, f"{what}: memory has no room to grow into", "write --size=MIB alone")
    if re.search(r"\s", given):
        ks.findings.error(
            line.place,
            f'{line.name} --fsoptions="{given}": a blank would end the field in fstab',
            "write commas",
        )
    for option in given.split(","):
        name = option.partition("=")[0]
        owner = next((kind for kind, facts in KINDS.items() if name in facts.mounted), None)
        if owner is not None and name not in _OPTIONS:
            ks.findings.error(
                line.place,
                f"{line.name} --fsoptions={option}: {TMPFS} has no such mount option, {owner} has",
                "leave it out: it would not be mounted",
            )
    size = line.get("size")
    if size is not None and int(size) < 0:
        ks.findings.error(line.place, f"{line.name}: --size={size} is no size", "write --size=MIB")
    if len(ks.findings.errors) > errors:
        return None
    return MemoryFolder(
        mountpoint=mountpoint, size=int(size or 0) or None, fsoptions=given or None, place=line.place
    )
