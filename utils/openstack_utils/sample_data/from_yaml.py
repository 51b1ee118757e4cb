# SPDX-License-Identifier: MIT
"""--file: wanted objects from a YAML file, with the line of every mistake. Needs PyYAML.

The keys are the catalogue's (specs/services/README.md): projects, roles, implied, users,
assignments, services, ec2. openstack-keystone-sample-data(1) explains them.
"""

from urllib.parse import urlsplit

from ..errors import UsageError, UsageErrors
from ..yaml_file import import_yaml, translated_errors
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
from .profiles import bracket, identity_urls, variable

KEYS = ("projects", "roles", "implied", "users", "assignments", "services", "ec2")


def read_desired(path, choices, passwords):
    """Return the DesiredObjects of a file.

    Raises UsageError with all mistakes, each with file and line.
    """
    yaml = import_yaml(path)
    with translated_errors(path), open(path, encoding="utf-8") as file:
        node = yaml.compose(file, Loader=yaml.SafeLoader)
    reader = _Reader(yaml, path)
    desired = reader.read(node, choices, passwords) if node is not None else None
    if node is None:
        raise UsageError("%s: the file is empty" % path)
    if reader.problems:
        raise UsageErrors([text for _, text in sorted(reader.problems)], hint=reader.hint)
    return desired


class _Reader:
    """Reads the nodes of one file and collects what is wrong."""

    def __init__(self, yaml, path):
        self.yaml = yaml
        self.path = path
        self.problems = []
        self.hint = None

    def read(self, node, choices, passwords):
        keys = self.mapping(node, KEYS)
        projects = {
            name: Project(name, self.text(value, "")) for name, _, value in self.pairs(keys.get("projects"))
        }
        roles = [Role(self.text(each)) for each in self.items(keys.get("roles"))]
        users = self.users(keys.get("users"), passwords)
        services, endpoints = self.services(keys.get("services"), choices)
        names = {role.name for role in roles}
        implied = []
        for prior, key, value in self.pairs(keys.get("implied")):
            self.known("role", prior, names, key)
            for each in self.items(value):
                implied.append(Implied(prior, self.known("role", self.text(each), names, each)))
        assignments, homes = self.assignments(keys.get("assignments"), users, projects, names)
        ec2 = []
        for each in self.items(keys.get("ec2")):
            values = self.mapping(each, ("user", "project"), required=("user", "project"))
            user = self.known("user", self.text(values.get("user")), users, each)
            ec2.append(Ec2(user, self.known("project", self.text(values.get("project")), projects, each)))
        return DesiredObjects(
            regions=(Region(choices.region),) if endpoints else (),
            roles=tuple(roles),
            projects=tuple(projects.values()),
            users=tuple(user._replace(home=homes.get(user.name, "")) for user in users.values()),
            services=tuple(services),
            implied=tuple(implied),
            assignments=tuple(assignments),
            endpoints=tuple(endpoints),
            ec2=tuple(ec2),
        )

    def users(self, node, passwords):
        users = {}
        for name, key, value in self.pairs(node):
            allowed = ("email", "description", "password")
            values = {} if self.is_empty(value) else self.mapping(value, allowed)
            password, where = self.text(values.get("password"), ""), "the file"
            if not password:
                where = variable(name)
                if not passwords.generate and passwords.lookup(where) is None:
                    self.wrong(key, "user %s has no password" % name)
                    self.hint = "set password: there, or the variable %s, or --generate-passwords" % where
                else:
                    password, where = passwords([where])
            email, text = (
                self.text(values.get("email"), ""),
                self.text(values.get("description"), ""),
            )
            users[name] = User(name, password, where, email, text)
        return users

    def assignments(self, node, users, projects, roles):
        """Return the assignments, and user -> the first project of each."""
        found, homes = [], {}
        for each in self.items(node):
            values = self.mapping(each, ("user", "project", "roles"), required=("user", "project", "roles"))
            user = self.known("user", self.text(values.get("user")), users, each)
            project = self.known("project", self.text(values.get("project")), projects, each)
            homes.setdefault(user, project)
            for role in self.items(values.get("roles")):
                name = self.known("role", self.text(role), roles, role)
                found.append(Assignment(user, project, name))
        return found, homes

    def services(self, node, choices):
        services, endpoints, seen = [], [], set()
        allowed = ("type", "name", "description", "url") + INTERFACES
        for each in self.items(node):
            values = self.mapping(each, allowed, required=("type", "name"))
            kind, title = self.text(values.get("type")), self.text(values.get("name"))
            if kind in seen:
                self.wrong(each, "the type %s is there twice" % kind)
            seen.add(kind)
            services.append(CatalogService(kind, title, self.text(values.get("description"), "")))
            for interface in INTERFACES:
                url = self.text(values.get(interface), "") or self.text(values.get("url"), "")
                if kind == "identity" and not url:
                    url = identity_urls(choices)[interface]
                if url and choices.endpoints:
                    address = choices.addresses.get(interface) or urlsplit(choices.identity_url).hostname
                    url = url.replace("{host}", bracket(address))
                    endpoints.append(Endpoint(kind, title, interface, choices.region, url))
        return services, endpoints

    def wrong(self, node, message):
        line = node.start_mark.line + 1 if node is not None else 1
        self.problems.append((line, "%s:%d: %s" % (self.path, line, message)))

    def known(self, what, name, names, node):
        if name and name not in names:
            self.wrong(node, "%s %s is not one of %ss" % (what, name, what))
        return name

    def is_empty(self, node):
        return node is None or (
            isinstance(node, self.yaml.ScalarNode) and node.value in ("", "~", "null") and node.style is None
        )

    def text(self, node, default=None):
        """Return a scalar as it is written (`no` is "no")."""
        if default is not None and self.is_empty(node):
            return default
        if node is None:
            return ""
        if not isinstance(node, self.yaml.ScalarNode) or self.is_empty(node):
            self.wrong(node, "a text is wanted here")
            return ""
        return node.value

    def items(self, node):
        if self.is_empty(node):
            return []
        if not isinstance(node, self.yaml.SequenceNode):
            self.wrong(node, "a list is wanted here")
            return []
        return node.value

    def pairs(self, node):
        """Return (key, its node, value's node) of a mapping with keys of any name."""
        if self.is_empty(node):
            return []
        if not isinstance(node, self.yaml.MappingNode):
            self.wrong(node, "a mapping is wanted here")
            return []
        found, seen = [], set()
        for key, value in node.value:
            name = self.text(key)
            if name in seen:
                self.wrong(key, "%s is there twice" % name)
            elif name:
                found.append((name, key, value))
            seen.add(name)
        return found

    def mapping(self, node, allowed, required=()):
        """Return key -> node of a mapping with keys of `allowed`."""
        values = {}
        for name, key, value in self.pairs(node):
            if name in allowed:
                values[name] = value
            else:
                self.wrong(key, 'unknown key "%s" (one of %s)' % (name, ", ".join(allowed)))
        for name in required:
            if name not in values and isinstance(node, self.yaml.MappingNode):
                self.wrong(node, "%s is missing" % name)
        return values
