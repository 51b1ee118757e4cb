# SPDX-License-Identifier: MIT
"""What diskimage-builder needs of a host, asked for before it starts."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from builder import tools
from builder.errors import CommandFailed, PermissionMissing, ToolMissing
from builder.report import Report
from builder.runner import Runner

INSTEAD = "or build with our own engine, which needs neither root nor loop devices: --engine direct"
TOOLS = ("losetup", "kpartx", "sudo", "unshare", "rsync", "fstrim", "qemu-img", "dnf", "sfdisk", "blkid")


def find_program() -> Path:
    """Return the program of diskimage-builder in the environment of our Python, or else in PATH.

    Raises:
        ToolMissing: there is none.
    """
    own = Path(sys.executable).with_name("diskimage-builder")
    if own.is_file():
        return own
    found = shutil.which("diskimage-builder")
    if found is None:
        raise ToolMissing("diskimage-builder is not installed", hint=f"make setup-dib, {INSTEAD}")
    return Path(found)


def check_host(report: Report, runner: Runner) -> Path:
    """Return the program, where this host can run it.

    Raises:
        PermissionMissing, ToolMissing: what is missing, by name.
    """
    if os.geteuid():
        raise PermissionMissing(
            "diskimage-builder needs root: it mounts, and makes loop devices", hint=f"run as root, {INSTEAD}"
        )
    program = find_program()
    for tool in TOOLS:
        tools.find(tool)
    _check_loop_devices(runner)
    if "device-mapper" not in Path("/proc/misc").read_text():
        report.warn("this kernel has no device-mapper, by which kpartx makes partitions (modprobe dm-mod)")
    return program


def _check_loop_devices(runner: Runner) -> None:
    """Refuse a host that has none: losetup fails there, or names one that is lost (util-linux 2.42)."""
    try:
        named = runner.run([tools.find("losetup"), "--find"]).stdout.strip()
        why = "" if Path(named).is_block_device() else f"{named.split(' ')[0]} is missing"
    except CommandFailed as error:
        why = error.message
    if why:
        raise PermissionMissing(
            f"diskimage-builder needs loop devices, and there are none: {why}",
            hint=f"modprobe loop, {INSTEAD}",
        )
