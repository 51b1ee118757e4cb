# SPDX-License-Identifier: MIT
"""The files of an image as a folder of the host: read only through here, so that no link of the image
leads out of the tree."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from builder.guest.outcome import not_done

_MAX_LINKS = 40


class Tree:
    """Files below `root`; every path given or returned is absolute inside the image."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def resolve(self, path: str, *, follow_last: bool = True) -> Path:
        """Return where `path` lies on the host, its links followed as the guest would."""
        links = 0
        todo = list(reversed(PurePosixPath(path).parts))
        done: list[str] = []
        while todo:
            part = todo.pop()
            if part in ("/", "."):
                continue
            if part == "..":
                del done[-1:]
                continue
            here = self.root.joinpath(*done, part)
            if here.is_symlink() and (todo or follow_last):
                links += 1
                if links > _MAX_LINKS:
                    raise not_done(f"{path}: too many links")
                target = PurePosixPath(os.readlink(here))
                if target.is_absolute():
                    done = []
                todo.extend(reversed(target.parts))
            else:
                done.append(part)
        return self.root.joinpath(*done)

    def exists(self, path: str) -> bool:
        """Whether there is something at `path` (a link counts, wherever it leads)."""
        return os.path.lexists(self.resolve(path, follow_last=False))

    def is_file(self, path: str) -> bool:
        """Whether `path` is, or leads to, a plain file."""
        return self.resolve(path).is_file()

    def link(self, path: str) -> str | None:
        """Return where the link at `path` points; None: it is none."""
        here = self.resolve(path, follow_last=False)
        return os.readlink(here) if here.is_symlink() else None

    def size(self, path: str) -> int:
        """Return the size of the file at `path`."""
        return self.resolve(path).stat().st_size

    def bytes(self, path: str) -> bytes:
        """Return the content of the file `path`; empty where there is none."""
        here = self.resolve(path)
        return here.read_bytes() if here.is_file() else b""

    def text(self, path: str) -> str:
        """Return the content of the file `path` as text; empty where there is none."""
        return self.bytes(path).decode(errors="replace")

    def lines(self, path: str) -> list[str]:
        """Return the lines of `path` without comments and blanks."""
        lines = (line.strip() for line in self.text(path).splitlines())
        return [line for line in lines if line and not line.startswith("#")]

    def names(self, folder: str) -> list[str]:
        """Return the names in `folder`, sorted; none where it is no folder."""
        here = self.resolve(folder)
        return sorted(os.listdir(here)) if here.is_dir() else []

    def files(self, folder: str) -> Iterator[str]:
        """Yield the plain files below `folder` (links are not followed), sorted."""
        top = self.resolve(folder)
        for base, folders, names in os.walk(top):
            folders.sort()
            for name in sorted(names):
                here = Path(base, name)
                if stat.S_ISREG(here.lstat().st_mode):
                    yield os.path.join(folder, here.relative_to(top).as_posix())

    def settings(self, path: str) -> dict[str, str]:
        """Return the NAME=VALUE lines of `path` (os-release(5), locale.conf(5)), unquoted."""
        pairs = (line.split("=", 1) for line in self.lines(path) if "=" in line)
        return {name.strip(): value.strip().strip("\"'") for name, value in pairs}
