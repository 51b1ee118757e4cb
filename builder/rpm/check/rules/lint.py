# SPDX-License-Identifier: MIT
"""What rpmlint says, with the configuration in specs/checks/rpmlint/ and the accounts of the catalogue."""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

from builder import tools
from builder.catalogue.model import Catalogue
from builder.errors import ToolMissing
from builder.places import SPECS
from builder.rpm.check.context import CheckContext
from builder.rpm.check.package import BuiltPackage

LINE = re.compile(r"(\S+\.(?:noarch|src|x86_64)): ([EW]): (.+)")
CONFIGURATION = SPECS / "checks/rpmlint"


def rpmlint_error(package: BuiltPackage, context: CheckContext) -> Iterator[str]:
    yield from _said(context).get((_name(package), "E"), ())


def rpmlint_warning(package: BuiltPackage, context: CheckContext) -> Iterator[str]:
    yield from _said(context).get((_name(package), "W"), ())


def _name(package: BuiltPackage) -> str:
    return f"{package.name}.{'src' if package.is_source else 'noarch'}"


@cache
def _said(context: CheckContext) -> Mapping[tuple[str, str], tuple[str, ...]]:
    """Return what rpmlint says of (package, level); it is started once for all packages."""
    folder = context.work / "rpmlint"
    folder.mkdir()
    for name in ("all.toml", f"{context.target.name}.toml"):
        if (CONFIGURATION / name).is_file():
            shutil.copy(CONFIGURATION / name, folder)
    (folder / "accounts.toml").write_text(_accounts(context.catalogue), encoding="utf-8")
    done = context.runner.run(
        [_rpmlint(), "--config", folder, *(package.path for package in context.packages)],
        ok=(),
    )
    found: dict[tuple[str, str], tuple[str, ...]] = {}
    for line in done.stdout.splitlines():
        if match := LINE.fullmatch(line):
            key = (match[1], match[2])
            found[key] = (*found.get(key, ()), match[3])
    return found


def _accounts(catalogue: Catalogue) -> str:
    projects = catalogue.projects.values()
    users = [project.user_in(release) for project in projects for release in project.releases]
    names = sorted({user.name for user in users} | {"root", "apache"})
    groups = sorted({user.group or user.name for user in users} | {"root", "apache"})
    return f"StandardUsers = {names}\nStandardGroups = {groups}\n"


def _rpmlint() -> str:
    """Return the path of rpmlint: our own environment's, else the system's."""
    own = Path(sys.executable).with_name("rpmlint")
    if own.exists():
        return str(own)
    try:
        return tools.find("rpmlint")
    except ToolMissing as error:
        raise ToolMissing("rpmlint is not installed", hint="make setup (pip install rpmlint)") from error


RULES = (rpmlint_error, rpmlint_warning)
