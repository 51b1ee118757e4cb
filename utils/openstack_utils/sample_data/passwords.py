# SPDX-License-Identifier: MIT
"""Passwords: from a file, the environment, or made again; never from the command line.

A file of passwords has lines NAME=VALUE as a shell reads them (`export` and quotes may stand), so
that it can be sourced as well.
"""

import shlex

from ..errors import UsageError, UtilityError, reason_of
from ..host.passwords import generate

# What Keystone 2012.1's script used, spelled so.
DEFAULT = "secrete"
FILE_NAME = "sample-data-passwords"


class Passwords:
    """Finds the password for a list of variables; remembers which were not given and which are new."""

    def __init__(self, given, environment, generate=False, default=DEFAULT):
        self.given = given
        self.environment = environment
        self.generate = generate
        self.default = default
        # What an earlier run generated, and what this one does.
        self.kept = {}
        self.made = {}
        # Variables that are not set: those that take admin's password, those that take the default.
        self.borrowed = []
        self.defaulted = []

    def lookup(self, variable):
        """Return the value of a variable that was given, or None. Empty is as good as not given."""
        for values in (self.given, self.environment, self.kept, self.made):
            if values.get(variable):
                return values[variable]
        return None

    def __call__(self, variables):
        """Return (password, variable) for the first of the variables that is set.

        Without one a password is generated for the first; or admin's, or the default, is used.
        """
        for name in variables:
            # A generated password is for one user.
            if self.generate and name == "ADMIN_PASSWORD" and name != variables[0]:
                continue
            value = self.lookup(name)
            if value is not None:
                return value, name
        if self.generate:
            self.made[variables[0]] = generate()
            return self.made[variables[0]], variables[0]
        value = self.lookup("ADMIN_PASSWORD")
        (self.borrowed if value else self.defaulted).append(variables[0])
        return value or self.default, "ADMIN_PASSWORD"


def parse_passwords(text, name):
    """Return the variables of a file of passwords. Raises UsageError with name and line."""
    values = {}
    for number, line in enumerate(text.splitlines(), 1):
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        try:
            words = shlex.split(line, comments=True)
        except ValueError as error:
            raise UsageError("%s:%d: %s" % (name, number, str(error).lower())) from None
        if words and words[0] == "export":
            words = words[1:]
        for word in words:
            variable, equals, value = word.partition("=")
            if not equals or not variable.isidentifier():
                raise UsageError("%s:%d: not NAME=VALUE" % (name, number), hint="quote values with blanks")
            values[variable] = value
    return values


def read_passwords(path, stdin):
    """Return the variables of the file `path`, or of stdin for `-`. Raises UtilityError."""
    if path == "-":
        return parse_passwords(stdin.read(), "stdin")
    try:
        with open(path, encoding="utf-8") as file:
            return parse_passwords(file.read(), path)
    except UnicodeDecodeError:
        raise UsageError("%s: not UTF-8 text" % path) from None
    except OSError as error:
        raise UtilityError("%s: %s" % (path, reason_of(error))) from None


def render_passwords(values):
    """Return the text of a file of passwords."""
    head = "# Made by openstack-keystone-sample-data. Source it, or give it to --passwords-file.\n"
    lines = ["export %s=%s\n" % (name, shlex.quote(value)) for name, value in sorted(values.items())]
    return head + "".join(lines)
