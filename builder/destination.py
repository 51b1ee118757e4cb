# SPDX-License-Identifier: MIT
"""The place where a result is to go: only a regular file, or nothing, is ever replaced.

As root, renaming a new file over /dev/null takes the device away from the whole machine. So a device, a FIFO
or a socket is written to, a symbolic link is followed to its regular file, and a folder is refused.
"""

from __future__ import annotations

import os
import socket
import stat
from dataclasses import dataclass
from pathlib import Path

from builder.errors import InputError

# As many as the kernel follows (path_resolution(7)).
MOST_LINKS = 40


@dataclass(frozen=True, kw_only=True, slots=True)
class Destination:
    """Where the bytes go: `path` with all links followed.

    `is_stream`: what is there takes bytes and is not replaced (a device, a FIFO, a socket, or a file that
    /proc gives to an open descriptor, such as /dev/stdout).
    """

    path: Path
    is_stream: bool


def find_destination(path: Path) -> Destination:
    """Return where a file called `path` is to be written.

    Raises:
        InputError: a folder is there, or a link that leads nowhere or in a circle.
        OSError: the file system does not say.
    """
    place = path
    for _ in range(MOST_LINKS):
        try:
            mode = place.lstat().st_mode
        except FileNotFoundError:
            if place != path:
                raise InputError(
                    f"{path}: a link to {place}, which does not exist", hint="remove the link"
                ) from None
            return Destination(path=place, is_stream=False)
        if _is_descriptor(place):
            return Destination(path=place, is_stream=True)
        if not stat.S_ISLNK(mode):
            if stat.S_ISDIR(mode):
                raise InputError(f"{path}: is a folder", hint="name a file")
            return Destination(path=place, is_stream=not stat.S_ISREG(mode))
        place = place.parent / place.readlink()
    raise InputError(f"{path}: a link that leads in a circle", hint="remove the link")


def write_stream(path: Path, data: bytes) -> None:
    """Write `data` to a device, a FIFO, a socket or an open descriptor, from its beginning to its end.

    Raises:
        OSError: it cannot be opened or takes no more.
    """
    if stat.S_ISSOCK(path.stat().st_mode) and not _is_descriptor(path):
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(os.fspath(path))
            connection.sendall(data)
        return
    descriptor = os.open(path, os.O_WRONLY | os.O_NOCTTY | os.O_CLOEXEC | os.O_APPEND)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)


def _is_descriptor(path: Path) -> bool:
    """Say whether `path` is a link of /proc/PID/fd: what it names is open already."""
    folder = os.path.realpath(path.parent)
    return folder.startswith("/proc/") and folder.endswith("/fd")
