# SPDX-License-Identifier: MIT
"""Connections to servers, as root and as a service: one shape for MySQL and PostgreSQL.

PyMySQL and psycopg2 are imported when a connection needs them. Their errors come out as
ours, in one line, passwords masked: UnreachableError when the server does not answer, DeniedError when the
server does not let us in, MissingDatabase, UtilityError for the rest.
"""

import contextlib
import threading
from typing import Any, NamedTuple, Optional

from ...errors import AccessError, UnreachableError, UtilityError
from .statements import DIALECTS, TABLES

CONNECT_SECONDS = 10
# A migration that runs on elsewhere holds locks on its tables.
LOCK_SECONDS = 60
ANSWER_SECONDS = 300


class DeniedError(AccessError):
    """The server does not let us in with this name and password."""


class MissingDatabase(UtilityError):
    """The server has no such database."""


class ServerError(UtilityError):
    """The server does not do a statement: what it is about is not there, or in use, or for another reason."""

    def __init__(self, message, is_absent=False, is_in_use=False):
        super().__init__(message)
        self.is_absent = is_absent
        self.is_in_use = is_in_use


class Place(NamedTuple):
    """Where a server is: a socket (of PostgreSQL: its folder), or host and port."""

    engine: str
    socket: Optional[str] = None
    host: str = ""
    port: Optional[int] = None
    ssl_ca: str = ""

    def __str__(self):
        return self.socket or "%s%s" % (self.host, ":%d" % self.port if self.port else "")


class Connection:
    """An open connection; threads take turns. What an engine does in its own way is in its own class."""

    # Error codes of the server: what a statement is about is not there; it is in use.
    ABSENT: tuple = ()
    IN_USE: tuple = ()

    def __init__(self, place, user, password, secrets, database, uid):
        self.place = place
        self.uid = uid
        self.user = user
        self.secrets = secrets
        self.dialect = DIALECTS[place.engine]
        # Whether this run has installed the server.
        self.is_fresh = False
        self._login = (user, password, database)
        self._lock = threading.RLock()
        self._driver: Any = None
        self.driver: Any = None
        self.reconnect()

    def _open(self, user, password, database):
        """Return the driver's own connection."""
        raise NotImplementedError

    def translated_errors(self):
        """Return a context in which the driver's errors come out as ours."""
        raise NotImplementedError

    def _inside(self, database):
        """Return a context that gives a connection which sees the tables of a database."""
        raise NotImplementedError

    def table_names(self, database=None):
        """Return the tables of a database, or of the connection's own."""
        raise NotImplementedError

    def clear(self, database):
        """Drop all that is in a database."""
        raise NotImplementedError

    def concerns(self):
        """Return what of the server's own settings does not suit OpenStack, a line each."""
        return []

    def reconnect(self):
        """Connect, or once more where the connection was lost."""
        with self._lock, self.translated_errors():
            self.driver = self._open(*self._login)

    def query(self, sql, values=()):
        """Return the rows of a statement, [] for one that has none."""
        with self._lock, self.translated_errors():
            cursor = self.driver.cursor()
            try:
                cursor.execute(sql, values or None)
                return list(cursor.fetchall()) if cursor.description else []
            finally:
                cursor.close()

    def make(self, change, password=None, charset=None):
        """Make a Change."""
        for statement in self.dialect.make(change, password, charset):
            self.query(statement.sql, statement.values)

    def settle(self, change):
        """Bring a Change of an unfinished run to where one of its two ends is."""

    def drop(self, change):
        """Take a Change back."""
        if change.kind == TABLES:
            self.clear(change.database)
        for statement in self.dialect.drop(change):
            self.query(statement.sql, statement.values)

    def close(self):
        with contextlib.suppress(Exception):
            self.driver.close()

    def revisions(self):
        """Return the revisions in alembic_version of the connection's database; None: no such table."""
        if "alembic_version" not in self.table_names():
            return None
        return set(self.rows_of(self._login[2], "alembic_version", "version_num"))

    def rows_of(self, database, table, column):
        """Return the values in one column of a small table."""
        sql = self.dialect.select % {"database": database, "table": table, "column": column}
        with self._inside(database) as connection:
            return [row[0] for row in connection.query(sql)]

    def _error(self, code, text):
        """Return our error for one of the driver's."""
        message = "%s: %s" % (self.dialect.title, self._masked(text))
        return ServerError(message, code in self.ABSENT, code in self.IN_USE)

    def _denied(self, text, hint=None):
        """Return the DeniedError with the server's own words."""
        how = "without a password" if self._login[1] is None else "with this password"
        message = "%s at %s does not let %s in %s: %s" % (
            self.dialect.title, self.place, self.user, how, self._masked(text),
        )  # fmt: skip
        return DeniedError(message, hint=hint)

    def _masked(self, text):
        return self.secrets.mask(" ".join(str(text).split()))

    def _unreachable(self, text, hint=None):
        message = "%s at %s: %s" % (self.dialect.title, self.place, self._masked(text))
        return UnreachableError(message, hint=hint)
