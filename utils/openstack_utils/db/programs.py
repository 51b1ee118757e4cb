# SPDX-License-Identifier: MIT
"""Runs a service's own commands as the service's user, so that log files keep their owner.

What they print goes to a log, passwords masked.
"""

import os
import time

from ..errors import UtilityError
from ..host import processes
from ..storage.descriptors import system_error

LAST_LINES = 12


class Programs:
    """The commands of one service."""

    def __init__(self, identity, log, secrets, stop):
        self.identity = identity
        self.log = log
        self.secrets = secrets
        self.stop = stop

    def run(self, argv, ok=(0,)):
        """Run a command, its output to the log; return its exit code.

        Raises AccessError when it is not installed, UtilityError when it ends with a code that is not
        `ok`: the end of its output is in `details`.
        """
        code, lines = self.logged(argv)
        if code not in ok:
            message = "%s %s" % (" ".join(argv), processes.how_it_ended(code))
            error = UtilityError(message, hint="its whole output: %s" % self.log)
            error.details = [line for line in lines if line.strip()]
            raise error
        return code

    def logged(self, argv):
        """Run a command, its output to the log; return (exit code, the end of its output as lines)."""
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
        return code, lines

    def _run(self, argv, take):
        def masked(line):
            take(self.secrets.mask(line))

        return processes.stream(argv, masked, identity=self.identity, stop=self.stop)


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
