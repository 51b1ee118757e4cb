# SPDX-License-Identifier: MIT
"""The files of an image, unpacked into folders of the host: one folder for each of its file systems.

They are read only through here. Links are followed by our own hand, one part of a path at a time, so that
none leads out of the image; and the file systems are joined in that way too, never on the host's disk. Only
regular files are read, and no more of them than a bound.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path, PurePosixPath

from builder.guest.outcome import not_done

_MAX_LINKS = 40
# Bytes of one file that is read whole: kernels and initramfs are the largest.
LARGEST = 256 << 20
# Of one that is taken for text: SELinux's file contexts have half a MiB.
LARGEST_TEXT = 16 << 20


class ImageTree:
    """Files of an image; every path given or returned is absolute inside it.

    Args:
        root: the folder of the file system of /.
    """

    def __init__(self, root: Path) -> None:
        self._folders: dict[tuple[str, ...], Path] = {(): root}

    def put(self, point: str, folder: Path) -> None:
        """Have `folder` seen at the mount point `point`."""
        self._folders[self._find(point, follow_last=True)] = folder

    def resolve(self, path: str, *, follow_last: bool = True) -> Path:
        """Return where `path` is on the host, its links followed as the guest would.

        No part of it is a link, the last one but for `follow_last`. It must be opened without following.
        """
        return self._place(self._find(path, follow_last=follow_last))

    def _place(self, parts: tuple[str, ...]) -> Path:
        for count in range(len(parts), -1, -1):
            if parts[:count] in self._folders:
                return self._folders[parts[:count]].joinpath(*parts[count:])
        raise AssertionError("the root is always there")

    def _find(self, path: str, *, follow_last: bool) -> tuple[str, ...]:
        links = 0
        todo = list(reversed(PurePosixPath(path).parts))
        done: tuple[str, ...] = ()
        while todo:
            part = todo.pop()
            if part in ("/", "//", "."):
                continue
            if part == "..":
                done = done[:-1]
                continue
            here = self._place((*done, part))
            if _is_link(here) and (todo or follow_last):
                links += 1
                if links > _MAX_LINKS:
                    raise not_done(f"{path}: too many links")
                target = PurePosixPath(os.readlink(here))
                if target.is_absolute():
                    done = ()
                todo.extend(reversed(target.parts))
            else:
                done = (*done, part)
        return done

    def exists(self, path: str) -> bool:
        """Whether there is something at `path` (a link counts, wherever it leads)."""
        return _mode(self.resolve(path, follow_last=False)) != 0

    def is_file(self, path: str) -> bool:
        """Whether `path` is, or leads to, a plain file."""
        return stat.S_ISREG(_mode(self.resolve(path)))

    def link(self, path: str) -> str | None:
        """Return where the link at `path` points; None: it is none."""
        here = self.resolve(path, follow_last=False)
        return os.readlink(here) if _is_link(here) else None

    def size(self, path: str) -> int:
        """Return the size of the file at `path`."""
        return self.resolve(path).lstat().st_size

    def bytes(self, path: str, largest: int = LARGEST) -> bytes:
        """Return the content of the file `path`; empty where there is none."""
        with self._opened(path) as file:
            if file is None:
                return b""
            if os.fstat(file.fileno()).st_size > largest:
                raise not_done(f"{path} holds more than {largest >> 20} MiB")
            return file.read(largest)

    def sha256(self, path: str) -> str:
        """Return the digest of the file `path`, in hex; of nothing where there is none."""
        with self._opened(path) as file:
            return hashlib.file_digest(file, "sha256").hexdigest() if file else hashlib.sha256().hexdigest()

    @contextmanager
    def _opened(self, path: str) -> Iterator[BufferedReader | None]:
        here = self.resolve(path)
        if not stat.S_ISREG(_mode(here)):
            yield None
            return
        descriptor = os.open(here, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(descriptor, "rb") as file:
            yield file

    def text(self, path: str) -> str:
        """Return the content of the file `path` as text; empty where there is none."""
        return self.bytes(path, LARGEST_TEXT).decode(errors="replace")

    def lines(self, path: str) -> list[str]:
        """Return the lines of `path` without comments and blanks."""
        lines = (line.strip() for line in self.text(path).splitlines())
        return [line for line in lines if line and not line.startswith("#")]

    def names(self, folder: str) -> list[str]:
        """Return the names in `folder`, sorted; empty where it is not a folder."""
        here = self.resolve(folder)
        return sorted(os.listdir(here)) if stat.S_ISDIR(_mode(here)) else []

    def files(self, folder: str) -> Iterator[str]:
        """Yield the plain files below `folder` (links are not followed), sorted."""
        todo = [folder]
        while todo:
            here = todo.pop()
            paths = [os.path.join(here, name) for name in self.names(here)]
            modes = {path: _mode(self.resolve(path, follow_last=False)) for path in paths}
            yield from (path for path in paths if stat.S_ISREG(modes[path]))
            todo.extend(path for path in reversed(paths) if stat.S_ISDIR(modes[path]))

    def settings(self, path: str) -> dict[str, str]:
        """Return the NAME=VALUE lines of `path` (os-release(5), locale.conf(5)), unquoted."""
        pairs = (line.split("=", 1) for line in self.lines(path) if "=" in line)
        return {name.strip(): value.strip().strip("\"'") for name, value in pairs}


def make_readable(folder: Path) -> None:
    """Let us read what the image closes even to its owner (Fedora's /etc/shadow has mode 000)."""
    if os.geteuid() == 0:
        return
    todo = [folder]
    while todo:
        for entry in list(os.scandir(todo.pop())):
            mode = entry.stat(follow_symlinks=False).st_mode
            if stat.S_ISDIR(mode):
                os.chmod(entry.path, 0o700)
                todo.append(Path(entry.path))
            elif stat.S_ISREG(mode):
                os.chmod(entry.path, stat.S_IMODE(mode) | 0o600)


def _mode(path: Path) -> int:
    try:
        return path.lstat().st_mode
    except OSError:
        return 0


def _is_link(path: Path) -> bool:
    return stat.S_ISLNK(_mode(path))
