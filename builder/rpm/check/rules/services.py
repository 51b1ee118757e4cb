# SPDX-License-Identifier: MIT
"""Do the units work?"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

from builder.rpm.check.context import CheckContext
from builder.rpm.check.package import BuiltPackage, PackagedFile
from builder.targets import Init

UNITS = "/usr/lib/systemd/system/"
# systemd's own units, without which none of a package's can be loaded.
HOST_UNITS = (Path("/usr/lib/systemd/system"), Path("/lib/systemd/system"))
EXEC = re.compile(r"^Exec(?:Start|StartPre|StartPost|Reload|Stop|StopPost)=[-@:+!|]*(\S+)", re.MULTILINE)


def unit_does_not_verify(package: BuiltPackage, context: CheckContext) -> Iterator[str]:
    units = _services(package)
    if not units or context.target.init is Init.SYSV:
        return
    root = context.work / package.name
    _unpack(package, root, context)
    names = [unit.path.removeprefix(UNITS).replace("@.", "@1.") for unit in units]
    done = context.runner.run(
        ["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", f"--root={root}", *names], ok=()
    )
    for line in dict.fromkeys((done.stdout + done.stderr).splitlines()):
        yield line.replace(str(root), "")


def daemon_not_among_the_packages(package: BuiltPackage, context: CheckContext) -> Iterator[str]:
    # A program of a package that has its name, curl for one.
    required = {dependency.name for dependency in package.requires}
    for unit in _services(package):
        for command in dict.fromkeys(EXEC.findall(unit.text or "")):
            if command.rpartition("/")[2] in required:
                continue
            if command not in context.paths and f"/usr/bin/{command}" not in context.paths:
                yield f"{unit.path}: {command} is in none of the packages that are checked"


def _services(package: BuiltPackage) -> list[PackagedFile]:
    return [file for file in package.files if re.fullmatch(rf"{UNITS}[^/]+\.(service|socket)", file.path)]


def _unpack(package: BuiltPackage, root: Path, context: CheckContext) -> None:
    """Put into `root` what systemd-analyze looks at: units, and a program for each that they start."""
    folder = root / UNITS.strip("/")
    folder.mkdir(parents=True)
    host = next((path for path in HOST_UNITS if path.is_dir()), None)
    for path in host.iterdir() if host else ():
        if path.suffix in (".target", ".slice") and path.is_file():
            shutil.copy(path, folder)
    for sibling in context.siblings[package.source]:
        for unit in _services(sibling):
            (root / unit.path.lstrip("/")).write_bytes(unit.data or b"")
    for unit in _services(package):
        for command in EXEC.findall(unit.text or ""):
            program = root / (command.lstrip("/") if command.startswith("/") else f"usr/bin/{command}")
            program.parent.mkdir(parents=True, exist_ok=True)
            program.write_bytes(b"#!/bin/sh\n")
            program.chmod(0o755)


RULES = (unit_does_not_verify, daemon_not_among_the_packages)
