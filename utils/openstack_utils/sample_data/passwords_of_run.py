# SPDX-License-Identifier: MIT
"""The passwords of one run: read before it, written down before anybody has a new one."""

import os
import sys

from . import files as sample_files
from .passwords import DEFAULT, FILE_NAME, Passwords, read_passwords, render_passwords
from .profiles import variable


class PasswordsOfRun:
    """`passwords` are the given ones, the file's of an earlier run, and new ones."""

    def __init__(self, options, environment, console):
        self.options = options
        self.console = console
        self.passwords = self._read(environment)

    def _read(self, environment):
        options, given = self.options, {}
        if options.passwords_file:
            given = read_passwords(options.passwords_file, sys.stdin)
        passwords = Passwords(given, environment, options.generate_passwords)
        if os.path.exists(self._file):
            passwords.kept = read_passwords(self._file, sys.stdin)
        return passwords

    @property
    def _file(self):
        return os.path.join(self.options.output, FILE_NAME)

    def keep(self, desired, plan):
        """Write new passwords down before anybody has them: a killed run must not lose one.

        A password that was made for a user who was there already, and whose own stays, is nobody's:
        return the wanted objects without it.
        """
        getting = {step.wanted.name for step in plan if _gets_password(step)}
        lost = [
            user
            for user in desired.users
            if user.variable in self.passwords.made and user.name not in getting
        ]
        for user in lost:
            del self.passwords.made[user.variable]
            self.console.note("the password of %s is not known; --update sets a new one" % user.name)
        if self.passwords.made and not self.options.dry_run:
            values = dict(self.passwords.kept, **self.passwords.made)
            if sample_files.write(self._file, render_passwords(values)):
                self.console.note("written    %s" % self._file)
        users = tuple(user._replace(password="") if user in lost else user for user in desired.users)
        return desired._replace(users=users)

    def adopt_admin(self, credentials):
        """The admin who logs in is the admin of the sample data: that password stays."""
        password = credentials.auth.get("password")
        if password and credentials.user == "admin" and self.passwords.lookup("ADMIN_PASSWORD") is None:
            self.passwords.given["ADMIN_PASSWORD"] = password

    def warn_of_defaults(self):
        """Warn of passwords that everybody knows."""
        passwords, warn = self.passwords, self.console.warn
        if passwords.defaulted:
            names = ", ".join(sorted(set(passwords.defaulted)))
            warn('%s not set: the default "%s" is used, which everybody knows' % (names, DEFAULT))

    def warn_of_borrowed(self, plan):
        """Say who will get the password of admin."""
        getting = [variable(step.wanted.name) for step in plan if _gets_password(step)]
        names = ", ".join(sorted(set(getting).intersection(self.passwords.borrowed)))
        if names:
            self.console.warn("%s not set: ADMIN_PASSWORD is used" % names)


def _gets_password(step):
    """Say whether a step gives a user the wanted password."""
    changes = [change[0] for change in step.changes]
    return step.kind == "user" and (step.found is None or "password" in changes)
