# SPDX-License-Identifier: MIT
"""Which init system this host has."""

import os

from ..errors import AccessError
from .systemd import Systemd
from .sysv import SCRIPTS, Sysv

# sd_booted(3).
BOOTED = "/run/systemd/system"


def find_init():
    """Return this host's Systemd or Sysv. Raises AccessError (exit 4) where neither runs."""
    if os.path.isdir(BOOTED):
        return Systemd()
    if any(os.path.isdir(folder) for folder in SCRIPTS) and _first() == "init":
        return Sysv()
    raise AccessError(
        "neither systemd nor SysV init runs here",
        hint="in a container: run it on the host, or restart the container by its engine",
    )


def _first():
    try:
        with open("/proc/1/comm", encoding="ascii", errors="replace") as file:
            return file.read().strip()
    except OSError:
        return ""
