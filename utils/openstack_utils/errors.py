# SPDX-License-Identifier: MIT
"""The errors the utilities raise, and the exit codes that belong to them."""


class UtilityError(Exception):
    """Something a person has to see: one line what, perhaps one line what to do.

    `plain` is the wording of the same error for scripts that know the tool's predecessors; it is
    used by `--dialect crudini` only.
    """

    exit_code = 1

    def __init__(self, message, hint=None, plain=None):
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.plain = plain


class UsageError(UtilityError):
    """The command line, or what it names, makes no sense."""

    exit_code = 2


class StorageError(UsageError):
    """A name or value cannot be written so that its reader gets it back."""


class MissingError(UtilityError):
    """A file, section or parameter is not there."""


class DeclinedError(UtilityError):
    """The user said no, or nobody was there to ask."""

    exit_code = 3


class AccessError(UtilityError):
    """The system forbids it, or a program that is needed is not there."""

    exit_code = 4


class UnreachableError(UtilityError):
    """A server, or the way to it, failed."""

    exit_code = 5
