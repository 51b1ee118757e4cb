# SPDX-License-Identifier: MIT
"""What the catalogue knows of a service's databases, in one release, with the paths of this run.

Names of databases, accounts and programs come from here and from nowhere else.
"""

import difflib
import os
from typing import Any, NamedTuple, Optional

from .. import ini
from ..errors import UsageError, UtilityError
from ..host.programs import find_program, interpreter_of
from ..services import load_services
from . import urls as db_urls

TEMPLATE = "{template:"


class UrlOption(NamedTuple):
    """An option of a file; `path` is where the file is in this run."""

    path: str
    section: str
    key: str
    optional: bool

    def __str__(self):
        return "%s [%s] %s" % self[:3]


class Database(NamedTuple):
    """A database, its account on the server, and the options that hold its URL (or `alongside`)."""

    name: str
    account: str
    options: tuple
    alongside: str
    engines: tuple
    migrations: str


class Command(NamedTuple):
    """A command that makes tables; `run` still has the catalogue's paths and templates in it."""

    databases: tuple
    run: tuple
    done: tuple
    requires: Optional[UrlOption]


class DatabaseService(NamedTuple):
    """A service in one release."""

    name: str
    release: str
    user: str
    databases: tuple
    sync: tuple
    check: dict
    drivers: dict
    charset: str
    places: Any

    @property
    def options(self):
        """All options that hold a URL, with their databases."""
        return [(option, each) for each in self.databases for option in each.options]

    @property
    def files(self):
        """The files of the options, each once."""
        return list(dict.fromkeys(option.path for option, _ in self.options))

    @property
    def program(self):
        """The name of the service's own command, or None."""
        return self.sync[0].run[0] if self.sync else None

    def argv(self, run, urls):
        """Return the words of a command: paths of this run, templates of Nova for `urls`."""
        words = []
        for word in run:
            if word.startswith("/etc/"):
                word = self.places.path(word)
            elif word.startswith(TEMPLATE):
                name = word[len(TEMPLATE) : -1]
                word = db_urls.template(urls[self.database(name).alongside], name)
            words.append(word)
        return words

    def database(self, name):
        return next(each for each in self.databases if each.name == name)


class Places(NamedTuple):
    """Where files stand: below --root, or with --config-dir in place of /etc."""

    root: str = ""
    config_dir: str = ""

    def path(self, path):
        """Return where a file of the catalogue stands."""
        if not self.config_dir or not path.startswith("/etc/"):
            return os.path.join(self.root, path[1:]) if self.root else path
        below = path[len("/etc/") :]
        # A folder with the files of one service does as well as one with a folder for each.
        alone = os.path.join(self.config_dir, os.path.basename(path))
        inside = os.path.join(self.config_dir, below)
        return alone if os.path.exists(alone) and not os.path.exists(inside) else inside

    @property
    def state(self):
        """The folder for locks and journals."""
        if self.config_dir:
            return os.path.join(self.config_dir, ".openstack-db")
        return os.path.join(self.root or "/", "var/lib/openstack-utils/db")

    @property
    def logs(self):
        """The folder for the output of the services' commands."""
        return self.state if self.config_dir else os.path.join(self.root or "/", "var/log/openstack-utils")


class Catalogue:
    """services.json, asked about databases."""

    def __init__(self, places, data=None):
        self.places = places
        self._data = data or load_services()

    @property
    def names(self):
        """The services that have a database."""
        projects = self._data["projects"]
        return [name for name in projects if self._releases(name)]

    def resolve(self, word):
        """Return the name of the service that a word means. Raises UsageError."""
        projects = self._data["projects"]
        for name, project in projects.items():
            if word == name or word in project["aliases"]:
                return name
        known = list(projects) + [each for value in projects.values() for each in value["aliases"]]
        near = difflib.get_close_matches(word, known, 1)
        hint = "did you mean %s?" % near[0] if near else "one of %s" % ", ".join(self.names)
        raise UsageError('unknown service "%s"' % word, hint=hint)

    def has_database(self, name):
        return bool(self._releases(name))

    def service(self, name, release="auto"):
        """Return the DatabaseService. Raises UsageError when the release has none."""
        if release not in ("auto",) + tuple(self._data["releases"]):
            known = ", ".join(self._data["releases"])
            raise UsageError('unknown release "%s"' % release, hint="one of auto, %s" % known)
        releases = [self._service(name, each) for each in self._releases(name)]
        if release == "auto":
            files = {}
            return max(reversed(releases), key=lambda service: _likeness(service, files))
        for service in releases:
            if service.release == release:
                return service
        hint = "its releases: %s" % ", ".join(service.release for service in releases)
        raise UsageError("%s has no database in release %s" % (name, release), hint=hint)

    def installed(self, release="auto"):
        """Return the Services whose files and program are here."""
        found = []
        for name in self.names:
            try:
                service = self.service(name, release)
            except UsageError:
                continue
            if all(os.path.exists(path) for path in service.files) and (
                service.program is None or find_program(service.program)
            ):
                found.append(service)
        return found

    def _releases(self, name):
        releases = self._data["projects"][name]["releases"]
        # Oldest first, as in releases.yaml.
        return [each for each in self._data["releases"] if releases.get(each, {}).get("databases")]

    def _service(self, name, release):
        project = self._data["projects"][name]
        profile, facts = self._data["releases"][release], project["releases"][release]
        databases = tuple(
            Database(
                database,
                each["account"],
                tuple(self._option(option) for option in each["connection"]),
                each["alongside"],
                tuple(each["engines"]),
                each["migrations"],
            )
            for database, each in facts["databases"].items()
        )
        sync = tuple(
            Command(
                tuple(each["databases"]),
                tuple(each["run"]),
                tuple(each["done"]),
                self._option(each["requires"]) if each["requires"] else None,
            )
            for each in facts["sync"]
        )
        return DatabaseService(
            name,
            release,
            project["user"]["name"],
            databases,
            sync,
            facts["check"],
            profile["drivers"],
            profile["charset"],
            self.places,
        )

    def _option(self, option):
        path = self.places.path(option["file"])
        return UrlOption(path, option["section"], option["key"], option["optional"])


def _likeness(service, files):
    """How much the files and the program here look like a release: active options count most.

    `files` keeps those that were read.
    """
    active = commented = 0
    for option, _ in service.options:
        if option.path not in files:
            files[option.path] = _read(option.path)
        file = files[option.path]
        if file is None:
            continue
        active += bool(file.values(option.section, option.key))
        commented += file.example(option.section, option.key) is not None
    python = interpreter_of(find_program(service.program)) if service.program else None
    is_old = python == "/usr/bin/python" or os.path.basename(python or "").startswith("python2")
    # The driver shows the era: `mysql` alone is MySQLdb, of Python 2.
    fits = python is not None and is_old == ("+" not in service.drivers["mysql"])
    return (bool(active), fits, bool(commented))


def _read(path):
    try:
        return ini.read(path)
    except UtilityError:
        return None
