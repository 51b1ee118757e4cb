# SPDX-License-Identifier: MIT
"""What `rpm -V` says of a started guest, and which differences from the packages are right there."""

from __future__ import annotations

import re
from collections.abc import Collection

from builder.guest.checks.authored import is_changed

# Differences from the packages that are right in a started guest: pattern, flags allowed, reason.
EXPECTED_DIFFERENCES = (
    (r"/boot/efi(/|$)", "MUGT", "vfat has no owners and modes"),
    (r"/(run|var/run|dev|proc|sys)(/|$)", "SM5DLUGTPm", "made again at each start"),
    (r"/etc/machine-id$", "SM5T", "written at the first start"),
    (r"/var/log/(lastlog|wtmp|btmp|tallylog)$", "SM5UGT", "written by logins"),
    (r"/var/lib/(systemd|cloud|chrony|dbus)(/|$)", "S5T", "state of running services"),
    (r"/var/(lib|log)/chrony$", "M", "systemd gives it the mode of the unit (StateDirectoryMode=)"),
    (r"/etc/(resolv\.conf|mtab|hostname|hosts|localtime)$", "S5LTm", "written by the build or cloud-init"),
)


def judge_verification(lines: list[str], changed: Collection[str] = ()) -> tuple[list[str], list[str]]:
    """Return (unexpected differences, changed files) of `rpm -V` output (rpm(8), VERIFY).

    `changed` is what scripts changed, with the right to do so.

    Configuration files are there to be changed: their content may differ, their owners may not. Ghosts are
    nobody's content. A time alone is not a difference: builds clamp times to be reproducible.
    """
    problems, configuration = [], []
    for line in lines:
        match = re.match(r"^(missing|[SM5DLUGTP.?]{9})\s+(?:([cdglr])\s+)?(/.*)$", line)
        if match is None:
            problems.append(line)
            continue
        flags, kind, path = match.groups()
        # In parentheses after the path rpm says why it could not read the file.
        path = path.partition(" (")[0] if path.endswith(")") else path
        marks = set(flags) - set(".T?") if flags != "missing" else {"m"}
        if kind == "g" or not marks:
            continue
        allowed = {
            flag
            for pattern, flags_allowed, _reason in EXPECTED_DIFFERENCES
            if re.match(pattern, path)
            for flag in flags_allowed
        }
        if (kind == "c" and marks <= {"S", "5"}) or is_changed(path, changed, missing=marks == {"m"}):
            configuration.append(path)
        elif marks - allowed:
            problems.append(f"{path}: {'missing' if marks == {'m'} else flags}")
    return problems, configuration
