# SPDX-License-Identifier: MIT
"""Connections to servers, as root and as a service: one shape for MySQL and PostgreSQL.

PyMySQL and psycopg2 are imported when one of their servers is spoken to. Their errors come out as
ours, in one line, passwords masked: UnreachableError when there is no answer, DeniedError when the
server does not let us in, MissingDatabase, UtilityError for the rest.
"""

import contextlib
import ctypes
import os
import threading
from typing import NamedTuple

from .db_statements import DIALECTS, GRANT, Change
from .errors import AccessError, UnreachableError, UtilityError

CONNECT_SECONDS = 10
# A migration that runs on elsewhere holds locks on its tables.
LOCK_SECONDS = 60
ANSWER_SECONDS = 300
# The number of setresuid(2) on the machines that we have packages for.
SETRESUID = {
    "x86_64": 117,
    "aarch64": 147,
    "riscv64": 147,
    "ppc64le": 164,
    "ppc64": 164,
    "s390x": 208,
    "i686": 208,
    "armv7l": 208,
}


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
    socket: str = None
    host: str = ""
    port: int = None
    ssl_ca: str = ""

    def __str__(self):
        return self.socket or "%s%s" % (self.host, ":%d" % self.port if self.port else "")


def connect(place, user, password, secrets, database=None, uid=None):
    """Return a Connection. `password` may be None: the socket tells who we are, or that we are `uid`."""
    kind = MySQLConnection if place.engine == "mysql" else PostgreSQLConnection
    return kind(place, user, password, secrets, database, uid)


class Connection:
    """An open connection; threads take turns."""

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
        self._driver = None
        self.driver = None
        self.reconnect()

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

    def drop(self, change):
        """Take a Change back."""
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
        text = self.secrets.mask(" ".join(str(text).split()))
        message = "%s: %s" % (self.dialect.title, text)
        return ServerError(message, code in self.ABSENT, code in self.IN_USE)

    def _denied(self):
        how = "without a password" if self._login[1] is None else "with this password"
        message = "%s at %s does not let %s in %s" % (
            self.dialect.title, self.place, self.user, how,
        )  # fmt: skip
        return DeniedError(message)

    def _unreachable(self, text):
        text = self.secrets.mask(" ".join(str(text).split()))
        return UnreachableError("%s at %s: %s" % (self.dialect.title, self.place, text))


class MySQLConnection(Connection):
    """To MySQL or MariaDB, by PyMySQL."""

    # The database, the account (so says DROP USER), a grant.
    ABSENT = (1008, 1396, 1141, 1133, 1147)
    IN_USE = ()
    DENIED = (1045, 1698, 1130, 1251)
    UNREACHABLE = (2002, 2003, 2006, 2013, 2055, 1040, 1053, 1077, 1079)

    def _open(self, user, password, database):
        pymysql = self._driver = load_driver("mysql")
        try:
            return self._connect(pymysql, user, password, database, "utf8mb4")
        except pymysql.MySQLError as error:
            # Unknown character set: MySQL 5.1 of EL 6.
            if error.args[:1] != (1115,):
                raise
            return self._connect(pymysql, user, password, database, "utf8")

    def _connect(self, pymysql, user, password, database, charset):
        place = self.place
        return pymysql.connect(
            unix_socket=place.socket,
            host=place.host or None,
            port=place.port or 3306,
            user=user,
            # A text would be sent in latin-1.
            password=(password or "").encode("utf-8"),
            database=database,
            charset=charset,
            autocommit=True,
            connect_timeout=CONNECT_SECONDS,
            read_timeout=ANSWER_SECONDS,
            write_timeout=ANSWER_SECONDS,
            ssl={"ca": place.ssl_ca} if place.ssl_ca else None,
            # MySQL 5.1 has no such variable, and skips the comment.
            init_command="SET /*!50503 lock_wait_timeout = %d, */ @openstack_db = 1" % LOCK_SECONDS,
        )

    @contextlib.contextmanager
    def translated_errors(self):
        try:
            yield
        except UtilityError:
            raise
        except OSError as error:
            raise self._unreachable(error) from None
        except Exception as error:
            driver = self._driver
            if driver is None or not isinstance(error, (driver.MySQLError, RuntimeError)):
                raise
            code = error.args[0] if error.args and isinstance(error.args[0], int) else None
            text = error.args[1] if len(error.args) > 1 else str(error)
            if code in self.DENIED:
                raise self._denied() from None
            if code in self.UNREACHABLE or isinstance(error, driver.err.InterfaceError):
                raise self._unreachable(text or "the connection was lost") from None
            if code == 1044:
                message = "%s may not use the database %s" % (self.user, self._login[2])
                raise DeniedError(message) from None
            if code == 1049:
                message = "the server has no database %s" % self._login[2]
                raise MissingDatabase(message) from None
            raise self._error(code, text) from None

    @contextlib.contextmanager
    def _inside(self, database):
        """A connection that sees the tables of a database: any does."""
        del database
        yield self

    # What is there

    def facts(self):
        """Return (port, socket, whether it listens at a port, the address it sees us at)."""
        row = self.query("SELECT @@port, @@socket, @@skip_networking, SUBSTRING_INDEX(USER(), '@', -1)")
        port, socket, closed, seen = row[0]
        return int(port), socket, not int(closed), seen

    def databases(self, names):
        """Return those of `names` that are there."""
        rows = self.query(
            "SELECT SCHEMA_NAME FROM information_schema.SCHEMATA WHERE SCHEMA_NAME IN (%s)"
            % ", ".join(["%s"] * len(names)),
            tuple(names),
        )
        return {row[0] for row in rows}

    def hosts(self, account):
        """Return the hosts of an account."""
        return {row[0] for row in self.query("SELECT Host FROM mysql.user WHERE User = %s", (account,))}

    def grants(self, account):
        """Return the Changes of kind GRANT that an account has already."""
        rows = self.query(
            "SELECT Db, Host, Select_priv, Insert_priv, Update_priv, Delete_priv, Create_priv, Drop_priv,"
            " References_priv, Index_priv, Alter_priv FROM mysql.db WHERE User = %s",
            (account,),
        )
        return {
            Change(GRANT, row[0].replace("\\_", "_"), account, row[1])
            for row in rows
            if set(row[2:]) == {"Y"}
        }

    def table_names(self, database=None):
        """Return the tables of a database, or of the connection's own."""
        name = database or self._login[2]
        sql = "SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA = %s"
        return {row[0] for row in self.query(sql, (name,))}

    def old_password(self, account, host):
        """Return the statement that gives an account the password back that it has now, or None."""
        try:
            row = self.query("SHOW CREATE USER %s@%s", (account, host))
        except UnreachableError:
            raise
        except UtilityError:
            # Servers before MySQL 5.7 and MariaDB 10.2.
            return None
        return "ALTER USER" + row[0][0][len("CREATE USER") :]


class PostgreSQLConnection(Connection):
    """To PostgreSQL, by psycopg2."""

    ABSENT = ("3D000", "42704")
    IN_USE = ("55006",)

    def _open(self, user, password, database):
        psycopg2 = self._driver = load_driver("postgresql")
        place = self.place
        options = {
            "host": place.socket or place.host or None,
            "port": place.port or 5432,
            "user": user,
            "password": password,
            "dbname": database or "postgres",
            "connect_timeout": CONNECT_SECONDS,
            "application_name": "openstack-db",
            "options": "-c lock_timeout=%ds" % LOCK_SECONDS,
        }
        if place.ssl_ca:
            options.update(sslmode="verify-full", sslrootcert=place.ssl_ca)
        options = {name: value for name, value in options.items() if value is not None}
        if self.uid is None:
            opened = psycopg2.connect(**options)
        else:
            with effective_user(self.uid):
                opened = psycopg2.connect(**options)
        opened.autocommit = True
        return opened

    @contextlib.contextmanager
    def translated_errors(self):
        try:
            yield
        except UtilityError:
            raise
        except Exception as error:
            driver = self._driver
            if driver is None or not isinstance(error, driver.Error):
                raise
            code = error.pgcode or ""
            text = str(error).strip()
            # While it connects libpq gives a text and no code, in the server's language.
            connecting = not code and isinstance(error, driver.OperationalError) and self.driver is None
            if code in ("28P01", "28000") or (connecting and "FATAL" in text and "password" in text):
                raise self._denied() from None
            if connecting and "FATAL" in text and '"%s"' % self._login[2] in text and "atabase" in text:
                message = "the server has no database %s" % self._login[2]
                raise MissingDatabase(message) from None
            if connecting and "FATAL" in text:
                raise self._denied() from None
            if code[:2] in ("08", "57") or isinstance(
                error, (driver.OperationalError, driver.InterfaceError)
            ):
                raise self._unreachable(text) from None
            raise self._error(code, text) from None

    def make(self, change, password=None, charset=None):
        if password is not None:
            password = self._scrambled(change.account, password)
        super().make(change, password, charset)
        if change.kind == GRANT:
            # Since PostgreSQL 15 only the owner may make tables in the schema public.
            with self._inside(change.database) as connection:
                connection.query('GRANT ALL ON SCHEMA public TO "%s"' % change.account)

    def drop(self, change):
        if change.kind == GRANT:
            with self._inside(change.database) as connection:
                connection.query('REVOKE ALL ON SCHEMA public FROM "%s"' % change.account)
        super().drop(change)

    @contextlib.contextmanager
    def _inside(self, database):
        """A connection to another database, as only those see its tables."""
        if database == self._login[2]:
            yield self
            return
        user, password, _ = self._login
        other = connect(self.place, user, password, self.secrets, database, self.uid)
        try:
            yield other
        finally:
            other.close()

    def _scrambled(self, account, password):
        """The password as the server stores it, so that it stands in no log of statements."""
        with self.translated_errors():
            extensions = self._driver.extensions
            if extensions.libpq_version() < 100000:
                return password
            scrambled = extensions.encrypt_password(password, account, self.driver)
        return self.secrets.add(scrambled)

    # What is there

    def facts(self):
        rows = self.query(
            "SELECT current_setting('port'), current_setting('unix_socket_directories'),"
            " current_setting('listen_addresses') <> '', host(inet_client_addr())"
        )
        port, folders, listens, seen = rows[0]
        return int(port), folders.split(",")[0].strip(), listens, seen

    def databases(self, names):
        rows = self.query("SELECT datname FROM pg_database WHERE datname = ANY(%s)", (list(names),))
        return {row[0] for row in rows}

    def hosts(self, account):
        rows = self.query("SELECT 1 FROM pg_roles WHERE rolname = %s", (account,))
        return {""} if rows else set()

    def grants(self, account):
        rows = self.query(
            "SELECT datname FROM pg_database JOIN pg_roles ON rolname = %s"
            " WHERE datdba = pg_roles.oid OR has_database_privilege(rolname, datname, 'CREATE')",
            (account,),
        )
        return {Change(GRANT, row[0], account, "") for row in rows}

    def table_names(self, database=None):
        sql = "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
        with self._inside(database or self._login[2]) as connection:
            return {row[0] for row in connection.query(sql)}

    def old_password(self, account, host):
        del host
        rows = self.query("SELECT rolpassword FROM pg_authid WHERE rolname = %s", (account,))
        if not rows or rows[0][0] is None:
            return None
        with self.translated_errors():
            cursor = self.driver.cursor()
            sql = cursor.mogrify('ALTER ROLE "%s" PASSWORD %%s' % account, (rows[0][0],))
            cursor.close()
        return sql.decode()


@contextlib.contextmanager
def effective_user(uid):
    """Be another user for a moment, in this thread alone: PostgreSQL asks the kernel who is at the socket.

    To the kernel a thread has its own ids (credentials(7)); os.seteuid changes those of all threads.
    """
    libc = ctypes.CDLL(None, use_errno=True)

    def become(number):
        if libc.syscall(SETRESUID[os.uname().machine], -1, number, -1) != 0:
            raise AccessError("cannot be the user %d: %s" % (number, os.strerror(ctypes.get_errno())))

    become(uid)
    try:
        yield
    finally:
        become(0)


def load_driver(engine):
    """Import and return the module that speaks to servers of an engine. Raises AccessError."""
    return _import_pymysql() if engine == "mysql" else _import_psycopg2()


def _import_pymysql():
    try:
        import pymysql
    except ImportError:
        try:
            from .bundled import pymysql
        except ImportError:
            message = "MySQL cannot be spoken to without PyMySQL"
            raise AccessError(message, hint="install python3-PyMySQL") from None
    return pymysql


def _import_psycopg2():
    try:
        import psycopg2
        import psycopg2.extensions
    except ImportError:
        message = "PostgreSQL cannot be spoken to without psycopg2"
        raise AccessError(message, hint="install python3-psycopg2") from None
    return psycopg2
