# SPDX-License-Identifier: MIT
"""What the numbers were taken on: processor, memory, kernel, load, versions of what was measured."""

from __future__ import annotations

import os
import platform
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from builder import __version__
from builder.runner import clean_environment

# Program -> the words that make it print its version.
PROGRAMS: Mapping[str, Sequence[str]] = {
    "qemu-img": ("--version",),
    "rpm": ("--version",),
    "dnf": ("--version",),
    "mke2fs": ("-V",),
    "bwrap": ("--version",),
}


def load() -> dict[str, float]:
    """Return the load averages (proc(5), loadavg): what else ran."""
    one, five, fifteen = os.getloadavg()
    return {"1": round(one, 2), "5": round(five, 2), "15": round(fifteen, 2)}


def describe(folder: Path) -> dict[str, object]:
    """Return what decides how fast this machine is; `folder` is on the file system that is written to."""
    memory = re.search(r"MemTotal:\s+(\d+)", Path("/proc/meminfo").read_text())
    model = re.search(r"model name\s*:\s*(.*)", Path("/proc/cpuinfo").read_text())
    return {
        "processor": model.group(1) if model else platform.machine(),
        "cpus": len(os.sched_getaffinity(0)),
        "memory": int(memory.group(1)) * 1024 if memory else None,
        "kernel": platform.release(),
        "system": platform.freedesktop_os_release()["PRETTY_NAME"],
        "filesystem": _filesystem(folder),
        "python": platform.python_version(),
        "openstack-builder": __version__,
        "versions": {name: version for name in PROGRAMS if (version := _version(name))},
        "command": " ".join([Path(sys.executable).name, "-m", "tests.rig.bench", *sys.argv[1:]]),
    }


def _filesystem(folder: Path) -> str:
    """Return the type of the file system that `folder` is on: of the mount points above it the longest."""
    rows = [line.split() for line in Path("/proc/self/mounts").read_text().splitlines()]
    above = [(row[1], row[2]) for row in rows if folder.resolve().is_relative_to(row[1])]
    return max(above, key=lambda one: len(one[0]))[1]


def _version(program: str) -> str | None:
    argv = [program, *PROGRAMS[program]]
    try:
        done = subprocess.run(argv, capture_output=True, text=True, check=False, env=clean_environment())
    except OSError:
        return None
    found = re.search(r"\d+(\.\d+)+\S*", done.stdout + done.stderr)
    return found.group() if found else None
