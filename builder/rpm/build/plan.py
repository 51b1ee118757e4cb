# SPDX-License-Identifier: MIT
"""What a build is going to do, as data: everything that decides its bytes, and where they go."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cache
from importlib import metadata
from pathlib import Path

from builder.download import place_in_cache
from builder.errors import InputError, Problem
from builder.files import digest_of, sha256_file
from builder.rpm.build.archive import (
    ArchiveFile,
    archive_name,
    collect_sources,
    digest_of_sources,
    source_date,
)
from builder.rpm.programs import byte_code, pyproject
from builder.rpm.programs.pyproject import build_tools
from builder.rpm.spec.macros import target_macros
from builder.rpm.spec.packages import BUNDLED, Package
from builder.rpm.spec.parse import parse_spec
from builder.rpm.spec.sources import SourceFiles, find_sources
from builder.rpm.spec.tags import read_spec
from builder.runner import Runner
from builder.targets import Target

# Part of the digest of the inputs: raised when other bytes are built from the same input.
RECIPE = 2


class Backend(StrEnum):
    """Who builds the binary RPMs: this host's rpmbuild, or mock in a chroot of the target."""

    LOCAL = "local"
    MOCK = "mock"


@dataclass(frozen=True, kw_only=True, slots=True)
class RunSettings:
    """What all builds of one run share; conditions of the specs that are on, and off (`without`)."""

    root: Path
    out: Path
    rpm: str
    conditions: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    backend: Backend = Backend.LOCAL


@dataclass(frozen=True, kw_only=True, slots=True)
class BuildPlan:
    """One package for one target.

    `archive` is what the checkout's own archive is made of, nothing when the spec has none;
    `without` names the %bcond that are off, by the user or because this host cannot have them.
    """

    package: Package
    target: Target
    settings: RunSettings
    sources: SourceFiles
    archive: tuple[ArchiveFile, ...]
    epoch: int
    without: tuple[str, ...]

    @property
    def label(self) -> str:
        """How messages name the build."""
        return f"{self.package.name} for {self.target.name}"

    @property
    def folder(self) -> Path:
        """Where the artifacts go."""
        return self.settings.out / self.target.name

    @property
    def bytes_of_sources(self) -> int:
        """The size of what is not made here, as far as it has been fetched: how large a build is."""
        files = [*self.sources.local, *map(place_in_cache, self.sources.remote)]
        return sum(path.stat().st_size for path in files if path.exists())

    @property
    def inputs(self) -> str:
        """The digest of everything that decides the bytes."""
        return digest_of(
            {
                "recipe": RECIPE,
                "spec": self.package.text,
                "archive": digest_of_sources(self.archive),
                "local": {path.name: sha256_file(path) for path in self.sources.local},
                "remote": {remote.name: remote.sha256 for remote in self.sources.remote},
                "epoch": self.epoch,
                "rpm": self.settings.rpm,
                "wheels": _wheel_builder(),
                "macros": target_macros(self.target),
                "conditions": self.settings.conditions,
                "without": self.without,
                "backend": self.settings.backend,
                "build_tools": build_tools() if "%pyproject_wheel" in self.package.text else {},
                "byte_code": self._compiler if byte_code.__file__ in map(str, self.sources.local) else [],
            }
        )

    @property
    def _compiler(self) -> list[str]:
        """The digests of what makes byte code; none where this host has not the Python of the environment."""
        environment = self.target.environment
        interpreter = Path(f"/usr/bin/python{environment.version}") if environment else None
        if interpreter is None or not interpreter.exists():
            return []
        return [_digest(interpreter), _digest(Path(byte_code.__file__))]


_digest = cache(sha256_file)


@cache
def _wheel_builder() -> list[str]:
    """Return what decides the bytes of a wheel that this host builds."""
    tools = [f"{name} {metadata.version(name)}" for name in ("setuptools", "pbr")]
    return [sys.version, *tools, sha256_file(Path(pyproject.__file__))]


def plan_builds(
    pairs: Sequence[tuple[Package, Target]], settings: RunSettings, runner: Runner
) -> tuple[BuildPlan, ...]:
    """Return what the builds of `pairs` are going to do.

    Raises:
        InputError: with everything that is wrong in any of the specs or missing next to them.
    """
    packages = dict.fromkeys(package for package, _ in pairs)
    archives = {
        package: collect_sources(settings.root, runner) for package in packages if archive_name(package)
    }
    epochs = {package: source_date(settings.root, package, runner) for package in packages}
    plans: list[BuildPlan] = []
    problems = _check_conditions(pairs, settings)
    for package, target in pairs:
        try:
            plans.append(
                _plan(
                    package,
                    target,
                    settings,
                    archive=archives.get(package, ()),
                    epoch=epochs[package],
                    runner=runner,
                )
            )
        except InputError as error:
            problems += [problem for problem in error.problems if problem not in problems]
    if problems:
        raise InputError(problems=problems)
    return tuple(plans)


def _check_conditions(pairs: Sequence[tuple[Package, Target]], settings: RunSettings) -> list[Problem]:
    """Return a problem for each condition that no spec has, or that a target cannot have on, or off."""
    problems = []
    for option, names in (("--with", settings.conditions), ("--without", settings.without)):
        for name in names:
            if not any(package.has_condition(name) for package, _ in pairs):
                named = ", ".join(dict.fromkeys(package.name for package, _ in pairs))
                problems.append(Problem(message=f"{option} {name}: no such condition in the spec of {named}"))
    if BUNDLED in settings.without:
        problems += [
            Problem(
                message=f"{package.name} cannot be built --without {BUNDLED} for {target.name}: "
                f"it has no packages for its Python {target.environment.version}",
                hint=f"leave out --without {BUNDLED}",
            )
            for package, target in pairs
            if package.has_condition(BUNDLED) and target.environment and not target.carries_release
        ]
    return problems


def _plan(
    package: Package,
    target: Target,
    settings: RunSettings,
    *,
    archive: tuple[ArchiveFile, ...],
    epoch: int,
    runner: Runner,
) -> BuildPlan:
    # %check is left out where its interpreter is not on this host.
    interpreter = target.python.interpreter if target.python else None
    missing = () if interpreter is not None and interpreter.exists() else ("check",)
    without = (*settings.without, *missing)
    sources = read_spec(package.text).sources
    if any(source.needs_rpm for source in sources):
        text = parse_spec(package, target, conditions=settings.conditions, without=without, runner=runner)
        # rpmspec leaves comments out, and so the digests.
        digests = {source.name: source.sha256 for source in sources}
        sources = tuple(
            replace(source, sha256=source.sha256 or digests.get(source.name))
            for source in read_spec(text).sources
        )
    return BuildPlan(
        package=package,
        target=target,
        settings=settings,
        sources=find_sources(package.spec, sources, made=archive_name(package)),
        archive=archive,
        epoch=epoch,
        without=without,
    )
