# SPDX-License-Identifier: MIT
"""What is changed on a server, as data, and how each engine says it in SQL. Pure.

Identifiers come from the catalogue, or are checked by `names`; everything else is a value, which the
driver quotes.
"""

from typing import NamedTuple

DATABASE, ACCOUNT, GRANT, PASSWORD = "database", "account", "grant", "password"
# Another encoding for a database that was there, and empty. What it had is in `account`; of PostgreSQL its
# owner is there, and encoding, collation and character type in `host`, with slashes between.
CHARSET = "charset"
# Tables in a database that was there, and empty: the service's own command makes them.
TABLES = "tables"


class ServerChange(NamedTuple):
    """One thing that is made, dropped or changed. `host` is MySQL's; PostgreSQL has none."""

    kind: str
    database: str = ""
    account: str = ""
    host: str = ""

    @property
    def login(self):
        return self.account + ("@" + self.host if self.host else "")

    def __str__(self):
        if self.kind == DATABASE:
            return "database %s" % self.database
        if self.kind == TABLES:
            return "tables of %s" % self.database
        if self.kind == CHARSET:
            return "character set of %s" % self.database
        if self.kind == GRANT:
            return "grant on %s to %s" % (self.database, self.login)
        return "%s %s" % ("password of" if self.kind == PASSWORD else "account", self.login)


class Statement(NamedTuple):
    """SQL with %s for its values; those at `secret` are not shown."""

    sql: str
    values: tuple = ()
    secret: tuple = ()

    def shown(self):
        """The statement for people."""
        shown = [
            "'***'" if index in self.secret else "'%s'" % str(value).replace("'", "''")
            for index, value in enumerate(self.values)
        ]
        return (self.sql % tuple(shown) if shown else self.sql) + ";"


class MySQL:
    """MySQL and MariaDB. Plain statements, since what is there is known: servers of 2012 take them."""

    name = "mysql"
    title = "MySQL"
    select = "SELECT `%(column)s` FROM `%(database)s`.`%(table)s`"

    @staticmethod
    def make(change, password, charset):
        """Return the statements that make a ServerChange."""
        who = (change.account, change.host)
        if change.kind == TABLES:
            return []
        if change.kind == DATABASE:
            return [Statement("CREATE DATABASE `%s` CHARACTER SET %s" % (change.database, charset))]
        if change.kind == CHARSET:
            return [Statement("ALTER DATABASE `%s` CHARACTER SET %s" % (change.database, charset))]
        if change.kind == GRANT:
            return [Statement("GRANT ALL ON `%s`.* TO %%s@%%s" % _pattern(change.database), who)]
        verb = "CREATE" if change.kind == ACCOUNT else "ALTER"
        return [Statement(verb + " USER %s@%s IDENTIFIED BY %s", who + (password,), (2,))]

    @staticmethod
    def drop(change):
        """Return the statements that take a ServerChange back."""
        who = (change.account, change.host)
        if change.kind == TABLES:
            return []
        if change.kind == DATABASE:
            return [Statement("DROP DATABASE `%s`" % change.database)]
        if change.kind == CHARSET:
            return [Statement("ALTER DATABASE `%s` CHARACTER SET %s" % (change.database, change.account))]
        if change.kind == GRANT:
            return [Statement("REVOKE ALL ON `%s`.* FROM %%s@%%s" % _pattern(change.database), who)]
        return [Statement("DROP USER %s@%s", who)]


def _pattern(database):
    """Return a name as GRANT wants it: `_` stands for any character there (MySQL, "GRANT Statement")."""
    return database.replace("_", "\\_")


class PostgreSQL:
    """PostgreSQL: an account is a role, and owns the databases that are made for it."""

    name = "postgresql"
    title = "PostgreSQL"
    select = 'SELECT "%(column)s" FROM "%(table)s"'

    @classmethod
    def make(cls, change, password, charset):
        del charset
        if change.kind == TABLES:
            return []
        if change.kind == CHARSET:
            return cls._replace(change, "ENCODING 'UTF8'")
        if change.kind == DATABASE:
            sql = 'CREATE DATABASE "%s" OWNER "%s" ENCODING \'UTF8\' TEMPLATE template0'
            return [Statement(sql % (change.database, change.account))]
        if change.kind == GRANT:
            names = (change.database, change.account)
            return [Statement('GRANT ALL ON DATABASE "%s" TO "%s"' % names)]
        verb = "CREATE" if change.kind == ACCOUNT else "ALTER"
        sql = '%s ROLE "%s" LOGIN PASSWORD %%s' % (verb, change.account)
        return [Statement(sql, (password,), (0,))]

    @classmethod
    def drop(cls, change):
        if change.kind == TABLES:
            return []
        if change.kind == CHARSET:
            form = "ENCODING '%s' LC_COLLATE '%s' LC_CTYPE '%s'" % tuple(change.host.split("/"))
            return cls._replace(change, form)
        if change.kind == DATABASE:
            return [Statement('DROP DATABASE "%s"' % change.database)]
        if change.kind == GRANT:
            names = (change.database, change.account)
            return [Statement('REVOKE ALL ON DATABASE "%s" FROM "%s"' % names)]
        return [Statement('DROP ROLE "%s"' % change.account)]

    @staticmethod
    def _replace(change, form):
        """Return the statements that put a new database in the place of an empty one.

        The old one goes when the new one is made: what the server cannot make costs nothing.
        """
        names = {"old": change.database, "new": in_place_of(change.database), "owner": change.account}
        return [
            Statement('CREATE DATABASE "%(new)s" OWNER "%(owner)s" ' % names + form + " TEMPLATE template0"),
            Statement('DROP DATABASE "%(old)s"' % names),
            Statement('ALTER DATABASE "%(new)s" RENAME TO "%(old)s"' % names),
        ]


def in_place_of(database):
    """Return the name that a database of PostgreSQL has until it takes the place of another."""
    return "openstack_db_%s" % database[:50]


DIALECTS = {each.name: each for each in (MySQL, PostgreSQL)}
