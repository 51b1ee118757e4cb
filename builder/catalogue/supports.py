# SPDX-License-Identifier: MIT
"""What the catalogue knows of the services of others that OpenStack is on: databases, buses, switches."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Literal

from builder.schema import FROM_KEY

# How one is asked whether it answers; utils/openstack_utils/status/supports.py speaks each.
Talk = Literal["mysql", "postgresql", "amqp", "memcached", "ovsdb", "connect"]
UNIT = re.compile(r"[a-z][a-z0-9-]*")


@dataclass(frozen=True, kw_only=True, slots=True)
class Support:
    """A service of others: the names that its unit or init script has, and where and how it answers.

    `port` is a TCP port of this host; `sockets` are Unix sockets, of which the first that is there is used.
    `start`, full names, is started in place of `units` where the first of it is there: daemons that end when
    they are idle are started by their sockets.
    """

    name: str = field(metadata=FROM_KEY)
    where: str = ""
    title: str
    units: tuple[str, ...]
    talk: Talk | None = None
    port: int | None = None
    sockets: tuple[str, ...] = ()
    start: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for unit in self.units:
            if not UNIT.fullmatch(unit):
                raise ValueError(f'"{unit}" is not the name of a unit without its suffix')
        if not self.units:
            raise ValueError("units: give at least one")
        if (self.talk is None) != (self.port is None and not self.sockets):
            raise ValueError("talk needs port or sockets, and they need talk")
