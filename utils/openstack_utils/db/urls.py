# SPDX-License-Identifier: MIT
"""URLs of databases: read as SQLAlchemy reads them, written so that all their readers agree. Pure.

Every byte of a password outside `[A-Za-z0-9_.~-]` is percent-encoded: SQLAlchemy then finds no `@` in
it, oslo.config no `$`, alembic and crudini nothing of theirs either.
"""

import re
from typing import Any, NamedTuple, Optional
from urllib.parse import quote, unquote

ENGINES = {"mysql": "mysql", "mariadb": "mysql", "postgresql": "postgresql", "postgres": "postgresql"}
DEFAULT_PORTS = {"mysql": 3306, "postgresql": 5432}
LOOPBACK = ("localhost", "127.0.0.1", "::1")

_LOGIN = re.compile(r"(?P<user>[^:/?@]*)(?::(?P<password>[^@]*))?@")
_PLACE = re.compile(r"(?:\[(?P<ipv6>[^]/?]+)\]|(?P<host>[^/:?]*))(?::(?P<port>[^/?]*))?")


class Url(NamedTuple):
    """A URL in parts; the password is the real one, the query stays as it is written."""

    scheme: str
    user: str = ""
    password: Optional[str] = None
    host: str = ""
    port: str = ""
    database: str = ""
    query: str = ""

    def __repr__(self):
        return "Url(%r)" % self.masked()

    @property
    def engine(self):
        """mysql, postgresql, or None for what we speak to no server of (sqlite)."""
        return ENGINES.get(self.scheme.partition("+")[0])

    @property
    def socket(self):
        """The Unix socket that the query names, or None."""
        options = self.options()
        if self.engine == "mysql":
            return options.get("unix_socket")
        host = options.get("host") or ""
        return host if host.startswith("/") else None

    def options(self):
        """The query as a dictionary."""
        pairs = [pair.partition("=") for pair in self.query.split("&") if pair]
        return {unquote(name): unquote(value) for name, _, value in pairs}

    def with_option(self, name, value):
        """The URL with one option of its query set, or with None taken out."""
        pairs = [pair for pair in self.query.split("&") if pair and pair.partition("=")[0] != name]
        if value is not None:
            pairs.append("%s=%s" % (name, quote(value, safe="/")))
        return self._replace(query="&".join(pairs))

    def text(self):
        """The URL as it is written into a file."""
        if self.password is None:
            return self._render("")
        is_pymysql = self.scheme.endswith("+pymysql")
        password = for_pymysql(self.password) if is_pymysql else self.password
        return self._render(":" + encode(password))

    def masked(self):
        """The URL for people."""
        return self._render("" if self.password is None else ":***")

    def place(self):
        """The host and port, as a person writes them."""
        host = "[%s]" % self.host if ":" in self.host else self.host
        return host + (":" + self.port if self.port else "")

    def _render(self, password):
        login = self.user + password + "@" if self.user or password else ""
        query = "?" + self.query if self.query else ""
        return "%s://%s%s/%s%s" % (self.scheme, login, self.place(), self.database, query)


def encode(password):
    return quote(password, safe="")


def for_pymysql(password):
    """PyMySQL sends a text in latin-1; the server has the password in UTF-8. The same bytes as latin-1."""
    return password.encode("utf-8").decode("latin-1")


def _from_pymysql(password):
    try:
        return password.encode("latin-1").decode("utf-8")
    except UnicodeError:
        return password


def parse(text):
    """Return the Url of an option's value, or None when it is none.

    `$$` is oslo.config's `$`. A raw `@` in the password, at which SQLAlchemy stumbles, is put right.
    """
    scheme, found, rest = text.strip().partition("://")
    if not found or not re.fullmatch(r"[\w+]+", scheme):
        return None
    user, password = "", None
    login = _LOGIN.match(rest)
    if login:
        user, password, rest = login.group("user"), login.group("password"), rest[login.end() :]
        while password is not None and "@" in re.split("[/?]", rest, maxsplit=1)[0]:
            more, _, rest = rest.partition("@")
            password += "@" + more
    if password is not None:
        password = unquote(password.replace("$$", "$"))
        password = _from_pymysql(password) if scheme.endswith("+pymysql") else password
    place: Any = _PLACE.match(rest)
    path, _, query = rest[place.end() :].partition("?")
    return Url(
        scheme,
        unquote(user),
        password,
        place.group("ipv6") or place.group("host") or "",
        place.group("port") or "",
        unquote(path[1:]),
        query,
    )


def is_known_driver(url, driver):
    """Whether the driver that a URL names can stay: any that is named, or the release's own."""
    return "+" in url.scheme or url.scheme == driver


def template(url, database):
    """Nova's template of the URL of `database`, filled in by Nova from the URL of its main database.

    A part that the URL lacks would become the text None, and the host of an IPv6 address loses its
    brackets (nova/objects/cell_mapping.py, _format_url).
    """
    host = ("[{hostname}]" if ":" in url.host else "{hostname}") if url.host else ""
    port = ":{port}" if url.port else ""
    query = "?{query}" if url.query else ""
    return "{scheme}://{username}:{password}@%s%s/%s%s" % (host, port, database, query)
