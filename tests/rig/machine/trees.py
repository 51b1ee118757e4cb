# SPDX-License-Identifier: MIT
"""Root file systems, made once for each set of inputs and kept in the cache.

A tree's name ends in the digest of what it is made from. It appears whole or not at all, and is never
written to again: machines lie over it.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from builder.files import cache_folder, digest_of, locked, sha256_file, work_folder
from builder.folders import remove_tree
from builder.report import Report
from builder.runner import Runner

KEPT = 2
HERE = Path(__file__).parent


class Init(StrEnum):
    """What runs as PID 1."""

    SYSTEMD = "systemd"
    SYSVINIT = "sysvinit"


@dataclass(frozen=True, kw_only=True, slots=True)
class Tree:
    """A finished root file system: what it is called, where it lies, what boots it.

    `repository` holds packages that the machine finds at /srv/fixture.
    """

    kind: str
    folder: Path
    init: Init
    repository: Path | None = None


def folder() -> Path:
    """Return where trees lie, and next to them the work folders of running machines."""
    return cache_folder("machine")


def sources_digest(*paths: Path) -> str:
    """Return the digest of files of this package, by their names below it."""
    return digest_of([(path.relative_to(HERE).as_posix(), sha256_file(path)) for path in sorted(paths)])


def cached(kind: str, inputs: object, make: Callable[[Path, Runner], None], report: Report) -> Path:
    """Return the tree `kind` made from `inputs`, made by `make` (into an empty folder) when it is new.

    Trees of that kind that nobody has asked for lately are removed.
    """
    target = folder() / f"{kind}-{digest_of(inputs)[:16]}"
    with locked(folder() / f"{kind}.lock"):
        if not target.exists():
            with report.step("root", f"{kind}: {target}"), work_folder(folder(), kind) as work:
                work.chmod(0o755)
                tree = work / "root"
                tree.mkdir(mode=0o755)
                make(tree, Runner(report))
                tree.rename(target)
        os.utime(target)
        _remove_old(kind, keep=target)
    return target


def _remove_old(kind: str, *, keep: Path) -> None:
    """Remove trees of yesterday; a machine that runs on one is younger than that."""
    known = sorted(folder().glob(f"{kind}-*"), key=lambda path: -path.stat().st_mtime)
    for path in known[KEPT:]:
        if path != keep and path.stat().st_mtime < time.time() - 6 * 3600:
            remove_tree(path)
