# SPDX-License-Identifier: MIT
"""The files around a service's configuration file that its programs read as well.

Started without --config-file a program reads /etc/NAME/NAME.conf and then the folders NAME.conf.d and
PROGRAM.conf.d next to it, by name (oslo.config, cfg.find_config_dirs): what is read last wins. The
packages of Fedora and EL put defaults into /usr/share/NAME/NAME-dist.conf, which is read before all others.
"""

import glob
import os
from typing import NamedTuple

from .. import ini
from ..errors import UtilityError


class Found(NamedTuple):
    """A file that sets an option, and what to."""

    path: str
    value: str


def around(option):
    """Return (Found above the option's own file or None, Found below it or None)."""
    above = [_look(path, option) for path in sorted(_above(option.path))]
    return next(filter(None, reversed(above)), None), _look(_below(option.path), option)


def _above(path):
    folder = os.path.dirname(path)
    return glob.glob(os.path.join(glob.escape(folder), "*.conf.d", "*.conf"))


def _below(path):
    """Return the file with the distribution's defaults of a file in .../etc/NAME/."""
    folder = os.path.dirname(path)
    name = os.path.basename(folder)
    etc = os.path.dirname(folder)
    if os.path.basename(etc) != "etc":
        return None
    return os.path.join(os.path.dirname(etc), "usr/share", name, name + "-dist.conf")


def _look(path, option):
    if path is None or not os.path.isfile(path):
        return None
    try:
        value = ini.read(path).value(option.section, option.key)
    except UtilityError:
        # Root may read what we may not: the service's own file still counts.
        return None
    return None if value is None else Found(path, value)
