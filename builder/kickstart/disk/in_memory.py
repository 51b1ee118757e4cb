# SPDX-License-Identifier: MIT
"""`part --fstype=tmpfs`: a folder that is in the guest's memory, by a line of fstab alone.

So does the installer: custom_partitioning.py of Anaconda, TmpFS of blivet. What packages install below such a
folder nobody sees in the guest, so some folders are refused.
"""

from __future__ import annotations

import re

from builder.kickstart.disk.filesystems import TMPFS, check_mount_options
from builder.kickstart.disk.lines import is_mount_point, mount_point
from builder.kickstart.parsed import Kickstart, ParsedCommand
from builder.kickstart.plan import MemoryFolder

# Without what packages have there, and below, a guest does not start, or does not know its packages.
_OF_SYSTEM = re.compile(r"/|/(boot|usr)(/.*)?|/var(/lib)?")


def plan_folders(ks: Kickstart) -> list[MemoryFolder]:
    """Return the folders that part lines put into the guest's memory; what is wrong goes to `ks.findings`."""
    lines = [line for line in ks.all("part", "partition") if line.get("fstype") == TMPFS]
    return [folder for line in lines if (folder := _plan_folder(ks, line)) is not None]


def _plan_folder(ks: Kickstart, line: ParsedCommand) -> MemoryFolder | None:
    errors = len(ks.findings.errors)
    mountpoint = mount_point(line)
    what = f"{line.name} {mountpoint} --fstype={TMPFS}"
    given = str(line.get("fsopts", ""))
    if is_mount_point(ks, line, mountpoint) and _OF_SYSTEM.fullmatch(mountpoint):
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
    check_mount_options(ks.findings, line.place, line.name, TMPFS, given)
    size = line.get("size")
    if size is not None and int(size) < 0:
        ks.findings.error(line.place, f"{line.name}: --size={size} is no size", "write --size=MIB")
    if len(ks.findings.errors) > errors:
        return None
    return MemoryFolder(
        mountpoint=mountpoint, size=int(size or 0) or None, fsoptions=given or None, place=line.place
    )
