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
        # The last lines of the output of a program that failed.
        self.details = []


class UsageError(UtilityError):
    """The command line, or what it names, makes no sense."""

    exit_code = 2


class UsageErrors(UsageError):
    """All mistakes of one input; `messages` has one line for each."""

    def __init__(self, messages, hint=None):
        super().__init__("\n".join(messages), hint)
        self.messages = list(messages)


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


class Interrupted(BaseException):
    """A signal asked to stop."""

    def __init__(self, number):
        super().__init__(number)
        self.number = number


def named(path, error):
    """The same error with the file's name in front."""
    if error.message.startswith(path):
        return error
    return type(error)("%s: %s" % (path, error.message), hint=error.hint, plain=error.plain)


def reason_of(error):
    """What the system says of an OSError, in lower case."""
    return (error.strerror or str(error)).lower()
