# SPDX-License-Identifier: MIT
"""The releases of OpenStack that the catalogue knows: specs/releases.yaml."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache

from builder.places import SPECS
from builder.schema import FROM_KEY, load

RELEASES = "releases.yaml"


@dataclass(frozen=True, kw_only=True, slots=True)
class ReleaseProfile:
    """A release of OpenStack and what holds for all its projects.

    `after` is what every unit is started after, `logrotate` the directives for every project's logs.
    """

    name: str = field(metadata=FROM_KEY)
    where: str = ""
    title: str
    version: str
    drivers: Mapping[str, str]
    charset: str
    after: tuple[str, ...]
    logrotate: tuple[str, ...]

    def __post_init__(self) -> None:
        if set(self.drivers) != {"mysql", "postgresql"}:
            raise ValueError("drivers: needs mysql and postgresql")


@cache
def release_names() -> tuple[str, ...]:
    """Return the names of the releases, oldest first; InputError where the file does not fit."""
    return tuple(load(SPECS / RELEASES, dict[str, ReleaseProfile]))
