# SPDX-License-Identifier: MIT
"""The programs of the services: where they are, which Python runs them, and running them.

They run as the service's user (so that log files keep their owner), with a bare environment, and die
with us. What they print goes to a log, passwords masked.
"""

import os
import pwd
import shutil
import signal
import subprocess
import sys
import time
from typing import NamedTuple

from ..errors import AccessError, UtilityError
from ..storage.descriptors import system_error

# A terminal's user may have less than what root needs.
FOLDERS = ("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin")
STARTER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "starter.py")
PATIENCE = 10
LAST_LINES = 12


class Identity(NamedTuple):
    """Whom a program runs as; None for uid is whoever we are."""

    name: str
    uid: int = None
    gid: int = None
    home: str = "/"


def search_path():
    """Return the folders in which programs are looked for, as PATH has them."""
    given = os.environ.get("PATH", "").split(os.pathsep)
    return os.pathsep.join(list(dict.fromkeys(given + list(FOLDERS))))


def find_program(name):
    """Return the path of a program, or None."""
    return shutil.which(name, path=search_path())


def interpreter_of(program):
    """Return the interpreter that a script names in its first line, or None.

    pip writes `#!/bin/sh` and a second line where the path is too long for the first.
    """
    try:
        with open(program, "rb") as file:
            lines = file.read(4096).split(b"\n")
    except (OSError, TypeError):
        return None
    if not lines[0].startswith(b"#!"):
        return None
    words = lines[0][2:].decode("utf-8", "surrogateescape").split()
    if words and os.path.basename(words[0]) == "sh" and len(lines) > 1 and b"exec'" in lines[1]:
        text = lines[1].decode("utf-8", "surrogateescape")
        return text.partition("exec'")[2].strip().strip('"').partition('" "')[0].strip('"')
    if words and os.path.basename(words[0]) == "env":
        return find_program(words[1]) if len(words) > 1 else None
    return words[0] if words else None


def identity_of(user, root="", must_exist=True):
    """Return the Identity of a service's user: of the system, or of --root's own passwd file.

    Who is not root can only be himself. Raises AccessError when there is no such user.
    """
    if os.geteuid() != 0:
        return Identity(user)
    if root:
        found = _in_passwd(os.path.join(root, "etc/passwd"), user)
        return found or Identity(user)
    try:
        entry = pwd.getpwnam(user)
    except KeyError:
        if not must_exist:
            return Identity(user)
        raise AccessError(
            "there is no user %s, as whom its commands run" % user,
            hint="install the package of the service first",
        ) from None
    return Identity(user, entry.pw_uid, entry.pw_gid, entry.pw_dir)


def _in_passwd(path, user):
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            for line in file:
                fields = line.rstrip("\n").split(":")
                if len(fields) == 7 and fields[0] == user:
                    return Identity(user, int(fields[2]), int(fields[3]), fields[5])
    except (OSError, ValueError):
        pass
    return None


class Programs:
    """Runs the commands of one service."""

    def __init__(self, identity, log, secrets, stop):
        self.identity = identity
        self.log = log
        self.secrets = secrets
        self.stop = stop

    def run(self, argv, ok=(0,)):
        """Run a command, its output to the log; return its exit code.

        Raises AccessError when it is not installed, UtilityError when it ends with a code that is not
        `ok`: the end of its output is in the message.
        """
        lines = []
        with _open_log(self.log) as log:
            log.write(time.strftime("%Y-%m-%d %H:%M:%S ") + "+ %s\n" % " ".join(argv))

            def take(line):
                lines.append(line)
                del lines[:-LAST_LINES]
                log.write(line + "\n")

            code = self._run(argv, take)
            log.write("exit %d\n" % code)
        self.stop.check()
        if code not in ok:
            words = " ".join(argv)
            how = "ended with %d" % code if code >= 0 else "was ended by signal %d" % -code
            error = UtilityError("%s %s" % (words, how), hint="its whole output: %s" % self.log)
            error.details = [line for line in lines if line.strip()]
            raise error
        return code

    def output(self, argv):
        """Run a command and return (code, what it printed)."""
        lines = []
        code = self._run(argv, lines.append)
        self.stop.check()
        return code, "\n".join(lines)

    def _run(self, argv, take):
        child = self._start(argv)
        forget = self.stop.on_request(lambda: _end(child))
        try:
            for line in child.stdout:
                take(self.secrets.mask(line.decode("utf-8", "replace").rstrip("\r\n")))
            return child.wait()
        finally:
            forget()
            child.stdout.close()
            if child.poll() is None:
                _end(child)
                child.wait()

    def _start(self, argv):
        program, identity = find_program(argv[0]), self.identity
        if program is None:
            raise AccessError("%s is not installed" % argv[0])
        owner = [] if identity.uid is None else [str(identity.uid), str(identity.gid), identity.name]
        return subprocess.Popen(
            [sys.executable, "-I", "-S", STARTER, str(os.getpid()), ":".join(owner), program] + argv[1:],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd="/",
            env=_environment(identity),
            # Ctrl-C is for us: we end it, and take back what it did.
            start_new_session=True,
        )


def _environment(identity):
    names = ("TZ",) if identity.uid is not None else ("TZ", "HOME", "USER")
    kept = {name: os.environ[name] for name in names if name in os.environ}
    kept.update(PATH=search_path(), LC_ALL="C.UTF-8")
    if identity.uid is not None:
        kept.update(HOME=identity.home, USER=identity.name)
    return kept


def _end(child):
    """End a program and what it started: SIGTERM, and SIGKILL when that was not enough."""
    deadline = time.monotonic() + PATIENCE
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(child.pid, number)
        except ProcessLookupError:
            return
        while child.poll() is None and time.monotonic() < deadline:
            time.sleep(0.02)


def _open_log(path):
    try:
        os.makedirs(os.path.dirname(path), mode=0o750, exist_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(path, flags, 0o600)
    except OSError as error:
        raise system_error(path, error) from None
    return open(descriptor, "w", encoding="utf-8", errors="backslashreplace", buffering=1)


def give_log_back(user, identity, root):
    """Give a log file of the service that a run as root left to the service's user (rhbz#1044155)."""
    if identity.uid is None:
        return
    path = os.path.join(root or "/", "var/log", user, user + "-manage.log")
    try:
        status = os.lstat(path)
        if status.st_uid == 0 and identity.uid != 0:
            os.chown(path, identity.uid, identity.gid, follow_symlinks=False)
    except OSError:
        # Not there: the service makes it.
        return
