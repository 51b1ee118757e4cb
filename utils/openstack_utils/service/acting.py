# SPDX-License-Identifier: MIT
"""Doing a verb to services, one after the other, each by the host's own command."""

import sys
import tempfile
from typing import NamedTuple

from ..errors import AccessError
from ..host import processes

# What systemctl, polkit, D-Bus, chkconfig and init scripts say to who may not.
REFUSED = ("access denied", "authentication required", "permission denied", "not authorized", "only root",
           "must be root", "operation not permitted")  # fmt: skip
DONE, FAILED, NOT_DONE = "done", "failed", "not done"


class Outcome(NamedTuple):
    """What became of one Service: `result`, and the error of a failed one."""

    service: object
    argv: list
    result: str
    error: str = ""


def act(commands, say):
    """Run [(Service, argv)] in their order; return the Outcomes. `say(text)` gets a line for each.

    One that fails does not stop the others. Raises AccessError where we may not: the first one
    that is refused ends it all, as the others would be.
    """
    outcomes = []
    for service, argv in commands:
        say("%s %s" % (_verb(argv), service.unit))
        code, said = _run(argv)
        if code == 0:
            outcomes.append(Outcome(service, argv, DONE))
            continue
        if any(words in said.lower() for words in REFUSED):
            raise AccessError("%s: %s" % (" ".join(argv), said), hint="run it as root: sudo")
        outcomes.append(Outcome(service, argv, FAILED, said or "exit status %d" % code))
    return outcomes


def show(argv):
    """Run a command whose text is the result, to our own stdout; return its exit code."""
    sys.stdout.flush()
    child = processes.start(argv, apart=False)
    return child.wait()


def _run(argv):
    """Run a command; return (exit code, what it wrote in one line).

    What it writes goes to a file: a daemon that an init script starts may keep a pipe open for ever.
    """
    with tempfile.TemporaryFile() as file:
        child = processes.start(argv, apart=False, stdout=file, stderr=file)
        code = child.wait()
        file.seek(0)
        lines = file.read().decode("utf-8", "replace").split("\n")
    return code, "; ".join(line.strip() for line in lines if line.strip())


def _verb(argv):
    return argv[-1] if argv[0] in ("service", "chkconfig") else argv[-2]
