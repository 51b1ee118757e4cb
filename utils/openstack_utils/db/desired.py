# SPDX-License-Identifier: MIT
"""What a service is to have: the URLs, the password and the hosts of its accounts.

Options come first, then what the configuration says already, then what the server reports of itself.
"""

import socket

from ..host import passwords
from ..host.addresses import is_local
from . import plan
from .server.login import is_here
from .task import urls_by_database
from .urls import DEFAULT_PORTS, LOOPBACK


class Chooser:
    """Chooses for one service in one run. `given` is the password of the command line, or None."""

    def __init__(self, task, given):
        self.task = task
        self.given = given
        # Made once a run, and only where no other is known.
        self.generated = None

    def choose(self, values):
        """Return the Desired state, for the values that the options have now."""
        task, service = self.task, self.task.service
        old = urls_by_database(service, values)
        port, at, listens, seen = task.admin.facts()
        preferences = self._preferences(old, port, at, listens)
        password, is_given = self._password(old)
        task.secrets.add(password)
        urls = {}
        for each in service.databases:
            if not each.alongside:
                known = old.get(each.name)
                urls[each.name] = plan.compose(known, each, password, preferences, service.drivers)
        for each in service.databases:
            if each.alongside:
                urls[each.name] = urls[each.alongside]._replace(database=each.name)
        return plan.DesiredDatabases(
            urls,
            self._hosts(urls, seen),
            task.options.charset or service.charset,
            password,
            is_owned=task.engine == "postgresql",
            is_given=is_given,
        )

    def _preferences(self, old, port, at, listens):
        task, options = self.task, self.task.options
        preferences = plan.Preferences(
            task.engine, options.host or "", str(options.port or ""), "", options.ssl_ca
        )
        is_new = not any(url.engine == task.engine for url in old.values())
        if options.host or not (is_new or options.socket):
            return preferences
        if not listens:
            return preferences._replace(socket=at)
        if task.admin.place.socket and port != DEFAULT_PORTS[task.engine]:
            return preferences._replace(port=str(port))
        return preferences

    def _password(self, old):
        """Return (password, whether this run asked for it)."""
        if self.given is not None:
            return self.given, True
        if not self.task.options.generate_password:
            for url in old.values():
                if url.engine == self.task.engine and url.password:
                    return url.password, False
        self.generated = self.generated or passwords.generate()
        return self.generated, self.task.options.generate_password

    def _hosts(self, urls, seen):
        """The hosts that the account may log in from."""
        task = self.task
        if task.engine == "postgresql":
            return ("",)
        if task.options.grant_from:
            return tuple(dict.fromkeys(task.options.grant_from))
        place = task.admin.place
        if not place.socket and not is_here(place.host):
            return (seen,)
        hosts = ["localhost", "127.0.0.1"]
        for url in urls.values():
            # By an address of its own a host reaches itself from that address.
            if url.host and url.host not in LOOPBACK and is_local(url.host):
                hosts.append(_address(url.host))
        return tuple(dict.fromkeys(hosts))


def _address(host):
    """Return the address of a name of this host."""
    return socket.getaddrinfo(host, 0, type=socket.SOCK_STREAM)[0][4][0]
