# SPDX-License-Identifier: MIT
"""Arguments without a character in them: empty is not absent."""

from ..errors import UsageError


def refuse_empty(argv):
    """Raise UsageError for an option that is given without a value in it, naming it.

    `--rootpw "$PASSWORD"` with a variable that is not set would otherwise mean what nobody said.
    """
    before = ""
    for number, word in enumerate(argv, 1):
        option, equals, value = word.partition("=")
        if word.startswith("--") and equals and not value.strip():
            raise _empty(option)
        if not word.strip():
            raise _empty(before if before.startswith("-") and "=" not in before else "argument %d" % number)
        before = word


def _empty(what):
    return UsageError(
        "%s: the value is empty" % what,
        hint="is a variable unset? leave the option out where nothing is meant",
    )
