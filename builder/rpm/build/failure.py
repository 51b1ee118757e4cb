# SPDX-License-Identifier: MIT
"""Why rpmbuild or rpmspec failed, in rpm's own words, out of what it printed."""

from __future__ import annotations

import errno
import os
import re
from pathlib import Path

from builder.errors import BuildError, CommandFailed, InputError, Problem
from builder.rpm.spec.packages import Package
from builder.schema import show_path
from builder.targets import Target


def explain_failure(
    package: Package, target: Target, text: str, *, buildroot: str, log: Path | None
) -> BuildError:
    """Return the error that tells rpm's reason.

    An error of parsing is told with the line of the spec; one of a script with the last line it printed.

    Args:
        text: all that rpm printed.
        buildroot: the folder whose name in the text tells nothing to a user.
        log: where the text stands.
    """
    spec = show_path(package.spec)
    lines = text.replace(buildroot, "BUILDROOT").splitlines()
    at = next((index for index, line in enumerate(lines) if line.startswith("error: ")), None)
    if at is None:
        return CommandFailed(f"rpmbuild failed for {package.name} on {target.name}", log=log)
    reason = lines[at].removeprefix("error: ")
    if match := re.match(r"(?:\S+\.spec: )?line (\d+): (.*)", reason):
        problem = Problem(where=f"{spec}:{match[1]}", message=f"{match[2]} ({target.name})")
        return InputError(problems=[problem], log=log)
    if match := re.match(r"Bad exit status from \S+ \((%\w+)\)", reason):
        said = [line for line in lines[:at] if line.strip() and not line.startswith("+ ")]
        reason = f"{match[1]} failed" + (f": {said[-1].strip()}" if said else "")
    elif reason.endswith(":"):
        # "Installed (but unpackaged) file(s) found:", and the files below it.
        for line in lines[at + 1 :]:
            if not line.startswith(" "):
                break
            reason += f" {line.strip()}"
    reason = re.sub(r"BUILDROOT/[^/\s]+", "", reason)
    full = os.strerror(errno.ENOSPC) in text
    return CommandFailed(
        f"rpmbuild failed for {package.name} on {target.name}: {reason}",
        hint="--work DIR builds where there is more room" if full else f"see {spec}, and the log",
        log=log,
    )
