# SPDX-License-Identifier: MIT
"""A room for programs that parse an image, run it, or talk to it: what it says may take such a program over.

bubblewrap gives each program namespaces of its own: no network, no process of the host, no capability, the
host's programs read-only, the files that it is to read, and what it may write; and a filter of system calls
(`builder.seccomp`). What a parser says, writes and takes has a bound.
"""

from __future__ import annotations

import contextlib
import os
import resource
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from builder import limits, seccomp
from builder.bubblewrap import host_programs, no_environment
from builder.calls import JOIN_SESSION_KEYRING, call, check_machine
from builder.errors import BuildError, CommandFailed
from builder.lowered import Lowered, lowered
from builder.runner import Child, Completed, Process, Runner

# Seconds for one program, and bytes: of memory, and of what it says.
LONGEST = 900.0
MEMORY = 4 << 30
LARGEST_OUTPUT = 64 << 20
# What others may write to the same disk meanwhile: bytes, and files.
SLACK = 1 << 30
SLACK_FILES = 1 << 20

# Of /etc, what loaders and rpm read.
_CONFIGURATION = ("/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld.so.conf.d", "/etc/alternatives", "/etc/rpm")


def run_apart(
    runner: Runner,
    argv: Sequence[str | os.PathLike[str]],
    *,
    readable: Sequence[Path] = (),
    placed: Mapping[str, str] | None = None,
    writable: Path | None = None,
    scratch: Path | None = None,
    room: int = 0,
    folder: Path = Path("/"),
    input: str | None = None,
    most: int | None = None,
    ok: Sequence[int] = (0,),
    env: Mapping[str, str] | None = None,
    hint: str | None = None,
    longest: float = LONGEST,
) -> Completed:
    """Run a program of the host in a room of its own, to its end.

    Args:
        readable: files and folders that it sees, at the same place, read-only.
        placed: files with such texts, some lines each, that it sees as well.
        writable: the one file or folder that it may write, at the same place.
        scratch: a folder that it has as /tmp, and may write.
        room: bytes that it may write.
        folder: where it is started.
        input, most, ok, env, hint: as of Runner.run.
        longest: seconds.

    Raises:
        CommandFailed: as Runner.run, or it wrote more than `room`.
    """
    try:
        written = [one for one in (writable, scratch) if one is not None]
        with (
            _given(placed or {}) as files,
            filtered(seccomp.PARSER) as filter,
            lowered(_sources(readable, written)) as way,
        ):
            at_own_place = [] if writable is None else [writable]
            words = _words(readable, at_own_place, env or {}, way, placed=files, scratch=scratch)
            return runner.run(
                [*words, *filter.words, "--chdir", folder.absolute(), "--", *argv],
                input=input,
                most=most,
                ok=ok,
                hint=hint,
                timeout=longest,
                largest=LARGEST_OUTPUT,
                child=Child(
                    apart=True,
                    pass_fds=(*files.values(), *filter.descriptors),
                    preexec=partial(_limit, longest, way),
                    watch=_watch(argv, writable or scratch, room),
                ),
            )
    except CommandFailed as error:
        error.message = error.message.replace("bwrap", os.path.basename(os.fspath(argv[0])), 1)
        raise


def start_apart(
    runner: Runner,
    argv: Sequence[str | os.PathLike[str]],
    *,
    folder: Path,
    readable: Sequence[Path] = (),
    writable: Sequence[Path] = (),
    devices: Sequence[str] = (),
    log: Path,
) -> Process:
    """Start a program of the host in a room of its own; all of the room ends when its process does, or we do.

    Args:
        folder: where it is started, and may write.
        readable, writable: what else it sees, at the same place.
        devices: the host's devices that it gets, where they exist.
        log: gets its output.
    """
    written = [folder, *writable]
    with filtered(seccomp.MACHINE) as filter, lowered(_sources(readable, written), devices) as way:
        words = _words(readable, written, {}, way, devices=devices)
        line = [*words, *filter.words, "--chdir", folder.absolute(), "--", *argv]
        child = Child(apart=True, pass_fds=filter.descriptors, preexec=partial(withdraw, way))
        return runner.spawn(line, log=log, child=child)


def _words(
    readable: Sequence[Path],
    writable: Sequence[Path],
    env: Mapping[str, str],
    way: Lowered,
    *,
    placed: Mapping[str, int] | None = None,
    scratch: Path | None = None,
    devices: Sequence[str] = (),
) -> list[str | os.PathLike[str]]:
    words: list[str | os.PathLike[str]] = ["bwrap", "--unshare-all", "--die-with-parent", "--new-session"]
    words += ["--cap-drop", "ALL", *no_environment(), *host_programs()]
    for name in _CONFIGURATION:
        words += ["--ro-bind-try", name, name]
    # Read-only: root's own id is root's in /proc, with or without a capability (proc(5)).
    words += ["--proc", "/proc", "--remount-ro", "/proc", "--dev", "/dev"]
    for name in devices:
        words += ["--dev-bind-try", name, name]
    if scratch is not None:
        words += ["--bind", way.place(scratch.absolute()), "/tmp"]
    for path in readable:
        words += ["--ro-bind", way.place(path.resolve()), path.absolute()]
    for place, descriptor in (placed or {}).items():
        words += ["--ro-bind-data", str(descriptor), place]
    for path in writable:
        words += ["--bind", way.place(path.absolute()), path.absolute()]
    # What is left of the room is in memory, and has no bound.
    words += ["--remount-ro", "/dev", "--remount-ro", "/"]
    settings = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8", "HOME": "/", **env}
    for name, value in settings.items():
        words += ["--setenv", name, value]
    return words


def _sources(readable: Sequence[Path], writable: Sequence[Path]) -> list[Path]:
    return [*(path.resolve() for path in readable), *(path.absolute() for path in writable)]


@dataclass(frozen=True, kw_only=True, slots=True)
class Filter:
    """A filter of system calls for bubblewrap: its words, and the descriptor that they name."""

    words: tuple[str, ...] = ()
    descriptors: tuple[int, ...] = ()


@contextlib.contextmanager
def filtered(rules: seccomp.Rules) -> Iterator[Filter]:
    """Yield the filter of `rules`; none on a machine whose calls we do not know: a room is less there."""
    try:
        check_machine()
    except BuildError:
        yield Filter()
        return
    with seccomp.descriptor(rules) as descriptor:
        yield Filter(words=("--seccomp", str(descriptor)), descriptors=(descriptor,))


@contextlib.contextmanager
def _given(texts: Mapping[str, str]) -> Iterator[dict[str, int]]:
    """Yield a descriptor for each place, from which bubblewrap reads the text."""
    files: dict[str, int] = {}
    try:
        for place, text in texts.items():
            files[place], writing = os.pipe()
            os.write(writing, text.encode())
            os.close(writing)
        yield files
    finally:
        for descriptor in files.values():
            os.close(descriptor)


def _watch(
    argv: Sequence[str | os.PathLike[str]], writable: Path | None, room: int
) -> Callable[[], None] | None:
    """Return what looks whether a program fills the disk: a file with a hole may be written out in full."""
    if writable is None:
        return None
    program = os.path.basename(os.fspath(argv[0]))
    least = shutil.disk_usage(writable).free - room - SLACK
    least_files = os.statvfs(writable).f_favail - SLACK_FILES

    def look() -> None:
        if shutil.disk_usage(writable).free < least:
            raise CommandFailed(f"{program} was ended: the image makes it write more than {room >> 20} MiB")
        # Some file systems make their inodes when they need them, and count none.
        if 0 < os.statvfs(writable).f_favail < least_files:
            raise CommandFailed(
                f"{program} was ended: the image makes it write more than {SLACK_FILES} files"
            )

    return look


def _limit(longest: float, way: Lowered) -> None:
    # One that nobody is left to end does not compute for ever.
    limits.bound(resource.RLIMIT_CPU, int(longest))
    limits.bound(resource.RLIMIT_DATA, MEMORY)
    limits.bound(resource.RLIMIT_CORE, 0)
    withdraw(way)


def withdraw(way: Lowered) -> None:
    """Have an empty session keyring in place of the user's (session-keyring(7)), and go the `way`.

    And be what the kernel ends first when the machine's memory ends.
    """
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")
    # On a machine whose calls we do not know the user's stays: a room is less there, but not nothing.
    with contextlib.suppress(BuildError):
        call("keyctl", JOIN_SESSION_KEYRING, None)
    way.enter()
