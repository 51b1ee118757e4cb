# SPDX-License-Identifier: MIT
"""Logging in to a server as its root: by the Unix socket first, which needs no password, then with one.

MySQL's root is `root`, PostgreSQL's is `postgres`, whom only that user of the system is at the socket.
"""

import os
import pwd

from ...errors import AccessError, UnreachableError
from ...host.addresses import is_local
from .. import urls
from .connect import connect
from .connection import DeniedError, Place
from .local import ENGINES

ROOT = {"mysql": "root", "postgresql": "postgres"}


class RootLogin:
    """The way into one server.

    `ask` asks for root's password and returns None where nobody is there to ask; `ensure(engine, error)`
    makes a local server run and returns what local.ensure does.
    """

    def __init__(self, place, secrets, password=None, ask=None, ensure=None):
        self.place = place
        self.secrets = secrets
        self.password = password
        self.ask = ask or (lambda: None)
        self.ensure = ensure

    @property
    def is_local(self):
        """Whether the server is on this host."""
        return bool(self.place.socket) or is_here(self.place.host)

    def log_in(self):
        """Return a Connection as root.

        Raises UnreachableError (also when no local server may be started), AccessError when root is
        not let in.
        """
        try:
            return self._log_in()
        except UnreachableError as error:
            if not self.is_local or self.ensure is None:
                raise
            prepared = self.ensure(self.place.engine, error)
            if prepared.socket:
                self.place = self.place._replace(socket=_for_engine(self.place.engine, prepared.socket))
            connection = self._log_in()
            connection.is_fresh = prepared.fresh
            return connection

    def _log_in(self):
        denied, unreachable = None, None
        for place in self._places():
            for password in self._passwords(place):
                try:
                    return self._connect(place, password)
                except DeniedError as error:
                    denied = error
                except UnreachableError as error:
                    unreachable = unreachable or error
                    break
        if denied is None:
            raise unreachable or UnreachableError("%s: no answer" % (self.place,))
        if self.password is None:
            self.password = self.ask()
            if self.password is not None:
                return self._log_in()
        raise AccessError(denied.message, hint="--rootpw-file, or run as root") from None

    def _places(self):
        """The places to try, the sockets first."""
        place = self.place
        if not self.is_local or place.socket:
            return [place]
        # A given port belongs to one server: a socket may be another's.
        found = []
        if place.port in (None, urls.DEFAULT_PORTS[place.engine]) and not place.ssl_ca:
            found = [
                Place(place.engine, socket)
                for socket in ENGINES[place.engine].sockets
                if os.path.exists(socket)
            ]
        return found + [place._replace(host=place.host or "127.0.0.1")]

    def _passwords(self, place):
        """The passwords to try; at a socket the kernel says who we are."""
        given = [] if self.password is None else [self.password]
        return ([None] + given) if place.socket or not given else given

    def _connect(self, place, password):
        user = ROOT[place.engine]
        is_peer = place.engine == "postgresql" and place.socket and password is None
        uid = _uid(user) if is_peer and os.geteuid() == 0 else None
        return connect(place, user, password, self.secrets, uid=uid)


def is_here(host):
    """Whether a host is this one."""
    return not host or host in urls.LOOPBACK or is_local(host)


def place_of(engine, options, url):
    """Return the Place that options and an existing URL name, options first."""
    if url is not None and url.engine != engine:
        url = None
    socket = options.socket
    if socket:
        return Place(engine, _for_engine(engine, socket), "", options.port, options.ssl_ca)
    if options.host or options.port:
        host = options.host or (url.host if url else "")
        return Place(engine, None, host, options.port, options.ssl_ca)
    if url is None:
        return Place(engine, ssl_ca=options.ssl_ca)
    if url.socket:
        return Place(engine, url.socket, "", _number(url.port))
    ssl_ca = options.ssl_ca or url.options().get("ssl_ca") or url.options().get("sslrootcert") or ""
    return Place(engine, None, url.host, _number(url.port), ssl_ca)


def service_place(url):
    """Return the Place at which a service reaches its server by this URL."""
    options = url.options()
    ssl_ca = options.get("ssl_ca") or options.get("sslrootcert") or ""
    if url.socket:
        return Place(url.engine, url.socket, "", _number(url.port), "")
    return Place(url.engine, None, url.host or "localhost", _number(url.port), ssl_ca)


def _number(port):
    return int(port) if port.isdigit() else None


def _for_engine(engine, socket):
    """libpq wants the folder of the socket, and finds the file by the port."""
    if engine == "postgresql" and not os.path.isdir(socket):
        return os.path.dirname(socket)
    return socket


def _uid(user):
    try:
        return pwd.getpwnam(user).pw_uid
    except KeyError:
        return None
