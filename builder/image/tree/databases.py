# SPDX-License-Identifier: MIT
"""SQLite databases of the image, brought into the state that it ships: as copies, and in a room.

SQLite opens what is next to a file by name, and what a database holds may be made to deceive it.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from builder.errors import BuildError, CommandFailed
from builder.image.build import Build
from builder.image.isolation.bare_room import bare_room
from builder.image.tree import database_program
from builder.image.tree.files import TreePath, open_tree
from builder.memory import available_memory

# The write-ahead log, and its index, which SQLite makes again (https://www.sqlite.org/walformat.html).
_LOG, _INDEX = "-wal", "-shm"
PYTHON = os.path.realpath(sys.executable)
# Read before the inside begins, whose ids may not be able to read where it lies.
PROGRAM = Path(database_program.__file__).read_text()
# Seconds for all of them together.
LONGEST = 600.0


def settle(build: Build, databases: Sequence[TreePath]) -> None:
    """Bring the logs of `databases` into them, as far as they exist; in dnf's history settle times and users.

    Raises:
        BuildError: what is there is not a database, or keeps SQLite too long.
    """
    found = [path for path in databases if path.is_file()]
    if not found:
        return
    with tempfile.TemporaryDirectory(prefix="openstack-builder-") as name:
        folder = Path(name)
        copies = [_copy_out(path, folder / str(number)) for number, path in enumerate(found)]
        program = folder / "settle_databases.py"
        program.write_text(PROGRAM)
        argv: list[str | Path] = [PYTHON, "-I", "-S", program, str(build.options.source_date_epoch), *copies]
        with bare_room(writable=[folder], memory=build.share_of(available_memory())) as room:
            try:
                build.runner.run(argv, timeout=LONGEST, child=room.child)
            except CommandFailed as error:
                said = error.message
                for path, copy in zip(found, copies, strict=True):
                    said = said.replace(str(copy), f"{path} of the image")
                raise BuildError(
                    f"sqlite: {said}", hint="a script or a package left something else than a database there"
                ) from error
        for path, copy in zip(found, copies, strict=True):
            _write_back(path, copy)


def _copy_out(path: TreePath, folder: Path) -> Path:
    folder.mkdir()
    copy = folder / path.name
    path.copy_out(copy)
    log = path.with_name(path.name + _LOG)
    if log.is_file():
        log.copy_out(folder / log.name)
    return copy


def _write_back(path: TreePath, copy: Path) -> None:
    changed = open_tree(copy.parent)
    data = (changed / copy.name).read_bytes()
    if data != path.read_bytes():
        path.write_bytes(data)
    if not (changed / f"{copy.name}{_LOG}").exists():
        for name in (_LOG, _INDEX):
            path.with_name(path.name + name).unlink(missing_ok=True)
