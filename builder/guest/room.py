# SPDX-License-Identifier: MIT
"""A room for programs that parse an image: its bytes may be made to take a parser over.

bubblewrap gives each program namespaces of its own: no network, no process of the host, no capability, the
host's programs read-only, the files that it is to read, and one folder or file that it may write. What it
says, writes and takes has a bound.
"""

from __future__ import annotations

import os
import resource
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from builder.errors import CommandFailed
from builder.runner import Child, Completed, Runner

# Seconds for one program, and bytes: of memory, and of what it says.
LONGEST = 900.0
MEMORY = 4 << 30
LARGEST_OUTPUT = 64 << 20
# What others may write to the same disk meanwhile.
SLACK = 1 << 30

_PROGRAMS = ("/usr",)
_LINKED = ("/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")
# Of /etc, what loaders and rpm read.
_CONFIGURATION = ("/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld.so.conf.d", "/etc/alternatives", "/etc/rpm")


def run_apart(
    runner: Runner,
    argv: Sequence[str | os.PathLike[str]],
    *,
    readable: Sequence[Path] = (),
    writable: Path | None = None,
    room: int = 0,
    ok: Sequence[int] = (0,),
    env: Mapping[str, str] | None = None,
) -> Completed:
    """Run a program of the host in a room of its own.

    Args:
        readable: files and folders that it sees, at the same place, read-only.
        writable: the one file or folder that it may write, at the same place.
        room: bytes that it may write.
        ok, env: as of Runner.run.

    Raises:
        CommandFailed: as Runner.run, or it wrote more than `room`.
    """
    words: list[str | os.PathLike[str]] = ["bwrap", "--unshare-all", "--die-with-parent", "--new-session"]
    words += ["--cap-drop", "ALL", "--clearenv"]
    for name in _PROGRAMS:
        words += ["--ro-bind", name, name]
    for name in _LINKED:
        if os.path.islink(name):
            words += ["--symlink", os.readlink(name), name]
        elif os.path.isdir(name):
            words += ["--ro-bind", name, name]
    for name in _CONFIGURATION:
        words += ["--ro-bind-try", name, name]
    words += ["--proc", "/proc", "--dev", "/dev", "--size", str(64 << 20), "--tmpfs", "/tmp"]
    for path in readable:
        words += ["--ro-bind", path.resolve(), path.absolute()]
    if writable is not None:
        words += ["--bind", writable.absolute(), writable.absolute()]
    words += ["--remount-ro", "/"]
    settings = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8", "HOME": "/tmp", **(env or {})}
    for name, value in settings.items():
        words += ["--setenv", name, value]
    try:
        return runner.run(
            [*words, "--chdir", "/", "--", *argv],
            ok=ok,
            timeout=LONGEST,
            largest=LARGEST_OUTPUT,
            child=Child(preexec=_limit, watch=_watch(argv, writable, room)),
        )
    except CommandFailed as error:
        error.message = error.message.replace("bwrap", os.path.basename(os.fspath(argv[0])), 1)
        raise


def _watch(
    argv: Sequence[str | os.PathLike[str]], writable: Path | None, room: int
) -> Callable[[], None] | None:
    """Return what looks whether a program fills the disk: a file with a hole may be written out in full."""
    if writable is None:
        return None
    least = shutil.disk_usage(writable).free - room - SLACK

    def look() -> None:
        if shutil.disk_usage(writable).free < least:
            raise CommandFailed(
                f"{os.path.basename(os.fspath(argv[0]))} was ended: "
                f"the image makes it write more than {room >> 20} MiB"
            )

    return look


def _limit() -> None:
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
