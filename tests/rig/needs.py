# SPDX-License-Identifier: MIT
"""What demo and talk need of this machine, looked at before they begin."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from builder.memory import available_memory
from builder.sizes import GIB


def find_missing_room(what: str, *, folder: Path, disk: int, memory: int) -> Iterator[str]:
    """Yield a sentence for memory and one for disk where `what` needs more; sizes in bytes."""
    available = available_memory()
    if available < memory:
        yield f"{available / GIB:.1f} GiB of memory are free, {what} needs {memory / GIB:.0f}"
    free = shutil.disk_usage(folder).free
    if free < disk:
        yield f"{folder}: {free / GIB:.1f} GiB are free, {what} needs {disk / GIB:.0f}"


def is_ready(wants: Iterable[str]) -> bool:
    """Say whether nothing is missing; print what is."""
    missing = list(wants)
    for want in missing:
        print(f"error: {want}", file=sys.stderr)
    return not missing
