# SPDX-License-Identifier: MIT
"""Processes that end when we do, whatever ends us and at whatever moment: for a child, between fork and exec.

To ask the kernel for a signal at the parent's death (prctl(2)) is not enough: the parent may have died
before, and what the child starts has not asked at all. So the child looks whether its parent is still there,
and `begin_world` makes it the first process of a pid namespace, of which the kernel leaves nothing alive when
that process ends (pid_namespaces(7)).
"""

from __future__ import annotations

import ctypes
import errno
import os
import signal
from collections.abc import Callable
from pathlib import Path

from builder.calls import (
    CLONE_NEWNS,
    CLONE_NEWPID,
    CLONE_NEWUSER,
    MS_NODEV,
    MS_NOEXEC,
    MS_NOSUID,
    MS_REC,
    MS_SLAVE,
)

_PR_SET_PDEATHSIG = 1
# As a shell gives the number of the signal that ended a program.
_SIGNALLED = 128

_libc = ctypes.CDLL(None, use_errno=True)


def die_with_parent(parent: int | None = None) -> None:
    """Ask the kernel to kill this process when its parent dies.

    Args:
        parent: the parent's id, where it may have died already: then this process ends here.
    """
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if parent is not None and os.getppid() != parent:
        os._exit(1)


def begin_world(parent: int, settle: Callable[[], None] | None = None) -> None:
    """Go on as the first process of a pid namespace that lives no longer than this process's parent.

    What called this waits for it and ends as it does, with no descriptor of its own left open. Where the
    kernel allows no such namespace, this process goes on as it is, and dies with its parent.

    Args:
        parent: as of `die_with_parent`.
        settle: called in this process when all else is done. It may change ids.
    """
    made = _unshare()
    # A new user namespace may have cleared what was asked before (prctl(2)).
    die_with_parent(parent)
    if not made:
        if settle:
            settle()
        return
    waiting, held = os.pipe()
    first = os.fork()
    if first:
        _wait(first, held)
    os.close(held)
    # bubblewrap looks its children up in /proc by their ids here. What the host unmounts goes here as well.
    _libc.mount(None, b"/", None, ctypes.c_ulong(MS_REC | MS_SLAVE), None)
    _libc.mount(b"proc", b"/proc", b"proc", ctypes.c_ulong(MS_NOSUID | MS_NODEV | MS_NOEXEC), None)
    if settle:
        settle()
    # Now: a change of ids clears what was asked before (prctl(2)).
    die_with_parent()
    # The other end is closed by the death of the process that waits: before we asked, or not yet.
    os.set_blocking(waiting, False)
    try:
        if os.read(waiting, 1) == b"":
            os._exit(1)
    except BlockingIOError:
        os.close(waiting)


def _unshare() -> bool:
    """Make a pid namespace for the next child; say whether there is one. It takes no right of root's."""
    spaces = CLONE_NEWPID | CLONE_NEWNS
    if _libc.unshare(spaces) == 0:
        return True
    if ctypes.get_errno() != errno.EPERM:
        return False
    uid, gid = os.geteuid(), os.getegid()
    if _libc.unshare(CLONE_NEWUSER | spaces) != 0:
        return False
    # One may map oneself only, and groups only after giving up setgroups(2) (user_namespaces(7)).
    for name, text in (("setgroups", "deny"), ("uid_map", f"{uid} {uid} 1"), ("gid_map", f"{gid} {gid} 1")):
        Path("/proc/self", name).write_text(text)
    return True


def _wait(first: int, held: int) -> None:
    """Wait for the world's first process, and end as it did. Never returns."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    # Whoever waits for the end of a pipe waits for the program, not for us.
    os.dup2(held, 0)
    os.closerange(1, os.sysconf("SC_OPEN_MAX"))
    _, status = os.waitpid(first, 0)
    code = os.waitstatus_to_exitcode(status)
    os._exit(code if code >= 0 else _SIGNALLED - code)
