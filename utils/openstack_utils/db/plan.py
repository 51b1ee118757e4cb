# SPDX-License-Identifier: MIT
"""What --init is going to do, as data: from what is wanted and what is there. Pure."""

from typing import NamedTuple

from . import urls as db_urls
from .server.statements import ACCOUNT, DATABASE, GRANT, PASSWORD, ServerChange


class DesiredDatabases(NamedTuple):
    """What a service is to have: its URLs, and where its accounts may log in from."""

    urls: dict
    hosts: tuple
    charset: str
    password: str
    # PostgreSQL: a new database belongs to its account, which needs no grants on it.
    is_owned: bool = False
    # The password was asked for in this run: an account that is there gets it.
    is_given: bool = False

    def account_changes(self, service):
        """Return the accounts, as Changes that make them."""
        names = dict.fromkeys(each.account for each in service.databases)
        return [ServerChange(ACCOUNT, "", name, host) for name in names for host in self.hosts]

    def accounts(self, service):
        """Return the accounts as people write them."""
        return sorted(change.login for change in self.account_changes(service))


class ServerState(NamedTuple):
    """What a server and the configuration have already."""

    databases: frozenset = frozenset()
    accounts: frozenset = frozenset()
    grants: frozenset = frozenset()
    values: dict = {}


class DatabasePlan(NamedTuple):
    """Changes on the server, texts for options, and databases that are made or still empty."""

    changes: tuple
    values: dict


def make_plan(service, desired, state, unfinished=()):
    """Return the DatabasePlan. Accounts in `unfinished`, of a killed run, get a new password."""
    changes = []
    for change in desired.account_changes(service):
        if change not in state.accounts:
            changes.append(change)
        elif desired.is_given or change in unfinished:
            changes.append(change._replace(kind=PASSWORD))
    # PostgreSQL makes a database for its owner, who has to be there.
    changes += [
        ServerChange(DATABASE, each.name, each.account)
        for each in service.databases
        if each.name not in state.databases
    ]
    for each in service.databases:
        for host in desired.hosts:
            change = ServerChange(GRANT, each.name, each.account, host)
            is_owned = desired.is_owned and each.name not in state.databases
            if change not in state.grants and not is_owned:
                changes.append(change)
    values = {}
    for option, database in service.options:
        if option in state.values:
            url, old = desired.urls[database.name], state.values[option]
            if old is None or not _says(old, url):
                values[option] = url.text()
    return DatabasePlan(tuple(changes), values)


def _says(text, url):
    """Whether an option's text is this URL already, for every reader of it."""
    old = db_urls.parse(text)
    if old is None or old != url:
        return False
    # A raw `@` or `$` in it would be read otherwise by SQLAlchemy or oslo.config.
    written = text.partition("://")[2].rpartition("@")[0].partition(":")[2]
    return not set(written).intersection("@$")


class Preferences(NamedTuple):
    """What the options of the command say of a URL."""

    engine: str
    host: str = ""
    port: str = ""
    socket: str = ""
    ssl_ca: str = ""


def compose(old, database, password, preferences, drivers):
    """Return the Url for a database: what `old` has stays unless an option says otherwise."""
    engine = preferences.engine
    driver = drivers[engine]
    if old is None or old.engine != engine:
        old = db_urls.Url(driver)
    url = old._replace(
        scheme=old.scheme if db_urls.is_known_driver(old, driver) else driver,
        user=database.account,
        password=password,
        database=database.name,
    )
    name = "unix_socket" if engine == "mysql" else "host"
    if preferences.host or preferences.port:
        url = url.with_option(name, None) if url.socket else url
        url = url._replace(
            host=preferences.host or url.host or "127.0.0.1", port=preferences.port or url.port
        )
    elif preferences.socket:
        url = url.with_option(name, preferences.socket)._replace(host="", port="")
    elif not url.host and not url.socket:
        url = url._replace(host="127.0.0.1")
    if preferences.ssl_ca:
        if engine == "mysql":
            return url.with_option("ssl_ca", preferences.ssl_ca)
        url = url.with_option("sslmode", "verify-full")
        return url.with_option("sslrootcert", preferences.ssl_ca)
    return url


def commands_of(service, new, values):
    """Return (commands to run, commands left out): all that touch a database of `new`.

    `values` gives the value of a required option, or None.
    """
    run, left_out = [], []
    for command in service.sync:
        if not set(command.databases).intersection(new):
            continue
        missing = command.requires is not None and not values(command.requires)
        (left_out if missing else run).append(command)
    return run, left_out
