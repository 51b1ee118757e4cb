# SPDX-License-Identifier: MIT
"""The steps of a plan, and each as the plain commands that a person could type. Pure.

A secret is in a step by the name of its variable only: in commands as `$NAME`, which the file of
passwords sets for the shell that sources it.
"""

import shlex
from typing import NamedTuple, Optional

SECRET = "{secret}"
BUS_USER = "openstack"
VOLUME_GROUP = "cinder-volumes"


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
    """Options of a project's files, all written in one run; `record` keeps what they had."""

    title: str
    edits: tuple
    record: str = ""

    def commands(self):
        return tuple(edit.command() for edit in self.edits)


class InitDatabase(NamedTuple):
    """The database of a project; `record` keeps what its options had, `places` are (file, section, key)."""

    title: str
    project: str
    record: str = ""
    places: tuple = ()

    @property
    def argv(self):
        return ("openstack-db", "--init", "--service", self.project, "--yes")

    def commands(self):
        return (" ".join(self.argv),)


class Prepare(NamedTuple):
    """Commands that are run, all again, until the file `makes` of the last is there."""

    title: str
    argvs: tuple
    makes: str

    def commands(self):
        return tuple(" ".join(map(shlex.quote, argv)) for argv in self.argvs)


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


class VolumeGroup(NamedTuple):
    """A group of volumes in a file, for trying out: after a boot the next run attaches it again."""

    title: str
    file: str
    size: int

    def commands(self):
        file = shlex.quote(self.file)
        return (
            "truncate --size %d %s" % (self.size, file),
            "device=$(losetup --find --show %s)" % file,
            'vgcreate %s "$device"' % VOLUME_GROUP,
        )


class Network(NamedTuple):
    """A network that all projects may use; `identity` and `url` are Keystone's and Neutron's."""

    title: str
    identity: str
    url: str
    range: str

    def commands(self):
        return (
            "openstack network create --share demo",
            "openstack subnet create --network demo --subnet-range %s --gateway none demo" % self.range,
        )


class Bus(NamedTuple):
    """The account of the services on RabbitMQ, whose own account may only log in from its host."""

    title: str
    secret: str

    def commands(self):
        return (
            'printf "%%s\\n" "${%s}" | rabbitmqctl add_user %s' % (self.secret, BUS_USER),
            'rabbitmqctl set_permissions %s ".*" ".*" ".*"' % BUS_USER,
        )


class StartSupport(NamedTuple):
    """A service of others that one of ours is on: `units`, full names, are enabled and started."""

    title: str
    units: tuple

    def commands(self):
        return ("systemctl enable --now %s" % " ".join(self.units),)


class Start(NamedTuple):
    """Units that are enabled and started in their order; restarted where a file of `files` is newer."""

    title: str
    units: tuple
    files: tuple = ()

    def commands(self):
        return ("systemctl enable --now %s" % " ".join(self.units),)


class StayUp(NamedTuple):
    """Units, by their full names, that have to be there still when all is done."""

    title: str
    units: tuple

    def commands(self):
        return ("systemctl is-active %s" % " ".join(self.units),)


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


class Stop(NamedTuple):
    """Units that are stopped, and no longer started at boot."""

    title: str
    units: tuple

    def commands(self):
        return ("systemctl disable --now %s" % " ".join(self.units),)


class DropDatabase(NamedTuple):
    """The databases of a project, with all that is in them."""

    title: str
    project: str

    @property
    def argv(self):
        return ("openstack-db", "--drop", "--service", self.project, "--yes")

    def commands(self):
        return (" ".join(self.argv),)


class Restore(NamedTuple):
    """Options get what they had before the first run; `places` are (file, section, option, value or None)."""

    title: str
    record: str
    places: tuple

    def commands(self):
        # What a file had may be a secret of somebody.
        return tuple(
            "openstack-config --%s %s%s"
            % (
                "del" if value is None else "set",
                " ".join(shlex.quote(word) for word in place if word),
                "" if value is None else " ...",
            )
            for *place, value in self.places
        )


class RemoveBusUser(NamedTuple):
    """The account of the services on RabbitMQ."""

    title: str

    def commands(self):
        return ("rabbitmqctl delete_user %s" % BUS_USER,)


class RemoveFiles(NamedTuple):
    """Files of ours that are removed, in this order: the last, the passwords, say that there is something."""

    title: str
    paths: tuple

    def commands(self):
        return ("rm -f %s" % " ".join(map(shlex.quote, self.paths)),)
