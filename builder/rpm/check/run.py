# SPDX-License-Identifier: MIT
"""Runs the rules on RPMs, those for one target together."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from builder.errors import InputError, Problem
from builder.files import cache_folder, work_folder
from builder.rpm.check.context import CheckContext, rule_id
from builder.rpm.check.finding import Finding, load_checks
from builder.rpm.check.package import BuiltPackage, read_package
from builder.rpm.check.rules import RULES, lint, payload
from builder.runner import Runner
from builder.targets import Target, find_target, load_targets

# What can be asked of a source RPM, which holds no file of the target.
SOURCE_RULES = frozenset({*payload.RULES, *lint.RULES})


def check_files(
    files: Sequence[Path], *, target: str | None, against: str | None, runner: Runner
) -> tuple[Finding, ...]:
    """Return what is wrong with RPMs, in their order.

    Args:
        target: what all of them are for; found from their dist tags when None.
        against: a repository that has what the target has.

    Raises:
        InputError: for every file that is not an RPM or whose target is not known.
        ToolMissing: a program that a rule needs is not installed.
    """
    named = find_target(target) if target else None
    groups: dict[str, list[BuiltPackage]] = {}
    problems: list[Problem] = []
    for file in dict.fromkeys(files):
        try:
            package = read_package(file)
            groups.setdefault((named or target_of(package)).name, []).append(package)
        except InputError as error:
            problems += error.problems or [Problem(message=error.message, hint=error.hint)]
    if problems:
        raise InputError(problems=problems)
    found: list[Finding] = []
    for name, packages in groups.items():
        with work_folder(cache_folder("check-rpm"), name) as work:
            context = CheckContext(
                target=find_target(name),
                packages=tuple(packages),
                against=against,
                runner=runner,
                work=work,
            )
            found += [finding for package in packages for finding in _check(package, context)]
    return tuple(found)


def _check(package: BuiltPackage, context: CheckContext) -> list[Finding]:
    checks = load_checks()
    return [
        Finding(
            file=package.path.name,
            target=context.target.name,
            level=checks[rule_id(rule)].level,
            id=rule_id(rule),
            detail=detail,
        )
        for rule in RULES
        if not package.is_source or rule in SOURCE_RULES
        for detail in rule(package, context)
    ]


def target_of(package: BuiltPackage) -> Target:
    """Return the target that a package's dist tag names.

    Raises:
        InputError: none has it.
    """
    for target in load_targets():
        if package.release.endswith(target.dist):
            return target
    raise InputError(
        f"{package.path}: no target has the dist tag of release {package.release}",
        hint="name it with --target TARGET",
    )
