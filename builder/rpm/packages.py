# SPDX-License-Identifier: MIT
"""Which packages there are, and for which targets each can be built."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from builder.data import nearest, show_path
from builder.errors import InputError, Problem
from builder.targets import Target


@dataclass(frozen=True, kw_only=True, slots=True)
class Package:
    """A source package: its name and its spec."""

    name: str
    spec: Path
    version: str
    text: str


def find_packages(root: Path, names: Sequence[str]) -> tuple[Package, ...]:
    """Return the packages `names` of the checkout `root`, each once.

    Raises:
        InputError: for every unknown name, with the nearest; for a spec without a version.
    """
    specs = {path.stem: path for path in sorted((root / "specs").glob("*.spec"))}
    problems = []
    for name in names:
        if name not in specs:
            near = nearest(name, specs)
            listed = f"packages: {', '.join(specs) or 'none'}"
            hint = f"did you mean {near}? ({listed})" if near else listed
            problems.append(Problem(message=f"unknown package: {name}", hint=hint))
    if problems:
        raise InputError(problems=problems)
    return tuple(_read(name, specs[name]) for name in dict.fromkeys(names))


def _read(name: str, spec: Path) -> Package:
    try:
        text = spec.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"{show_path(spec)}: not UTF-8 text") from error
    match = re.search(r"^Version:[ \t]*(\S+)[ \t]*$", text, re.MULTILINE)
    if not match:
        raise InputError(f"{show_path(spec)}: no line Version: with a plain version")
    return Package(name=name, spec=spec, version=match[1], text=text)


def refusal(package: Package, target: Target) -> str | None:
    """Return why a package cannot be built for a target; None when it can."""
    if package.name == "openstack-utils" and target.python is None:
        return f"{target.name} has no Python 3.6 or later, which {package.name} needs"
    return None


def pair(
    packages: Sequence[Package], targets: Sequence[Target], *, named: Sequence[str]
) -> tuple[tuple[Package, Target], ...]:
    """Return every pair to build; what a glob matched and cannot be built is left out.

    Args:
        named: the targets that were named in full: a pair refused there is the user's mistake.

    Raises:
        InputError: for every refused pair of a named target, or when no pair remains.
    """
    pairs, refused, mistakes = [], [], []
    for package in packages:
        for target in targets:
            reason = refusal(package, target)
            if reason is None:
                pairs.append((package, target))
                continue
            problem = Problem(message=f"{package.name} cannot be built for {target.name}: {reason}")
            refused.append(problem)
            if target.name in named:
                mistakes.append(problem)
    if mistakes or not pairs:
        raise InputError(problems=mistakes or refused)
    return tuple(pairs)
