# SPDX-License-Identifier: MIT
"""SQLite databases of the image, worked on as copies: SQLite opens what lies next to a file by name."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from builder.image.tree.files import TreePath

# The write-ahead log, and its index, which SQLite makes anew (https://www.sqlite.org/walformat.html).
_LOG, _INDEX = "-wal", "-shm"


@contextmanager
def copied(path: TreePath) -> Iterator[Path | None]:
    """Yield a copy of the database at `path`, None where there is none; write it back where it was changed.

    The log goes along and is gone afterwards, if what is done to the copy closes it.
    """
    if not path.is_file():
        yield None
        return
    with tempfile.TemporaryDirectory(prefix="openstack-builder-") as folder:
        copy = Path(folder, path.name)
        path.copy_out(copy)
        log = path.with_name(path.name + _LOG)
        if log.is_file():
            log.copy_out(copy.with_name(log.name))
        yield copy
        changed = copy.read_bytes()
        if changed != path.read_bytes():
            path.write_bytes(changed)
        if not copy.with_name(log.name).exists():
            for name in (_LOG, _INDEX):
                path.with_name(path.name + name).unlink(missing_ok=True)
