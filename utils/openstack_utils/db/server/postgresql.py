# SPDX-License-Identifier: MIT
"""PostgreSQL, through psycopg2."""

import contextlib
import ctypes
import os

from ...errors import AccessError, UtilityError
from .connection import CONNECT_SECONDS, LOCK_SECONDS, Connection, MissingDatabase
from .statements import CHARSET, GRANT, ServerChange, in_place_of

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


# What the server says (errmsg() of its postinit.c and auth.c) and what helps. A past VALID UNTIL is a wrong
# password to the client: only the server's log has the reason.
REFUSED = (
    (
        "no pg_hba.conf entry",
        "add a line for the account and this host to pg_hba.conf",
    ),
    ("pg_hba.conf rejects", "a line of pg_hba.conf rejects this host: put one that lets it in before that"),
    ("Ident authentication failed", "pg_hba.conf says ident for this address: scram-sha-256 takes passwords"),
    ("ident authentication failed", "pg_hba.conf says ident for this address: scram-sha-256 takes passwords"),
    ("Peer authentication failed", "pg_hba.conf says peer for the socket: scram-sha-256 takes passwords"),
    ("too many connections for role", "ALTER ROLE ... CONNECTION LIMIT -1 removes the account's limit"),
    ("not currently accepting connections", "ALTER DATABASE ... ALLOW_CONNECTIONS true opens the database"),
    ("not permitted to log in", "ALTER ROLE ... LOGIN lets the account in"),
)


# Grants that differ from those of a new database count, PUBLIC's among them.
SHAPE = """
    SELECT rolname, pg_encoding_to_char(encoding) || '/' || datcollate || '/' || datctype,
        datacl IS NOT NULL AND (
            SELECT coalesce(array_agg(acl.privilege_type ORDER BY acl.privilege_type), '{}')
                <> ARRAY['CONNECT', 'TEMPORARY']
            FROM aclexplode(datacl) AS acl LEFT JOIN pg_roles AS grantee ON grantee.oid = acl.grantee
            WHERE acl.grantee <> datdba AND grantee.rolname IS DISTINCT FROM %s
        ),
        datconnlimit <> -1 OR datistemplate OR dattablespace <> 1663
            OR EXISTS (SELECT 1 FROM pg_db_role_setting WHERE setdatabase = pg_database.oid)
    FROM pg_database JOIN pg_roles ON pg_roles.oid = datdba WHERE datname = %s
"""
OBJECTS = "SELECT " + " + ".join(
    "(SELECT count(*) FROM %s WHERE oid >= 16384)" % name
    for name in (
        "pg_class", "pg_proc", "pg_type", "pg_namespace", "pg_extension", "pg_largeobject_metadata",
        "pg_event_trigger", "pg_foreign_server", "pg_collation", "pg_operator", "pg_cast", "pg_language",
    )
)  # fmt: skip


class PostgreSQLConnection(Connection):
    """To PostgreSQL, by psycopg2."""

    ABSENT = ("3D000", "42704")
    IN_USE = ("55006",)

    def _open(self, user, password, database):
        psycopg2 = self._driver = _import_psycopg2()
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
            if connecting and "FATAL" in text:
                raise self._refused(text) from None
            if code in ("28P01", "28000"):
                raise self._denied(text) from None
            if code[:2] in ("08", "57") or isinstance(
                error, (driver.OperationalError, driver.InterfaceError)
            ):
                raise self._unreachable(text) from None
            raise self._error(code, text) from None

    def _refused(self, text):
        """Return our error for a refused connection, by the words of the server."""
        said = text.partition("FATAL:")[2].strip() or text
        if 'database "%s" does not exist' % self._login[2] in said:
            return MissingDatabase("the server has no database %s" % self._login[2])
        for words, hint in REFUSED:
            if words in said:
                return self._denied(said, hint)
        return self._denied(said)

    def make(self, change, password=None, charset=None):
        if password is not None:
            password = self._scrambled(change.account, password)
        super().make(change, password, charset)
        if change.kind == GRANT:
            # Since PostgreSQL 15 only the owner may make tables in the schema public.
            with self._inside(change.database) as connection:
                connection.query('GRANT ALL ON SCHEMA public TO "%s"' % change.account)

    def settle(self, change):
        if change.kind != CHARSET:
            return
        new = in_place_of(change.database)
        there = self.databases([change.database, new])
        if new in there and change.database in there:
            self.query('DROP DATABASE "%s"' % new)
        elif new in there:
            self.query('ALTER DATABASE "%s" RENAME TO "%s"' % (new, change.database))

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
        other = type(self)(self.place, user, password, self.secrets, database, self.uid)
        try:
            yield other
        finally:
            other.close()

    def _scrambled(self, account, password):
        """The password as the server stores it, so that it is in no log of statements."""
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

    def charset(self, database):
        sql = "SELECT pg_encoding_to_char(encoding) FROM pg_database WHERE datname = %s"
        return self.query(sql, (database,))[0][0]

    def shape(self, database, account):
        """Return (owner, "encoding/collation/character type", what would be lost with it or "").

        What would be lost: objects of users, which have numbers from 16384 (FirstNormalObjectId of
        access/transam.h); grants to others than its owner and `account`; settings of the database.
        """
        row = self.query(SHAPE, (account, database))[0]
        owner, form, has_grants, has_settings = row
        lost = []
        with self._inside(database) as connection:
            if connection.query(OBJECTS)[0][0]:
                lost.append("other objects in it")
        if has_grants:
            lost.append("grants of its own")
        if has_settings:
            lost.append("settings of its own")
        return owner, form, " and ".join(lost)

    def hosts(self, account):
        rows = self.query("SELECT 1 FROM pg_roles WHERE rolname = %s", (account,))
        return {""} if rows else set()

    def grants(self, account):
        rows = self.query(
            "SELECT datname FROM pg_database JOIN pg_roles ON rolname = %s"
            " WHERE datdba = pg_roles.oid OR has_database_privilege(rolname, datname, 'CREATE')",
            (account,),
        )
        return {ServerChange(GRANT, row[0], account, "") for row in rows}

    def table_names(self, database=None):
        sql = "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
        with self._inside(database or self._login[2]) as connection:
            return {row[0] for row in connection.query(sql)}

    def clear(self, database):
        """Drop all tables of a database, and the types that were made for their columns."""
        types = (
            "SELECT typname FROM pg_type JOIN pg_namespace ON typnamespace = pg_namespace.oid"
            " WHERE nspname = 'public' AND typtype = 'e'"
        )
        with self._inside(database) as connection:
            for name in connection.table_names():
                connection.query('DROP TABLE "%s" CASCADE' % name.replace('"', '""'))
            for (name,) in connection.query(types):
                connection.query('DROP TYPE "%s"' % name.replace('"', '""'))

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

    To the kernel a thread has its own ids (credentials(7)); os.seteuid changes the ids of all threads.
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


def _import_psycopg2():
    try:
        import psycopg2
        import psycopg2.extensions
    except ImportError:
        message = "psycopg2 is required to connect to PostgreSQL"
        raise AccessError(message, hint="install python3-psycopg2") from None
    return psycopg2
