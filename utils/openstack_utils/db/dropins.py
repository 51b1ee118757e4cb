# SPDX-License-Identifier: MIT
"""The files around the one that has a service's option: drop-ins that win over it, defaults that do not.

They are those that the services of the project read, in the order in which they do (see `sources`).
"""

from typing import NamedTuple

from .. import ini, sources
from ..errors import UtilityError


class Found(NamedTuple):
    """A file that sets an option, what to, and the unit that reads it so."""

    path: str
    value: str
    unit: str


def around(option, project, release, locate):
    """Return (Found that wins over the option's own file, Found that it wins over), None for each without."""
    below = None
    for unit, files in sources.of_file(option.path, project, release, locate):
        place = files.index(option.path)
        above = _last(files[place + 1 :], option, unit)
        if above is not None:
            return above, None
        below = below or _last(files[:place], option, unit)
    return None, below


def _last(files, option, unit):
    """Return what the last of the files that sets an option makes of it, or None."""
    for path in reversed(files):
        try:
            value = ini.read(path).value(option.section, option.key)
        except UtilityError:
            # Root may read what we may not: the service's own file still counts.
            continue
        if value is not None:
            return Found(path, value, unit)
    return None
