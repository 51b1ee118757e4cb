# SPDX-License-Identifier: MIT
"""The rpm database of an image, asked through a copy: packages, their files, signatures."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from builder.formats import rpmquery
from builder.guest.imagedisk import ROOM_LEFT
from builder.guest.outcome import not_applicable, not_done
from builder.guest.tree import ImageTree
from builder.room import run_apart
from builder.runner import Completed, Runner
from builder.targets import rpm_databases

# A database of Berkeley DB has the most.
_MOST_FILES = 100
# RPMFILE_CONFIG, RPMFILE_DOC, RPMFILE_GHOST
_CONFIG, _DOC, _GHOST = 1, 2, 64

FOLDERS = ("/usr/lib/sysimage/rpm", "/var/lib/rpm")
# What a database of each format is called (rpm's lib/backend).
FORMATS = {"rpmdb.sqlite": "sqlite", "Packages.db": "ndb", "Packages": "bdb"}


@dataclass(frozen=True, kw_only=True, slots=True)
class InstalledFile:
    """A file as a package brought it."""

    path: str
    sha256: str
    is_config: bool
    is_ghost: bool
    is_optional: bool  # documentation or one language's: rpm may be configured to omit it


class RpmDatabase:
    """The database in `tree`; its copy is made in the folder `work`."""

    def __init__(self, runner: Runner, tree: ImageTree, work: Path) -> None:
        self._runner = runner
        self._tree = tree
        self._work = work

    @cached_property
    def folder(self) -> str:
        """The folder of the rpm database inside the image."""
        for folder in FOLDERS:
            names = self._tree.names(folder)
            formats = [format for name, format in FORMATS.items() if name in names]
            if formats and formats[0] not in self._known:
                raise not_done(f"the image's rpm database is {formats[0]}, which this host's rpm cannot read")
            if formats:
                return folder
        raise not_applicable("the image has no rpm database")

    @cached_property
    def _known(self) -> dict[str, bool]:
        return rpm_databases(run_apart(self._runner, ["rpm", "--showrc"]).stdout)

    @cached_property
    def copy(self) -> Path:
        """A copy of the rpm database, in a folder of its own: rpm writes next to what it reads."""
        paths = [f"{self.folder}/{name}" for name in self._tree.names(self.folder)]
        files = [path for path in paths if self._tree.is_file(path)]
        size = sum(self._tree.size(path) for path in files)
        if len(files) > _MOST_FILES or size > ROOM_LEFT:
            raise not_done(f"the rpm database has {len(files)} files of {size >> 20} MiB")
        copy = self._work / "rpmdb"
        copy.mkdir(mode=0o700, exist_ok=True)
        for path in files:
            (copy / os.path.basename(path)).write_bytes(self._tree.bytes(path))
        return copy

    def ask(self, program: str, *words: str, ok: Sequence[int] = (0,)) -> Completed:
        """Run rpm or rpmdb on our copy of the image's database."""
        copy = self.copy
        return run_apart(
            self._runner, [program, "--dbpath", copy, *words], writable=copy, room=ROOM_LEFT, ok=ok
        )

    def query(self, *parts: str, each: bool = False) -> Iterator[tuple[str, ...]]:
        """Yield the rows that rpm has for `parts` in the image's database (`rpmquery.row`)."""
        form = rpmquery.row(*parts, each=each)
        return rpmquery.rows(self.ask("rpm", "-qa", "--qf", form).stdout, len(parts))

    @cached_property
    def packages(self) -> dict[str, str]:
        """NEVRA -> name of every package but the keys."""
        rows = self.query(rpmquery.tag("NEVRA"), rpmquery.tag("NAME"))
        return {nevra: name for nevra, name in rows if name != "gpg-pubkey"}

    def has_package(self, *names: str) -> bool:
        """Whether a package of one of these names is installed."""
        return bool(set(names) & set(self.packages.values()))

    @cached_property
    def files(self) -> dict[str, InstalledFile]:
        """Every plain file of the packages, by path (flags: rpm's rpmfiles.h)."""
        numbers = map(rpmquery.other, ("%{FILEDIGESTS}", "%{FILEFLAGS}"))
        rows = self.query(rpmquery.tag("FILENAMES"), *numbers, rpmquery.tag("FILELANGS"), each=True)
        return {
            path: InstalledFile(
                path=path,
                sha256=digest,
                is_config=bool(int(flags) & _CONFIG),
                is_ghost=bool(int(flags) & _GHOST),
                is_optional=bool(int(flags) & _DOC) or bool(language),
            )
            for path, digest, flags, language in rows
            if digest
        }
