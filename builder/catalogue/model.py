# SPDX-License-Identifier: MIT
"""What the catalogue knows of a project. specs/services/README.md explains each key.

The loader reads YAML into these; a later fact is a new field here and a new key there, never a
second table.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from builder.catalogue.cloud import CloudSetup
from builder.catalogue.options import ConfigOption
from builder.catalogue.packaging import MODE, Folder, Packaging
from builder.catalogue.services import Service
from builder.catalogue.supports import Support
from builder.catalogue.texts import ACCOUNT, PATH, PATTERN, full
from builder.catalogue.user import SystemAccount
from builder.releases import ReleaseProfile
from builder.schema import FROM_KEY

NAME = re.compile(r"[a-z][a-z0-9-]*")
DATABASE_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")
# Of an ini file, as oslo.config and Paste read it.
SECTION = re.compile(r"[^\[\]\s][^\[\]]*(?<!\s)")
KEY = re.compile(r"[^\[\]#;=:\s\"'][^=:]*(?<!\s)")
# In an argument of a command: Nova's template of the URL of a database.
TEMPLATE = re.compile(r"\{template:([^}]*)\}")

Engine = Literal["mysql", "postgresql"]


@dataclass(frozen=True, kw_only=True, slots=True)
class ConfigurationFile:
    """A file of configuration; `group` is the project's own when None.

    What is in it: the options of `set` (section, key, value), or the file `source` of the project's
    source archive. Without either the package owns the name only: the code's own package brings it.
    """

    path: str = field(metadata=FROM_KEY)
    where: str = ""
    mode: str = "0640"
    owner: str = "root"
    group: str | None = None
    package: str | None = None
    set: Mapping[str, Mapping[str, str]] | None = None
    source: str | None = None

    def __post_init__(self) -> None:
        if not self.path.startswith("/etc/"):
            raise ValueError("a configuration file must be below /etc")
        if not MODE.fullmatch(self.mode):
            raise ValueError(f'mode "{self.mode}" is not of the form 0640')
        full(PATH, self.path, "a full path without blanks")
        for name in filter(None, (self.owner, self.group)):
            full(ACCOUNT, name, "the name of an account")
        if self.source is not None:
            full(PATTERN, self.source, "a file of the source archive")
        for section, options in (self.set or {}).items():
            full(SECTION, section, "the name of a section")
            for key in options:
                full(KEY, key, f"the name of an option of [{section}]")
        if self.set is not None and self.source is not None:
            raise ValueError("set and source: give at most one")


@dataclass(frozen=True, kw_only=True, slots=True)
class Database:
    """A database, and the options that hold the URL to it; without one it stands `alongside` another.

    `account` of the server is the project's user when None. `migrations` is where the project's code
    has the revisions of alembic, a path below site-packages. `made_by_daemon`: no command makes its tables.
    """

    name: str = field(metadata=FROM_KEY)
    where: str = ""
    connection: tuple[ConfigOption, ...] = ()
    alongside: str | None = None
    account: str | None = None
    engines: tuple[Engine, ...] = ("mysql", "postgresql")
    migrations: str | None = None
    made_by_daemon: bool = False

    def __post_init__(self) -> None:
        for name in (self.name, *((self.account,) if self.account is not None else ())):
            if not DATABASE_NAME.fullmatch(name):
                raise ValueError("databases and accounts have small letters, digits and underscores")
        if self.alongside is None and all(option.optional for option in self.connection):
            raise ValueError("connection: at least one option always holds the URL")
        if self.alongside is not None and self.connection:
            raise ValueError("alongside: cannot be combined with connection")


@dataclass(frozen=True, kw_only=True, slots=True)
class SyncCommand:
    """A command that makes or migrates tables; exit codes of `done` say that nothing was left to do.

    It is left out where the option `requires` is not set.
    """

    where: str = ""
    databases: tuple[str, ...]
    run: tuple[str, ...]
    done: tuple[int, ...] = ()
    requires: ConfigOption | None = None

    def __post_init__(self) -> None:
        if not self.run:
            raise ValueError("run: the command is empty")


@dataclass(frozen=True, kw_only=True, slots=True)
class CheckCommand:
    """A command that checks whether the tables are current: exit 0 yes, `behind` no, else unknown."""

    where: str = ""
    run: tuple[str, ...]
    behind: tuple[int, ...]

    def __post_init__(self) -> None:
        if not self.run:
            raise ValueError("run: the command is empty")
        if not self.behind or 0 in self.behind:
            raise ValueError("behind: give exit codes other than 0")


@dataclass(frozen=True, kw_only=True, slots=True)
class Endpoint:
    """A service in Keystone's catalog, by type, with its three URLs or none (a dashboard has no API)."""

    type: str = field(metadata=FROM_KEY)
    where: str = ""
    name: str
    description: str
    public: str | None = None
    internal: str | None = None
    admin: str | None = None

    def __post_init__(self) -> None:
        urls = (self.public, self.internal, self.admin)
        if None in urls and any(urls):
            raise ValueError("public, internal and admin: all three or none")
        for url in self.urls():
            if not url.startswith("http://{host}:"):
                raise ValueError(f'"{url}" does not begin with http://{{host}}:')

    def urls(self) -> tuple[str, ...]:
        """Return the URLs that there are."""
        return tuple(url for url in (self.public, self.internal, self.admin) if url is not None)

    def ports(self) -> frozenset[int]:
        """Return the ports that the URLs name."""
        return frozenset(urlsplit(url.replace("{host}", "host")).port or 80 for url in self.urls())


@dataclass(frozen=True, kw_only=True, slots=True)
class Account:
    """The user that a project's services log in to Keystone as, in the project for services."""

    where: str = ""
    user: str
    roles: tuple[str, ...]
    optional: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Person:
    """A user of Keystone that is not a service."""

    name: str = field(metadata=FROM_KEY)
    where: str = ""
    email: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Assignment:
    """Roles that a user has in a project."""

    where: str = ""
    user: str
    project: str
    roles: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Ec2Owner:
    """A user who gets EC2 credentials for a project."""

    where: str = ""
    user: str
    project: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Accounts:
    """What a fresh Keystone is filled with; the services' own users stand with their projects."""

    where: str = ""
    service_project: str
    projects: Mapping[str, str]
    roles: tuple[str, ...]
    implied: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    users: Mapping[str, Person]
    assignments: tuple[Assignment, ...]
    ec2: tuple[Ec2Owner, ...] = ()

    def __post_init__(self) -> None:
        if self.service_project not in self.projects:
            raise ValueError(f"service_project: {self.service_project} is not one of projects")
        owners: tuple[Assignment | Ec2Owner, ...] = (*self.assignments, *self.ec2)
        for owner in owners:
            if owner.user not in self.users:
                raise ValueError(f"{owner.user} is not one of users")
            if owner.project not in self.projects:
                raise ValueError(f"{owner.project} is not one of projects")
        roles = [role for assignment in self.assignments for role in assignment.roles]
        for role in (*roles, *self.implied, *(role for few in self.implied.values() for role in few)):
            if role not in self.roles:
                raise ValueError(f"{role} is not one of roles")


@dataclass(frozen=True, kw_only=True, slots=True)
class Site:
    """A part of httpd's site that the project serves: `module` below the URL path `url`.

    `collect` is the program that fills `static` on the host.
    """

    where: str = ""
    package: str
    url: str
    module: Path
    static: Path
    root: str
    collect: str | None = None

    def __post_init__(self) -> None:
        if not re.fullmatch(r"(/[a-z-]+)+", self.url):
            raise ValueError(f'site: url "{self.url}" is not of the form /dashboard')
        for path in (str(self.module), str(self.static), self.root, *filter(None, [self.collect])):
            full(PATH, path, "a full path without blanks")


@dataclass(frozen=True, kw_only=True, slots=True)
class ProjectRelease:
    """A project as it is in one release of OpenStack; `user` where it had another than the project's."""

    where: str = ""
    user: SystemAccount | None = None
    configuration: Mapping[str, ConfigurationFile]
    folders: Mapping[str, Folder] = field(default_factory=dict)
    services: Mapping[str, Service] = field(default_factory=dict)
    site: Site | None = None
    rpm: Packaging | None = None
    ports: Mapping[str, int] = field(default_factory=dict)
    databases: Mapping[str, Database] = field(default_factory=dict)
    sync: tuple[SyncCommand, ...] = ()
    check: CheckCommand | None = None
    endpoints: Mapping[str, Endpoint] = field(default_factory=dict)
    account: Account | None = None
    accounts: Accounts | None = None
    cloud: CloudSetup | None = None

    def __post_init__(self) -> None:
        for use, port in self.ports.items():
            if not 1 <= port <= 65535:
                raise ValueError(f"ports: {use}: {port} is not a port")
        if (self.services or self.site) and self.rpm is None:
            raise ValueError('the key "rpm" is missing: no package would hold the services')


@dataclass(frozen=True, kw_only=True, slots=True)
class Project:
    """An OpenStack project; it is started after the projects that it `needs`, and stopped before them."""

    project: str
    where: str = ""
    title: str
    user: SystemAccount
    releases: Mapping[str, ProjectRelease]
    aliases: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in (self.project, *self.aliases):
            _check_name("project", name)

    def accounts(self) -> tuple[SystemAccount, ...]:
        """Return every system account that the project has, or had, in any release."""
        own = [release.user for release in self.releases.values()]
        packaged = [
            package.account
            for release in self.releases.values()
            if release.rpm
            for package in release.rpm.packages.values()
        ]
        return (self.user, *(user for user in (*own, *packaged) if user))

    def user_in(self, release: str) -> SystemAccount:
        """Return the account that ran, or runs, the project's services in a release."""
        return self.releases[release].user or self.user


@dataclass(frozen=True, kw_only=True, slots=True)
class Catalogue:
    """All projects, by name, the releases that they may be in, and what of others they stand on."""

    releases: Mapping[str, ReleaseProfile]
    projects: Mapping[str, Project]
    supports: Mapping[str, Support] = field(default_factory=dict)


def _check_name(what: str, name: str) -> None:
    if not NAME.fullmatch(name):
        raise ValueError(f'{what}: "{name}" is not a name of small letters, digits and hyphens')
