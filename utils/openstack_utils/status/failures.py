# SPDX-License-Identifier: MIT
"""The last error that a service that failed has said: in the journal, else in its log. No secret of it."""

import os
import re

from ..errors import UtilityError
from ..host import processes

LINES = "60"
TAIL = 64 * 1024
LONGEST = 300
BAD = re.compile(r"\b(ERROR|CRITICAL|FATAL|Error|Exception|error|failed|fatal)\b|Error:|Exception:")
# A password in a URL, and the value of what is named like one.
SECRETS = (
    (re.compile(r"(://[^/\s:@]*:)[^/\s@]+@"), r"\1***@"),
    (
        re.compile(r"(?i)\b([a-z_.-]*(?:password|passwd|secret|token|pass_phrase)['\"]?\s*[=:]\s*)(\S+)"),
        r"\1***",
    ),
)


def last_error(service, log, limit):
    """Return the line that says best why a service failed, "" where none can be read."""
    lines = _journal(service.unit, limit) or (_tail(log) if log else [])
    return choose(lines)


def choose(lines):
    """Return the last line that mentions an error, else the last one; shortened, without passwords. Pure."""
    lines = [line.strip() for line in lines if line.strip() and not line.startswith("-- ")]
    bad = [line for line in lines if BAD.search(line)]
    return mask((bad or lines or [""])[-1])[:LONGEST]


def mask(text):
    for pattern, replacement in SECRETS:
        text = pattern.sub(replacement, text)
    return text


def _journal(unit, limit):
    """Return the last lines of the service itself, not what systemd says of it."""
    argv = ["journalctl", "--no-pager", "--quiet", "-b", "-o", "cat", "-n", LINES,
            "_SYSTEMD_UNIT=%s.service" % unit]  # fmt: skip
    try:
        return processes.run(argv, limit=limit.left(), ok=None).out.splitlines()
    except UtilityError:
        return []


def _tail(path):
    try:
        with open(path, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            file.seek(max(0, size - TAIL))
            return file.read().decode("utf-8", "replace").splitlines()
    except OSError:
        return []
