# SPDX-License-Identifier: MIT
"""Which packages there are, and for which targets each can be built."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from builder.errors import InputError, Problem
from builder.rpm.spec.tags import read_spec
from builder.schema import nearest, show_path
from builder.targets import NO_RELEASE, Target

UTILS = "openstack-utils"
# The environment that services are built for, unless `--without bundled`.
ENVIRONMENT = "openstack-python-bundled"
BUNDLED = "bundled"


@dataclass(frozen=True, kw_only=True, slots=True)
class Package:
    """A source package: its name and its spec; `release` is None for one that is the same for all."""

    name: str
    spec: Path
    version: str
    text: str
    release: str | None = None

    @property
    def files(self) -> Path:
        """The folder of its local sources, if it has one of its own."""
        return self.spec.with_suffix("")

    def has_condition(self, name: str) -> bool:
        """Say whether `--with NAME` means anything to the spec."""
        return re.search(rf"^%bcond(_with|_without)?\s+{re.escape(name)}\b", self.text, re.M) is not None


def find_packages(root: Path, names: Sequence[str]) -> tuple[Package, ...]:
    """Return the packages of the checkout `root` that match any of the names or globs, for every release.

    Raises:
        InputError: for every name or glob that matches none; no spec at all; for a spec without a version.
    """
    specs = sorted((root / "specs").glob("*.spec")) + sorted((root / "specs").glob("*/*.spec"))
    if not specs:
        raise InputError(f"{root}: no spec in its folder specs", hint="name a checkout with --source")
    known = list(dict.fromkeys(spec.stem for spec in specs))
    problems = []
    for name in names:
        if not fnmatch.filter(known, name):
            near = nearest(name, known)
            listed = f"packages: {', '.join(known) or 'none'}"
            hint = f"did you mean {near}? ({listed})" if near else listed
            what = "no package matches" if any(mark in name for mark in "*?[") else "unknown package"
            problems.append(Problem(message=f"{what}: {name}", hint=hint))
    if problems:
        raise InputError(problems=problems)
    return tuple(
        _read(spec, release=None if spec.parent == root / "specs" else spec.parent.name)
        for spec in specs
        if any(fnmatch.fnmatchcase(spec.stem, name) for name in names)
    )


def _read(spec: Path, *, release: str | None) -> Package:
    try:
        text = spec.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"{show_path(spec)}: not UTF-8 text") from error
    version = read_spec(text).tags.get("version", "")
    if not re.fullmatch(r"[^\s%]+", version):
        raise InputError(f"{show_path(spec)}: no line Version: with a plain version")
    return Package(name=spec.stem, spec=spec, version=version, text=text, release=release)


def refusal(package: Package, target: Target) -> str | None:
    """Return why a package cannot be built for a target; None when it can."""
    if package.name == UTILS and target.python is None:
        return f"{target.name} has no Python 3.6 or later, which {package.name} needs"
    if package.name == ENVIRONMENT and target.environment is None:
        return f"{target.name} has no Python that it is made for"
    if package.release is not None and target.release == NO_RELEASE:
        return f"{target.name} gets {UTILS} only"
    if package.release not in (None, target.release):
        return f"{target.name} gets release {target.release}, which has no {package.name}"
    return None


def pair(
    packages: Sequence[Package], targets: Sequence[Target], *, named: Sequence[str]
) -> tuple[tuple[Package, Target], ...]:
    """Return every pair to build; what a glob matched and cannot be built is left out.

    Args:
        named: what the user wrote: a pair of a package and a target named in full is a mistake if refused.

    Raises:
        InputError: for every refused pair that was named in full, or when no pair remains.
    """
    pairs: list[tuple[Package, Target]] = []
    refused, mistakes = [], []
    for name in dict.fromkeys(package.name for package in packages):
        of_name = [package for package in packages if package.name == name]
        for target in targets:
            reasons = [(package, refusal(package, target)) for package in of_name]
            built = [(package, target) for package, reason in reasons if reason is None]
            pairs += built
            if not built:
                message = f"{name} cannot be built for {target.name}: {reasons[0][1]}"
                refused.append(Problem(message=message))
                if target.name in named and name in named:
                    mistakes.append(refused[-1])
    if mistakes or not pairs:
        raise InputError(problems=mistakes or refused)
    return tuple(pairs)
