# SPDX-License-Identifier: MIT
"""What openstack-keystone-sample-data wants in a Keystone, as data: names, never ids."""

from typing import NamedTuple


class Region(NamedTuple):
    name: str


class Role(NamedTuple):
    name: str


class Project(NamedTuple):
    name: str
    description: str = ""


class User(NamedTuple):
    """`variable` is where the password came from; `home` the project of a person, who gets a keystonerc."""

    name: str
    password: str
    variable: str
    email: str = ""
    description: str = ""
    home: str = ""

    def __repr__(self):
        return "User(name=%r)" % self.name


class Implied(NamedTuple):
    prior: str
    implied: str

    @property
    def name(self):
        return "%s > %s" % self


class Assignment(NamedTuple):
    user: str
    project: str
    role: str

    @property
    def name(self):
        return "%s: %s in %s" % (self.user, self.role, self.project)


class CatalogService(NamedTuple):
    type: str
    title: str
    description: str = ""

    @property
    def name(self):
        return "%s (%s)" % (self.title, self.type)


class Endpoint(NamedTuple):
    """An interface of the service `type`, `title` in a region."""

    type: str
    title: str
    interface: str
    region: str
    url: str

    @property
    def name(self):
        return "%s %s" % (self.type, self.interface)


class Ec2(NamedTuple):
    user: str
    project: str

    @property
    def name(self):
        return "%s in %s" % self


class DesiredObjects(NamedTuple):
    """All wanted objects, in the order in which they can be made."""

    regions: tuple = ()
    roles: tuple = ()
    projects: tuple = ()
    users: tuple = ()
    services: tuple = ()
    implied: tuple = ()
    assignments: tuple = ()
    endpoints: tuple = ()
    ec2: tuple = ()

    def kinds(self):
        """Return (kind, objects) pairs."""
        return tuple(zip(KINDS, self))


KINDS = (
    "region",
    "role",
    "project",
    "user",
    "service",
    "implied role",
    "assignment",
    "endpoint",
    "ec2 credentials",
)
INTERFACES = ("public", "internal", "admin")
