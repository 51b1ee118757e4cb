# SPDX-License-Identifier: MIT
"""The one module that starts processes: with a plain environment, no input, and a session of their own.

Whoever runs them sees Ctrl-C alone, and ends them. The environment is the same for all: no variable of
the caller's but those that say where things are; a secret gets in by `extra` only, which no message shows.
"""

import os
import signal
import subprocess
import sys
import tempfile
import time
from typing import NamedTuple

from ..errors import AccessError, UnreachableError, UtilityError
from .programs import find_program, search_path

STARTER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "starter.py")
PATIENCE = 10
KEPT = ("TZ", "TERM")
OURS = ("HOME", "USER")


class Done(NamedTuple):
    """How a program ended: its exit code (below 0: of a signal), the bytes of its stdout, its stderr."""

    code: int
    raw: bytes
    err: str

    @property
    def out(self):
        """stdout as text."""
        return self.raw.decode("utf-8", "replace")

    @property
    def said(self):
        """stderr in one line."""
        return " ".join(self.err.split())


def run(argv, *, limit=None, ok=(0,), identity=None, extra=None, patience=0.0, given=None, stop=None):
    """Run a program to its end; return a Done.

    argv: the program's name, which is looked for in search_path(), and its arguments.
    limit: seconds; None: as long as it takes. ok: exit codes that are well; None takes every code.
    identity: the Identity to run as; the program then dies with us. extra: more variables.
    patience: seconds between SIGTERM and SIGKILL when it is ended; None: it is never killed.
    given: bytes for its stdin, at most a pipe full (64 KiB); a secret gets in so.
    stop: the Stop of the run, where another thread gets the signals: a request to stop ends the program.

    Raises AccessError when it is not installed, UnreachableError after `limit`, UtilityError for
    another code.
    """
    # Files, not pipes: a daemon that keeps its end open would hold us up.
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        with _pipe_with(given) as stdin:
            child = start(argv, identity=identity, extra=extra, stdin=stdin, stdout=out, stderr=err)
        forget = stop.on_request(lambda: end(child, patience)) if stop else None
        try:
            child.wait(limit)
        except subprocess.TimeoutExpired:
            message = "%s: no answer within %g s" % (_short(argv), limit)
            raise UnreachableError(message) from None
        finally:
            if forget:
                forget()
            end(child, patience)
        done = Done(child.returncode, _read(out), _read(err).decode("utf-8", "replace"))
    if ok is not None and done.code not in ok:
        raise UtilityError("%s: %s" % (_short(argv), done.said or how_it_ended(done.code)))
    return done


def stream(argv, take, *, identity=None, stop=None):
    """Run a program and call `take(line)` for each line of its output as it comes; return its exit code.

    `stop` is the Stop of the run: a request to stop ends the program. Raises AccessError.
    """
    child = start(argv, identity=identity, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    forget = stop.on_request(lambda: end(child, PATIENCE)) if stop else None
    try:
        for line in child.stdout:
            take(line.decode("utf-8", "replace").rstrip("\r\n"))
        return child.wait()
    finally:
        if forget:
            forget()
        child.stdout.close()
        end(child, PATIENCE)


def start(argv, *, identity=None, extra=None, apart=True, **streams):
    """Start a program; return its Popen. Unless it is `apart`, the terminal's signals reach it too.

    Raises AccessError when it is not installed.
    """
    program = find_program(argv[0])
    if program is None:
        raise AccessError("%s is not installed" % argv[0])
    words = [program] + list(argv[1:])
    if identity is not None:
        owner = [] if identity.uid is None else [str(identity.uid), str(identity.gid), identity.name]
        words = [sys.executable, "-I", "-S", STARTER, str(os.getpid()), ":".join(owner)] + words
    return subprocess.Popen(
        words,
        cwd="/",
        env=dict(plain_environment(identity), **(extra or {})),
        start_new_session=apart,
        **dict({"stdin": subprocess.DEVNULL}, **streams),
    )


def end(child, patience=0.0):
    """End what still runs of a program, with all that it started: SIGTERM, and SIGKILL after `patience`."""
    if child.poll() is None and patience != 0:
        _signal_group(child, signal.SIGTERM)
        deadline = None if patience is None else time.monotonic() + patience
        while child.poll() is None and (deadline is None or time.monotonic() < deadline):
            time.sleep(0.02)
    if child.poll() is None:
        _signal_group(child, signal.SIGKILL)
        child.wait()


def plain_environment(identity=None):
    """Return the environment of every program: where programs are, the user's home, no colours, English."""
    is_other = identity is not None and identity.uid is not None
    kept = {name: os.environ[name] for name in KEPT + (() if is_other else OURS) if name in os.environ}
    kept.update(PATH=search_path(), LC_ALL="C.UTF-8", SYSTEMD_COLORS="0", SYSTEMD_PAGER="")
    if is_other:
        kept.update(HOME=identity.home, USER=identity.name)
    return kept


def how_it_ended(code):
    """Return the exit code of a program in words."""
    return "ended with %d" % code if code >= 0 else "was ended by signal %d" % -code


def _signal_group(child, number):
    try:
        os.killpg(child.pid, number)
    except ProcessLookupError:
        pass


def _pipe_with(data):
    """Return a file to read `data` from; /dev/null for None."""
    if data is None:
        return open(os.devnull, "rb")
    reading, writing = os.pipe()
    try:
        os.write(writing, data)
    finally:
        os.close(writing)
    return os.fdopen(reading, "rb")


def _read(file):
    file.seek(0)
    return file.read()


def _short(argv):
    return " ".join(argv[:2])
