# SPDX-License-Identifier: MIT
"""Databases that are there and have another character set: which of them are converted, and which stay.

Only one without tables is converted. MySQL changes the default of new tables. PostgreSQL cannot change an
encoding: a new database takes the place of the old one, of which it is proven before that nothing is in it.
"""

from typing import NamedTuple

from ..errors import UtilityError
from .server.statements import CHARSET, ServerChange


class Conversion(NamedTuple):
    """A database without tables that gets another character set; `change` does it."""

    database: str
    now: str
    wanted: str
    change: ServerChange


def find(task, new, there, charset):
    """Return the Conversions of one service, say what stays as it is.

    Args:
        new: names of the databases that need tables.
        there: names of those that the server has.
        charset: that of new databases.

    Raises:
        UtilityError: a database of PostgreSQL has no tables, but other things in it or about it.
    """
    found = []
    is_fixed = task.engine == "postgresql"
    wanted = "UTF8" if is_fixed else charset
    for each in task.service.databases:
        if each.name not in there:
            continue
        now = task.admin.charset(each.name)
        if _is_same(now, wanted):
            continue
        if each.name not in new:
            task.say("%s has the character set %s, not %s" % (each.name, now, wanted))
            continue
        change = ServerChange(CHARSET, each.name, now)
        if is_fixed:
            owner, form, kept = task.admin.shape(each.name, each.account)
            if kept:
                message = "the database %s has the encoding %s, not %s, no tables, but %s"
                hint = "--drop it, and --init makes it again"
                raise UtilityError(message % (each.name, now, wanted, kept), hint=hint)
            change = ServerChange(CHARSET, each.name, owner, form)
        found.append(Conversion(each.name, now, wanted, change))
    return found


def _is_same(one, other):
    """Whether two names mean one character set: utf8 is MySQL's old name of utf8mb3."""
    names = {name.lower().replace("utf8mb3", "utf8") for name in (one, other)}
    return len(names) == 1
