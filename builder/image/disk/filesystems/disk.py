# SPDX-License-Identifier: MIT
"""The disk file that is written into, and what every writer needs beside it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from builder.runner import Runner


@dataclass(frozen=True, kw_only=True, slots=True)
class Disk:
    """A disk file.

    `epoch`: no time in its file systems is later, where given. `work`: folder for small files of writers.
    """

    file: Path
    runner: Runner
    epoch: int | None
    work: Path
