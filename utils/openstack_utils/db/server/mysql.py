# SPDX-License-Identifier: MIT
"""MySQL and MariaDB, through PyMySQL."""

import contextlib

from ...errors import AccessError, UnreachableError, UtilityError
from .connection import (
    ANSWER_SECONDS,
    CONNECT_SECONDS,
    LOCK_SECONDS,
    Connection,
    DeniedError,
    MissingDatabase,
)
from .statements import GRANT, ServerChange

# An account that cannot be changed, a password that a policy refuses: the reason is in the warnings.
EXPLAINED = (1396, 1819)
EXPIRED = "the password has expired: --password-file or --generate-password sets a new one"
# A node of a Galera cluster that takes no statements (1047 alone is an unknown command).
NOT_READY = "SHOW STATUS LIKE 'wsrep_%' shows why; --host names another node of the cluster"

# Until OpenStack tries such a transaction again: https://bugs.launchpad.net/nova/+bug/2116186
SNAPSHOT_ISOLATION = (
    "innodb_snapshot_isolation of the server is ON: OpenStack answers 500 where two requests write to one "
    "row; openstack-db(1) says how to turn it off"
)


class MySQLConnection(Connection):
    """To MySQL or MariaDB, by PyMySQL."""

    # The database, the account (so says DROP USER), a grant.
    ABSENT = (1008, 1396, 1141, 1133, 1147)
    IN_USE = ()
    # Why the server does not let somebody in, and what helps; None: another password may.
    DENIED = {
        1045: None,
        1698: None,
        1130: "--grant-from HOST lets the account in from this host",
        1251: "the account's kind of password needs another client",
        1820: EXPIRED,
        1862: EXPIRED,
        3118: "ALTER USER ... ACCOUNT UNLOCK lets the account in again",
        4151: "ALTER USER ... ACCOUNT UNLOCK lets the account in again",
        3159: "--ssl-ca FILE uses TLS, which the account requires",
        1226: "ALTER USER ... WITH MAX_USER_CONNECTIONS 0 removes the account's limit",
    }
    UNREACHABLE = (2002, 2003, 2006, 2013, 2055, 1040, 1053, 1077, 1079)

    def _open(self, user, password, database):
        pymysql = self._driver = _import_pymysql()
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
                raise self._denied(text, self.DENIED[code]) from None
            if code == 1047 and "WSREP" in text:
                raise self._unreachable(text, NOT_READY) from None
            if code in self.UNREACHABLE or isinstance(error, driver.err.InterfaceError):
                raise self._unreachable(text or "the connection was lost") from None
            if code == 1044:
                message = "%s may not use the database %s" % (self.user, self._login[2])
                raise DeniedError(message) from None
            if code == 1049:
                message = "the server has no database %s" % self._login[2]
                raise MissingDatabase(message) from None
            if code in EXPLAINED:
                text = "; ".join(dict.fromkeys([text] + self._warnings()))
            raise self._error(code, text) from None

    def _warnings(self):
        """Return what the server has to say of the statement that failed last."""
        try:
            with self.driver.cursor() as cursor:
                cursor.execute("SHOW WARNINGS")
                return [row[2] for row in cursor.fetchall()]
        except Exception:
            return []

    @contextlib.contextmanager
    def _inside(self, database):
        """A connection that sees the tables of a database: any does."""
        del database
        yield self

    # What is there

    def concerns(self):
        # Has been there since MariaDB 10.6.18, 10.11.8 and 11.4.2, and is ON since 11.6.2.
        for _, value in self.query("SHOW GLOBAL VARIABLES LIKE 'innodb_snapshot_isolation'"):
            if value == "ON":
                return [SNAPSHOT_ISOLATION]
        return []

    def facts(self):
        """Return (port, socket, whether it listens at a port, the address it sees us at)."""
        row = self.query("SELECT @@port, @@socket, @@skip_networking, SUBSTRING_INDEX(USER(), '@', -1)")
        port, socket, closed, seen = row[0]
        return int(port), socket, not int(closed), seen

    def databases(self, names):
        """Return the `names` that exist."""
        rows = self.query(
            "SELECT SCHEMA_NAME FROM information_schema.SCHEMATA WHERE SCHEMA_NAME IN (%s)"
            % ", ".join(["%s"] * len(names)),
            tuple(names),
        )
        return {row[0] for row in rows}

    def charset(self, database):
        """Return the character set that new tables of a database get."""
        sql = "SELECT DEFAULT_CHARACTER_SET_NAME FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = %s"
        return self.query(sql, (database,))[0][0]

    def hosts(self, account):
        """Return the hosts of an account."""
        return {row[0] for row in self.query("SELECT Host FROM mysql.user WHERE User = %s", (account,))}

    def requires_tls(self, account):
        """Return whether an account may only log in by TLS."""
        rows = self.query("SELECT 1 FROM mysql.user WHERE User = %s AND ssl_type <> ''", (account,))
        return bool(rows)

    def grants(self, account):
        """Return the Changes of kind GRANT that an account has already."""
        rows = self.query(
            "SELECT Db, Host, Select_priv, Insert_priv, Update_priv, Delete_priv, Create_priv, Drop_priv,"
            " References_priv, Index_priv, Alter_priv FROM mysql.db WHERE User = %s",
            (account,),
        )
        return {
            ServerChange(GRANT, row[0].replace("\\_", "_"), account, row[1])
            for row in rows
            if set(row[2:]) == {"Y"}
        }

    def table_names(self, database=None):
        """Return the tables of a database, or of the connection's own."""
        name = database or self._login[2]
        sql = "SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA = %s"
        return {row[0] for row in self.query(sql, (name,))}

    def clear(self, database):
        """Drop all tables and views of a database."""
        rows = self.query(
            "SELECT TABLE_NAME, TABLE_TYPE FROM information_schema.TABLES WHERE TABLE_SCHEMA = %s",
            (database,),
        )
        self.query("SET FOREIGN_KEY_CHECKS = 0")
        for name, kind in rows:
            what = "VIEW" if kind == "VIEW" else "TABLE"
            self.query("DROP %s `%s`.`%s`" % (what, database, name.replace("`", "``")))
        self.query("SET FOREIGN_KEY_CHECKS = 1")

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


def _import_pymysql():
    try:
        import pymysql
    except ImportError:
        try:
            from ...bundled import pymysql
        except ImportError:
            message = "PyMySQL is required to connect to MySQL"
            raise AccessError(message, hint="install python3-PyMySQL") from None
    return pymysql
