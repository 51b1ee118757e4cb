# SPDX-License-Identifier: MIT
"""The profiles: what services.json says about a release, as wanted objects. Pure.

`essex` is tools/sample_data.sh of Keystone 2012.1 in the words of the Identity API v3; `current` is
today's. Both are in the catalogue (specs/services/*.yaml); no object is named here.
"""

from typing import NamedTuple
from urllib.parse import urlsplit, urlunsplit

from ..errors import UsageError
from ..services import installed_units, is_installed
from .model import (
    INTERFACES,
    Assignment,
    CatalogService,
    DesiredObjects,
    Ec2,
    Endpoint,
    Implied,
    Project,
    Region,
    Role,
    User,
)


class Choices(NamedTuple):
    """What the person chose. `addresses` maps interface -> host, "" for the host in Keystone's URL.

    `installed` are the projects of this host, which count where no `services` are named; empty: all do.
    `absent` are pairs (project, type) that nothing on this host serves, though the project is here.
    """

    profile: str
    identity_url: str
    region: str = "RegionOne"
    services: tuple = ()
    installed: tuple = ()
    absent: tuple = ()
    optional: tuple = ()
    endpoints: bool = True
    strict: bool = False
    addresses: dict = {}
    port: int = 0


def profiles(catalogue):
    """Return the names of the releases that a profile can be made of."""
    return [
        name
        for name in catalogue["releases"]
        if any(_release(project, name).get("accounts") for project in catalogue["projects"].values())
    ]


def installed(catalogue, profile, locate=str):
    """Return the names of the projects of a profile that are on this host and have endpoints."""
    found = {name: each["releases"].get(profile) for name, each in catalogue["projects"].items()}
    return tuple(
        name for name, facts in found.items() if facts and facts["endpoints"] and is_installed(facts, locate)
    )


def absent(catalogue, profile, locate=str):
    """Return (project, type) of what a project of this host could serve by a unit that is not here.

    Heat's CloudFormation API is a package of its own. Which unit serves a type is said by the port; where no
    API of the project is here, another host has them, and nothing is known.
    """
    found = []
    for name, project in catalogue["projects"].items():
        facts = project["releases"].get(profile)
        if not facts:
            continue
        ports = {unit: each["http"]["port"] for unit, each in facts["services"].items() if each["http"]}
        here = {ports[unit] for unit in installed_units(facts, locate) if unit in ports}
        for kind, service in facts["endpoints"].items() if here else ():
            port = urlsplit((service["public"] or "").replace("{host}", "host")).port
            if port in set(ports.values()) - here:
                found.append((name, kind))
    return tuple(found)


def build(catalogue, choices, passwords):
    """Return the DesiredObjects of a profile.

    `passwords` gives (password, variable) for a list of variables in their order.
    Raises UsageError for an unknown profile or service.
    """
    found = {
        name: project["releases"][choices.profile]
        for name, project in catalogue["projects"].items()
        if choices.profile in project["releases"]
    }
    owners = [release["accounts"] for release in found.values() if release.get("accounts")]
    if not owners:
        known = ", ".join(profiles(catalogue))
        raise UsageError('unknown profile "%s"' % choices.profile, hint="one of %s" % known)
    accounts = owners[0]
    chosen = _chosen(catalogue, found, choices)
    users, assignments = _people(accounts, passwords)
    for name in chosen:
        account = found[name].get("account")
        if account:
            variables = service_variables(name, catalogue["projects"][name], account["user"])
            password, variable = passwords(variables)
            email = account["user"] + "@example.com"
            users.append(User(account["user"], password, variable, email))
            for role in account["roles"]:
                assignments.append(Assignment(account["user"], accounts["service_project"], role))
    services, endpoints = _catalog(catalogue, found, chosen, choices)
    return DesiredObjects(
        regions=(Region(choices.region),) if endpoints else (),
        roles=tuple(Role(name) for name in accounts["roles"]),
        projects=tuple(Project(*pair) for pair in accounts["projects"].items()),
        users=tuple(users),
        services=tuple(services),
        implied=tuple(Implied(prior, role) for prior, few in accounts["implied"].items() for role in few),
        assignments=tuple(assignments),
        endpoints=tuple(endpoints),
        ec2=tuple(Ec2(each["user"], each["project"]) for each in accounts["ec2"]),
    )


def service_variables(name, project, user):
    """Return the variables that may hold the password of a project's user, in their order."""
    names = [user] + [known for known in [name] + list(project["aliases"]) if known != user]
    return [variable(each) for each in names] + ["SERVICE_PASSWORD"]


def variable(user):
    """Return the name of the variable for a user's password."""
    return "".join(char if char.isalnum() else "_" for char in user.upper()) + "_PASSWORD"


def identity_urls(choices):
    """Return interface -> URL of the Keystone that is being filled."""
    return {
        interface: with_address(choices.identity_url, choices.addresses.get(interface), choices.port)
        for interface in INTERFACES
    }


def with_address(url, address, port):
    """Return `url` with another host where `address`, and another port where `port` is given."""
    parts = urlsplit(url)
    host = address or parts.hostname
    number = port or parts.port
    netloc = bracket(host) + (":%d" % number if number else "")
    return urlunsplit((parts.scheme, netloc, parts.path, "", ""))


def bracket(host):
    """Return a host as it is in a URL."""
    return "[%s]" % host if ":" in host and not host.startswith("[") else host


def _release(project, name):
    return project["releases"].get(name, {})


def _chosen(catalogue, found, choices):
    """Return the names of the chosen projects: those that were named, else those that are installed.

    Without either all that are not optional.
    """
    names = {}
    for name in found:
        for known in [name] + list(catalogue["projects"][name]["aliases"]):
            names[known] = name
    asked = []
    for word in tuple(choices.services) + tuple(choices.optional):
        if word not in names:
            message = 'unknown service "%s" in the profile %s' % (word, choices.profile)
            raise UsageError(message, hint="one of %s" % ", ".join(sorted(names)))
        asked.append(names[word])
    chosen = []
    for name, release in found.items():
        optional = (release.get("account") or {}).get("optional")
        is_default = name in choices.installed if choices.installed else not optional
        wanted = name in asked or (is_default and not choices.services)
        if wanted or release.get("accounts"):
            chosen.append(name)
    return chosen


def _people(accounts, passwords):
    homes = {}
    for each in accounts["assignments"]:
        homes.setdefault(each["user"], each["project"])
    users, assignments = [], []
    for name, person in accounts["users"].items():
        variables = [variable(name)] if name == "admin" else [variable(name), "ADMIN_PASSWORD"]
        password, where = passwords(variables)
        users.append(User(name, password, where, person["email"] or "", "", homes.get(name, "")))
    for each in accounts["assignments"]:
        for role in each["roles"]:
            assignments.append(Assignment(each["user"], each["project"], role))
    return users, assignments


def _catalog(catalogue, found, chosen, choices):
    services, endpoints = [], []
    for name in chosen:
        for kind, service in found[name]["endpoints"].items():
            if (name, kind) in choices.absent:
                continue
            services.append(CatalogService(kind, service["name"], service["description"]))
            if not choices.endpoints or not service["public"]:
                continue
            for interface in INTERFACES:
                url = _url(catalogue, name, kind, service, interface, choices)
                endpoints.append(Endpoint(kind, service["name"], interface, choices.region, url))
    return services, endpoints


def _url(catalogue, project, kind, service, interface, choices):
    """Return an endpoint's URL.

    The identity service is where the running Keystone is. An old path that no client of today
    understands (an image service below /v1) is replaced by today's, if the catalogue has one; with
    `strict` it stays.
    """
    template = service[interface]
    address = choices.addresses.get(interface) or urlsplit(choices.identity_url).hostname
    if kind == "identity":
        if not choices.strict or choices.profile != "essex":
            return identity_urls(choices)[interface]
        return template.replace("{host}", bracket(address))
    if choices.profile == "essex" and not choices.strict:
        today = _release(catalogue["projects"][project], "current").get("endpoints", {})
        if kind == "image" and kind in today:
            template = today[kind][interface]
        template = template.replace("$(tenant_id)s", "$(project_id)s")
    return template.replace("{host}", bracket(address))
