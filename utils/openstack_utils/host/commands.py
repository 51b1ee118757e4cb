# SPDX-License-Identifier: MIT
"""The host's own programs, with a limit of time: systemctl, service, chkconfig, journalctl."""

import os
import signal
import subprocess
from typing import NamedTuple

from .programs import find_program, search_path
from ..errors import AccessError, UnreachableError, UtilityError

NEVER_ALONE = 2


class Done(NamedTuple):
    """What a program ended with, and wrote to stdout and stderr."""

    code: int
    raw: bytes
    said: str

    @property
    def out(self):
        return self.raw.decode("utf-8", "replace")


def output(argv, limit=None, ok=(0,), environment=None):
    """Run a program to its end and return a Done; it gets no input and a session of its own.

    `ok` None takes every exit code. Raises AccessError when it is not installed, UnreachableError when it
    took more than `limit` seconds, UtilityError when its exit code is not in `ok`.
    """
    child = start(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, alone=True, environment=environment)
    try:
        out, err = child.communicate(timeout=limit)
    except subprocess.TimeoutExpired:
        message = "%s: no answer within %g s" % (" ".join(argv[:NEVER_ALONE]), limit)
        raise UnreachableError(message) from None
    finally:
        end(child)
    said = " ".join(err.decode("utf-8", "replace").split())
    if ok is not None and child.returncode not in ok:
        what = " ".join(argv[:NEVER_ALONE])
        raise UtilityError("%s: %s" % (what, said or "exit status %d" % child.returncode))
    return Done(child.returncode, out, said)


def start(argv, alone=False, environment=None, **streams):
    """Start a program with a plain environment; `alone` keeps the terminal's signals from it."""
    program = find_program(argv[0])
    if program is None:
        raise AccessError("%s is not installed" % argv[0])
    return subprocess.Popen(
        [program] + argv[1:],
        stdin=subprocess.DEVNULL,
        env=dict(plain_environment(), **(environment or {})),
        start_new_session=alone,
        **streams,
    )


def end(child):
    """End what still runs of a program that was started alone, with all that it started."""
    if child.poll() is None:
        try:
            os.killpg(child.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        child.wait()
    for stream in (child.stdout, child.stderr):
        if stream is not None:
            stream.close()


def plain_environment():
    """Return what the host's programs get: no variable of ours but those that say where things are."""
    kept = {name: os.environ[name] for name in ("TZ", "HOME", "USER", "TERM") if name in os.environ}
    kept.update(PATH=search_path(), LC_ALL="C.UTF-8", SYSTEMD_COLORS="0", SYSTEMD_PAGER="")
    return kept
