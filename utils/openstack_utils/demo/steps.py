# SPDX-License-Identifier: MIT
"""The steps of a plan, and each as the plain commands that a person could type. Pure.

A secret stands in a step by the name of its variable only: in commands as `$NAME`, which the file of
passwords sets for the shell that sources it.
"""

import shlex
from typing import NamedTuple, Optional

SECRET = "{secret}"
BUS_USER = "openstack"


class Edit(NamedTuple):
    """An option and its value; `{secret}` in it stands for the password of the variable `secret`."""

    path: str
    section: str
    key: str
    value: str
    secret: Optional[str] = None

    def real(self, passwords):
        """Return the value with its secret."""
        return self.value.replace(SECRET, passwords[self.secret]) if self.secret else self.value

    def command(self):
        if self.secret:
            value = '"%s"' % self.value.replace(SECRET, "${%s}" % self.secret)
        else:
            value = shlex.quote(self.value)
        words = " ".join(map(shlex.quote, (self.path, self.section, self.key)))
        return "openstack-config --set %s %s" % (words, value)


class PasswordFile(NamedTuple):
    """The file of passwords: `names` are the variables that it must have."""

    path: str
    names: tuple
    title: str = "passwords"

    def commands(self):
        path = shlex.quote(self.path)
        return (
            "# %s (0600) has lines NAME=PASSWORD for %s" % (self.path, " ".join(self.names)),
            "set -a; . %s; set +a" % path,
        )


class Configure(NamedTuple):
    """Options of a project's files, all written in one run."""

    title: str
    edits: tuple

    def commands(self):
        return tuple(edit.command() for edit in self.edits)


class InitDatabase(NamedTuple):
    """The database of a project."""

    title: str
    project: str

    @property
    def argv(self):
        return ("openstack-db", "--init", "--service", self.project, "--yes")

    def commands(self):
        return (" ".join(self.argv),)


class Prepare(NamedTuple):
    """A command that is run until the file `makes` is there."""

    title: str
    argv: tuple
    makes: str

    def commands(self):
        return (" ".join(map(shlex.quote, self.argv)),)


class Fill(NamedTuple):
    """Projects, users, roles and the catalog of Keystone."""

    title: str
    url: str
    region: str
    projects: tuple
    passwords: str
    output: str

    @property
    def argv(self):
        place = ("--auth-url", self.url, "--region", self.region)
        files = ("--passwords-file", self.passwords, "--output", self.output)
        program = ("openstack-keystone-sample-data",)
        return program + place + files + ("--update", "--wait", "120", "--service") + self.projects

    def commands(self):
        return (" ".join(map(shlex.quote, self.argv)),)


class Bus(NamedTuple):
    """The account of the services on RabbitMQ, whose own account may only log in from its host."""

    title: str
    secret: str

    def commands(self):
        return (
            'printf "%%s\\n" "${%s}" | rabbitmqctl add_user %s' % (self.secret, BUS_USER),
            'rabbitmqctl set_permissions %s ".*" ".*" ".*"' % BUS_USER,
        )


class Start(NamedTuple):
    """Units that are enabled and started in their order; restarted where a file of `files` is newer."""

    title: str
    units: tuple
    files: tuple = ()

    def commands(self):
        return ("systemctl enable --now %s" % " ".join(self.units),)


class WaitForApi(NamedTuple):
    """An API that is waited for."""

    title: str
    host: str
    port: int
    path: str

    @property
    def url(self):
        host = "[%s]" % self.host if ":" in self.host else self.host
        return "http://%s:%d%s" % (host, self.port, self.path)

    def commands(self):
        return ("curl --silent --show-error --retry 30 --retry-connrefused %s" % shlex.quote(self.url),)
