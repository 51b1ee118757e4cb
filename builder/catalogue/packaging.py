# SPDX-License-Identifier: MIT
"""What the catalogue knows of a project's RPMs: sub-packages, folders, accounts' rights, the changelog."""

from __future__ import annotations

import datetime
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from builder.catalogue.texts import ACCOUNT, PATTERN, PROGRAM, REQUIREMENT, URL, full
from builder.catalogue.user import SystemAccount
from builder.schema import FROM_KEY

MODE = re.compile(r"0[0-7]{3}")
LITERAL = re.compile(r"[^'|&\\\[\]*^$%\n]+")
PACKAGE = re.compile(r"[a-z][a-z0-9+.-]*")
# No part of it is empty. ~ sorts before the end of the version (1.0~rc1 before 1.0), ^ after it.
VERSION = re.compile(r"[0-9][0-9a-z]*([.~^][0-9a-z]+)*")


@dataclass(frozen=True, kw_only=True, slots=True)
class SourceArchive:
    """The project's source distribution in the Python package index: its name there, and the sha256."""

    where: str = ""
    project: str
    sha256: str

    def __post_init__(self) -> None:
        full(PROGRAM, self.project, "the name of a project of the Python package index")
        if not re.fullmatch(r"[0-9a-f]{64}", self.sha256):
            raise ValueError("source: sha256 is not 64 lower-case hex digits")

    @property
    def file_name(self) -> str:
        """What its files begin with (PEP 625): the name with underscores."""
        return re.sub(r"[-_.]+", "_", self.project).lower()


@dataclass(frozen=True, kw_only=True, slots=True)
class SourceFix:
    """A fault of the project's code that is corrected before it is built: `find` becomes `put` in `file`."""

    where: str = ""
    file: str
    find: str
    put: str
    why: str

    def __post_init__(self) -> None:
        full(PATTERN, self.file, "a file of the source archive")
        for text in (self.find, self.put):
            # Literal for grep and sed, and for the shell between quotation marks; rpm reads % itself.
            full(LITERAL, text, "a text without line ends and any of ' | & \\ [ ] * ^ $ %")


@dataclass(frozen=True, kw_only=True, slots=True)
class SubPackage:
    """A binary package.

    `groups` are those that the project's user is put into where it is installed, `account` is one that it
    makes besides.
    """

    name: str = field(metadata=FROM_KEY)
    where: str = ""
    summary: str
    description: str
    requires: tuple[str, ...] = ()
    recommends: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    account: SystemAccount | None = None

    def __post_init__(self) -> None:
        if not PACKAGE.fullmatch(self.name):
            raise ValueError(f'"{self.name}" is not the name of a package')
        if self.summary.endswith(".") or len(self.summary) > 79:
            raise ValueError("summary: at most 79 characters and no full stop")
        for requirement in (*self.requires, *self.recommends):
            full(REQUIREMENT, requirement, "a requirement like httpd, or httpd >= 2.4")
        for group in self.groups:
            full(ACCOUNT, group, "the name of a group")


@dataclass(frozen=True, kw_only=True, slots=True)
class Change:
    """An entry of the changelog, newest first."""

    where: str = ""
    date: str
    packager: str
    version: str
    changes: tuple[str, ...]

    def __post_init__(self) -> None:
        datetime.date.fromisoformat(self.date)
        if not re.fullmatch(r"[^<>]+ <[^<>@ ]+@[^<>@ ]+>", self.packager):
            raise ValueError(f'changelog: packager "{self.packager}" is not of the form Name <address>')
        if not self.changes:
            raise ValueError("changelog: changes: the list is empty")

    @property
    def day(self) -> str:
        """The date as rpm writes it."""
        return datetime.date.fromisoformat(self.date).strftime("%a %b %d %Y")


@dataclass(frozen=True, kw_only=True, slots=True)
class Folder:
    """A folder that a package owns; owner and group are the project's user when None.

    `source` is a folder of the source archive whose files are put into it, as configuration.
    """

    path: str = field(metadata=FROM_KEY)
    where: str = ""
    mode: str = "0750"
    owner: str | None = None
    group: str | None = None
    package: str | None = None
    source: str | None = None

    def __post_init__(self) -> None:
        if not re.fullmatch(r"(/[\w.-]+)+", self.path):
            raise ValueError("a folder is named by its full path")
        if not MODE.fullmatch(self.mode):
            raise ValueError(f'mode "{self.mode}" is not of the form 0750')

        for name in filter(None, (self.owner, self.group)):
            full(ACCOUNT, name, "the name of an account")
        if self.source is not None:
            full(PATTERN, self.source, "a folder of the source archive")

    @property
    def is_volatile(self) -> bool:
        """Whether it is gone after a boot, where /run is in memory."""
        return self.path.startswith(("/run/", "/var/run/"))


@dataclass(frozen=True, kw_only=True, slots=True)
class OwnFile:
    """A file that comes from no archive: the packager's `file` of specs/files, or one that a daemon makes.

    Of the latter the package owns the name, so that rpm knows whose it is.
    """

    path: str = field(metadata=FROM_KEY)
    where: str = ""
    file: str | None = None
    mode: str = "0644"
    owner: str = "root"
    group: str = "root"
    package: str | None = None
    config: bool = False

    def __post_init__(self) -> None:
        if not re.fullmatch(r"(/[\w.-]+)+", self.path):
            raise ValueError("a file is named by its full path")
        if not MODE.fullmatch(self.mode):
            raise ValueError(f'mode "{self.mode}" is not of the form 0644')
        for name in (self.owner, self.group):
            full(ACCOUNT, name, "the name of an account")
        if self.file is not None:
            full(PROGRAM, self.file, "the name of a file")
        if self.file is None and self.config:
            raise ValueError("config needs file")


@dataclass(frozen=True, kw_only=True, slots=True)
class Packaging:
    """How a project is packaged for one release.

    `version` is rpm's, `upstream` the project's own where that is another: 31.0.0~rc1 is 31.0.0.0rc1 there.
    `epoch` counts before all versions: 0 is none.
    `code` is the package that holds the Python code (`modules`), built from `source` or, without one, by
    others; `bundled`: it may also be built into the environment of openstack-python-bundled.
    `common` holds what belongs to no single service. `commands` are programs of /usr/bin in it,
    `fixes` are faults of that code which are corrected,
    `files` (path, file of the source archive) and `links` (path, where it leads) what else is in it.
    `own` are files that come from no archive.
    """

    where: str = ""
    name: str
    epoch: int = 0
    version: str
    upstream: str | None = None
    release: int = 1
    license: str
    url: str
    summary: str
    description: str
    code: str
    source: SourceArchive | None = None
    fixes: tuple[SourceFix, ...] = ()
    modules: tuple[str, ...] = ()
    bundled: bool = False
    common: str
    commands: tuple[str, ...] = ()
    files: Mapping[str, str] = field(default_factory=dict)
    links: Mapping[str, str] = field(default_factory=dict)
    own: Mapping[str, OwnFile] = field(default_factory=dict)
    sudo: tuple[str, ...] = ()
    sysctl: Mapping[str, str] = field(default_factory=dict)
    polkit: str | None = None
    packages: Mapping[str, SubPackage]
    changelog: tuple[Change, ...]

    def __post_init__(self) -> None:
        for name in (self.name, self.code):
            if not PACKAGE.fullmatch(name):
                raise ValueError(f'rpm: "{name}" is not the name of a package')
        if not VERSION.fullmatch(self.version):
            raise ValueError(f'rpm: version "{self.version}" is not a valid package version')
        if self.epoch < 0:
            raise ValueError(f"rpm: epoch {self.epoch} must not be negative")
        if "~" in self.version and self.upstream is None and self.source is not None:
            raise ValueError(f"rpm: upstream: what the project calls {self.version} is missing")
        if self.upstream is not None:
            full(VERSION, self.upstream, "a version")
        if not self.changelog or self.changelog[0].version != self.evr:
            raise ValueError(f"rpm: the newest entry of changelog is not for {self.evr}")
        if (self.source is None) is not (self.modules == ()):
            raise ValueError("rpm: source and modules: both or none")
        if self.source is None and (self.files or self.links or self.fixes or self.bundled):
            raise ValueError("rpm: files, links, fixes and bundled need a source archive")
        self._check_texts()
        dates = [change.date for change in self.changelog]
        if dates != sorted(dates, reverse=True):
            raise ValueError("rpm: changelog: the newest entry must come first")

    @property
    def evr(self) -> str:
        """Its epoch (where it has one), version and release, as the changelog names it."""
        return f"{f'{self.epoch}:' if self.epoch else ''}{self.version}-{self.release}"

    @property
    def same(self) -> str:
        """What a requirement of a package of the same build ends in, in a spec."""
        return f"{'%{epoch}:' if self.epoch else ''}%{{version}}-%{{release}}"

    def _check_texts(self) -> None:
        full(URL, self.url, "an address like https://docs.openstack.org/nova/latest/")
        for name in self.modules:
            full(PROGRAM, name, "the name of a Python module")
        for name in self.commands:
            full(PROGRAM, name, "the name of a program")
        for path in (*self.files, *self.files.values(), *self.links, *self.links.values()):
            full(PATTERN, path, "a path without blanks")
        for key in self.sysctl:
            full(re.compile(r"[\w.*/-]+"), key, "the name of a kernel setting")
        if self.polkit is not None:
            full(re.compile(r"[a-z0-9.-]+"), self.polkit, "an action of polkit")
