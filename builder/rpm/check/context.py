# SPDX-License-Identifier: MIT
"""What a rule may ask besides its package: the target, what is checked along, programs, a folder."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from builder.catalogue.load import load_catalogue
from builder.catalogue.model import Catalogue
from builder.rpm.check.lifecycle import Act, Event, observe
from builder.rpm.check.package import BuiltPackage
from builder.runner import Runner
from builder.targets import Target

# A rule yields one text for each place where it is broken; its name, with hyphens, is its id.
Rule = Callable[[BuiltPackage, "CheckContext"], Iterable[str]]


@dataclass(frozen=True, kw_only=True, eq=False)
class CheckContext:
    """One check of packages for one target.

    `against` is a repository that has what the target has (a URL or a folder), None when there is none.
    """

    target: Target
    packages: tuple[BuiltPackage, ...]
    against: str | None
    runner: Runner
    work: Path

    @cached_property
    def siblings(self) -> dict[str, tuple[BuiltPackage, ...]]:
        """The packages checked, by the source RPM that they come from."""
        found: dict[str, tuple[BuiltPackage, ...]] = {}
        for package in self.packages:
            found[package.source] = (*found.get(package.source, ()), package)
        return found

    def lifecycle(self, package: BuiltPackage) -> dict[Event, tuple[Act, ...]]:
        """Return what the scriptlets of a package do to services; they are run once."""
        if package.path not in self._lifecycles:
            self._lifecycles[package.path] = observe(package, self.work / "scriptlets", self.runner)
        return self._lifecycles[package.path]

    @cached_property
    def _lifecycles(self) -> dict[Path, dict[Event, tuple[Act, ...]]]:
        return {}

    @cached_property
    def catalogue(self) -> Catalogue:
        """What is known of OpenStack's projects."""
        return load_catalogue()

    @cached_property
    def paths(self) -> frozenset[str]:
        """Every path that any of the packages has."""
        return frozenset(file.path for package in self.packages for file in package.files)


def rule_id(rule: Rule) -> str:
    """Return the id of a rule."""
    return rule.__name__.replace("_", "-")
