# SPDX-License-Identifier: MIT
"""Has the target what the package needs?

Three may answer: the packages that are checked along, a repository (--against), or, without one, what
specs/checks/provides.yaml knows of the target, each entry with its source. Else it is reported as unknown.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from builder.errors import InputError, RemoteError
from builder.places import SPECS
from builder.rpm.check.context import CheckContext
from builder.rpm.check.package import BuiltPackage, Dependency
from builder.runner import last_words
from builder.schema import FROM_KEY, load

PROVIDES = SPECS / "checks/provides.yaml"


@dataclass(frozen=True, kw_only=True, slots=True)
class Known:
    """What a source says of some targets: capabilities that they have, and such that they lack.

    `targets` are names or globs; one that begins with "!" takes targets out again.
    """

    source: str = field(metadata=FROM_KEY)
    targets: tuple[str, ...]
    has: tuple[str, ...] = ()
    lacks: tuple[str, ...] = ()

    def is_about(self, target: str) -> bool:
        """Say whether it holds for a target."""
        taken = [pattern.removeprefix("!") for pattern in self.targets if pattern.startswith("!")]
        return _matches(target, self.targets) and not _matches(target, taken)


def unsatisfied_requirement(package: BuiltPackage, context: CheckContext) -> Iterator[str]:
    if context.against is not None:
        yield from _unresolved(context).get(f"{package.name}-{package.version}-{package.release}", ())
        return
    lacks = _known(context.target.name, has=False)
    for need in _foreign(package, context):
        if need.name in lacks:
            yield f"{need.whole}: the target lacks it ({lacks[need.name]})"
    for need in package.requires:
        offers = [one for other in context.packages for one in other.provides if one.name == need.name]
        exact = re.fullmatch(r"\S+ = (\S+)", need.whole)
        if exact and offers and need.whole not in {one.whole for one in offers}:
            yield f"{need.whole}: the packages checked along have {offers[0].whole}"


def unknown_requirement(package: BuiltPackage, context: CheckContext) -> Iterator[str]:
    if context.against is None:
        known = _known(context.target.name, has=True) | _known(context.target.name, has=False)
        for need in _foreign(package, context):
            if need.name not in known:
                yield need.whole


def _foreign(package: BuiltPackage, context: CheckContext) -> Iterator[Dependency]:
    """Yield what a package needs of others than those that are checked along."""
    offered = {one.name for other in context.packages for one in other.provides}
    for need in package.requires:
        if not need.name.startswith("rpmlib(") and need.name not in offered | context.paths:
            yield need


@cache
def _known(target: str, *, has: bool) -> dict[str, str]:
    """Return capability -> source for what is known that a target has, or lacks."""
    rows = load(PROVIDES, dict[str, Known]).values()
    return {
        name: row.source for row in rows if row.is_about(target) for name in (row.has if has else row.lacks)
    }


@cache
def _unresolved(context: CheckContext) -> Mapping[str, tuple[str, ...]]:
    """Return name-version-release -> what it needs and neither the repository nor the packages have."""
    assert context.against is not None
    checked = context.work / "checked"
    checked.mkdir()
    for package in context.packages:
        (checked / package.path.name).symlink_to(package.path.resolve())
    context.runner.run(["createrepo_c", "--quiet", "--no-database", checked])
    against = context.against
    if "://" not in against:
        if not Path(against, "repodata", "repomd.xml").is_file():
            raise InputError(f"--against {against}: not a repository (repodata/repomd.xml is missing)")
        against = Path(against).resolve().as_uri()
    done = context.runner.run(
        [
            *("dnf", "-q", "--nogpgcheck", f"--setopt=cachedir={context.work / 'cache'}"),
            *(f"--installroot={context.work / 'root'}", f"--releasever={context.target.releasever}"),
            *(f"--repofrompath=against,{against}", f"--repofrompath=checked,{checked.as_uri()}"),
            # Without this a repository that does not answer is taken for an empty one.
            "--setopt=against.skip_if_unavailable=False",
            *("--repo=against", "--repo=checked", "repoclosure", "--check=checked"),
        ],
        ok=(),
    )
    found: dict[str, tuple[str, ...]] = {}
    name = ""
    for line in done.stdout.splitlines():
        if match := re.match(r"package: (\S+)\.\w+ from checked", line):
            name = re.sub(r"-\d+:", "-", match[1])
        elif re.match(r"    \S", line):
            found[name] = (*found.get(name, ()), line.strip())
    if done.returncode != 0 and not found:
        raise RemoteError(f"--against {context.against}: {last_words(done.stderr)}")
    return found


RULES = (unsatisfied_requirement, unknown_requirement)


def _matches(target: str, patterns: Iterable[str]) -> bool:
    return any(fnmatch.fnmatchcase(target, pattern) for pattern in patterns)
