# SPDX-License-Identifier: MIT
"""The distributions that we build for: specs/targets.yaml as typed rows, chosen by name or glob."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Literal

from builder.errors import InputError, Problem
from builder.places import SPECS
from builder.releases import release_names
from builder.schema import FROM_KEY, Reader, did_you_mean, nearest

# What the packager wrote and packages hold as it is.
FILES = SPECS / "files"
TARGETS_FILE = SPECS / "targets.yaml"

ARCHITECTURE = "x86_64"

# The release of a target that gets openstack-utils only.
NO_RELEASE = "none"


class TargetFamily(StrEnum):
    """Whose packaging habits a target follows."""

    FEDORA = "fedora"
    EL = "el"
    FIXTURE = "fixture"


class Init(StrEnum):
    """What starts the services, and how a package declares it."""

    SYSTEMD = "systemd"
    SYSTEMD_PLAIN = "systemd-plain"  # Fedora 17: systemd without scriptlet macros
    SYSV = "sysv"


@dataclass(frozen=True, kw_only=True, slots=True)
class Python:
    """The Python 3 (3.6 or later) that a target runs our utilities with."""

    version: str
    interpreter: Path
    sitelib: Path

    def __post_init__(self) -> None:
        if not re.fullmatch(r"3\.\d+", self.version) or int(self.version[2:]) < 6:
            raise ValueError(f'python: version "{self.version}" is not 3.6 or later')


@dataclass(frozen=True, kw_only=True, slots=True)
class Environment:
    """The Python (/usr/bin/python3.N) that runs the services in the environment of openstack-python-bundled.

    `glibc` is the target's: what is compiled must run with it.
    """

    version: str
    glibc: str

    def __post_init__(self) -> None:
        for name, value in (("version", self.version), ("glibc", self.glibc)):
            if not re.fullmatch(r"[23]\.\d+", value):
                raise ValueError(f'environment: {name} "{value}" is not of the form 3.12')


@dataclass(frozen=True, kw_only=True, slots=True)
class Rpm:
    """What the target's rpm reads and writes.

    `payload` is rpm's %_binary_payload; `macros` are files of specs/macros, loaded in this order;
    `database` is the format of the rpm database below `dbpath`; where the host's rpm does not write it, the
    target's own installs an image's packages.
    """

    version: str
    database: Literal["sqlite", "bdb", "ndb"]
    dbpath: Path
    payload: str
    macros: tuple[str, ...]
    filedigest: Literal["md5", "sha256"] = "sha256"

    def __post_init__(self) -> None:
        if not re.fullmatch(r"\d+(\.\d+)+", self.version):
            raise ValueError(f'rpm: version "{self.version}" is not of the form 4.19')
        if not re.fullmatch(r"w\d+\.(gz|xz|zst)dio", self.payload):
            raise ValueError(f'rpm: payload "{self.payload}" is not of the form w19.zstdio')
        for name in self.macros:
            if not (SPECS / "macros" / name).is_file():
                raise ValueError(f"rpm: macros: there is no file specs/macros/{name}")

    def is_at_least(self, version: str) -> bool:
        """Say whether it is of a version or later: "4.9" is before "4.19"."""
        return _numbers(self.version) >= _numbers(version)


@dataclass(frozen=True, kw_only=True, slots=True)
class GpgKey:
    """A public key file of the target's packagers, and the fingerprints of the keys that it may hold."""

    url: str
    fingerprints: tuple[str, ...]
    files: tuple[Path, ...] = ()

    def __post_init__(self) -> None:
        for fingerprint in self.fingerprints:
            if not re.fullmatch(r"[0-9A-F]{40}", fingerprint):
                raise ValueError(f'gpgkeys: fingerprint "{fingerprint}" is not 40 upper-case hex digits')
        if not self.fingerprints:
            raise ValueError("gpgkeys: a key needs at least one fingerprint")

    def local_file(self) -> Path | None:
        """Return the first of `files` that this host has."""
        return next((file for file in self.files if file.is_file()), None)


@dataclass(frozen=True, kw_only=True, slots=True)
class TargetRepository:
    """A default package repository: one of three kinds of URL, with dnf's $releasever and $basearch."""

    name: str = field(metadata=FROM_KEY)
    metalink: str | None = None
    mirrorlist: str | None = None
    baseurl: str | None = None

    def __post_init__(self) -> None:
        if sum(url is not None for url in (self.metalink, self.mirrorlist, self.baseurl)) != 1:
            raise ValueError("needs exactly one of metalink, mirrorlist, baseurl")


@dataclass(frozen=True, kw_only=True, slots=True)
class Koji:
    """The hub that builds for a target: a profile of Koji's configuration, and the hub's build target."""

    profile: str
    target: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Dib:
    """The element of diskimage-builder that makes the distribution, and its DIB_RELEASE."""

    element: str
    release: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Target:
    """One distribution.

    `release` is the release of specs/releases.yaml that is built for it ("none": openstack-utils only);
    `packages` the package manager, and so the format of its cache; `repodata` the best compression of a
    repository's metadata that its tools read; `ksversion` pykickstart's name of
    its kickstart syntax; `mock` the name of its configuration in mock; `koji` the hub that builds for it,
    None where the user must name one; `dib` what diskimage-builder makes it with, None where it cannot;
    `python` is None where it has no Python 3.6 or later, `environment` where it has none that carries the
    services of its release; `xfs` the features of mkfs.xfs(8) that its kernel
    and GRUB do not read, as 0.
    """

    name: str = field(metadata=FROM_KEY)
    where: str = ""
    title: str
    family: TargetFamily
    dist: str
    releasever: str
    release: str
    init: Init
    python: Python | None
    environment: Environment | None = None
    rpm: Rpm
    packages: Literal["yum", "dnf", "dnf5"]
    repodata: Literal["gz", "zstd"]
    ksversion: str
    mock: str | None = None
    koji: Koji | None = None
    dib: Dib | None = None
    xfs: Mapping[str, int] = field(default_factory=dict)
    gpgkeys: tuple[GpgKey, ...] = ()
    repositories: Mapping[str, TargetRepository] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[a-z]+-\d+", self.name):
            raise ValueError("a target is named like epel-9")
        if not re.fullmatch(r"\.[a-z]+\d+", self.dist):
            raise ValueError(f'dist "{self.dist}" is not of the form .el9')
        if not re.fullmatch(r"(F|RHEL)\d+", self.ksversion):
            raise ValueError(f'ksversion "{self.ksversion}" is not of the form F45 or RHEL9')

    @property
    def carries_release(self) -> bool:
        """Say whether its own Python, with packages for it, is the one that the services run with."""
        return (
            self.python is not None
            and self.environment is not None
            and self.python.version == self.environment.version
        )

    @property
    def cache(self) -> str:
        """Where its package manager keeps what it downloads, inside an image."""
        return {"yum": "/var/cache/yum", "dnf": "/var/cache/dnf", "dnf5": "/var/cache/libdnf5"}[self.packages]

    def is_since(self, releases: Mapping[TargetFamily, int]) -> bool:
        """Say whether it is of one of these families, and of the release there or a later one."""
        return self.family in releases and int(self.releasever) >= releases[self.family]

    def is_up_to(self, releases: Mapping[TargetFamily, int]) -> bool:
        """Say whether it is of one of these families, and of the release there or an earlier one."""
        return self.family in releases and int(self.releasever) <= releases[self.family]

    def require_gpgkeys(self) -> tuple[GpgKey, ...]:
        """Return its keys; InputError where none are known."""
        if not self.gpgkeys:
            raise InputError(
                f"no gpg key is known for {self.name}",
                hint="name the file with --gpgkey FILE (or see --no-gpgcheck)",
            )
        return self.gpgkeys


@cache
def load_targets(path: Path = TARGETS_FILE) -> tuple[Target, ...]:
    """Return all targets, in the order of the file.

    Raises:
        InputError: the file does not fit, with file, line and the nearest valid word.
    """
    reader = Reader()
    rows = reader.read(path, dict[str, Target]) or {}
    seen: dict[str, Target] = {}
    for target in rows.values():
        if target.dist in seen:
            other = seen[target.dist]
            reader.problems.append(
                Problem(
                    where=target.where,
                    message=f"{target.name}: dist {target.dist} already belongs to {other.name}",
                )
            )
        seen[target.dist] = target
        known = (*release_names(), NO_RELEASE)
        if target.release not in known:
            message = f'{target.name}: release: unknown value "{target.release}"'
            hint = did_you_mean(target.release, known)
            reader.problems.append(Problem(where=target.where, message=message, hint=hint))
    reader.check()
    return tuple(rows.values())


def find_target(name: str) -> Target:
    """Return the target `name`; InputError names the nearest and lists all."""
    for target in load_targets():
        if target.name == name:
            return target
    raise InputError(problems=[_unknown(name)])


def select(patterns: Sequence[str]) -> tuple[Target, ...]:
    """Return the targets that match any of the names or globs, each once, in the order of the file.

    Raises:
        InputError: for every pattern that matches none.
    """
    targets = load_targets()
    problems = [
        _unknown(pattern)
        for pattern in patterns
        if not any(fnmatch.fnmatchcase(target.name, pattern) for target in targets)
    ]
    if problems:
        raise InputError(problems=problems)
    return tuple(
        target for target in targets if any(fnmatch.fnmatchcase(target.name, pattern) for pattern in patterns)
    )


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


def _unknown(pattern: str) -> Problem:
    names = [target.name for target in load_targets()]
    near = nearest(pattern, names)
    listed = f"targets: {', '.join(names)}"
    what = "no target matches" if any(mark in pattern for mark in "*?[") else "unknown target"
    return Problem(message=f"{what}: {pattern}", hint=f"did you mean {near}? ({listed})" if near else listed)


def rpm_databases(showrc: str) -> dict[str, bool]:
    """Return the formats of rpm database that an rpm can read, and whether it writes each.

    Args:
        showrc: what `rpm --showrc` says. A backend that only reads is called NAME_ro there. rpm before 4.16
            has no such line: bdb only.
    """
    match = re.search(r"^available backends\s*:\s*(.*)$", showrc, re.MULTILINE)
    names = match[1].split() if match else ["bdb"]
    return {name.removesuffix("_ro"): not name.endswith("_ro") for name in names if name != "dummy"}
