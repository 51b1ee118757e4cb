# SPDX-License-Identifier: MIT
"""How a project's services become part of one cloud: what openstack-demo-install writes, runs and starts."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

from builder.catalogue.texts import PATH, full

# What a value may leave open; README.md of specs/services says what stands for each.
PLACEHOLDERS = frozenset(
    {
        "identity", "controller", "address", "region", "service_project", "user", "password", "bus",
        "metadata_secret", "encryption_key", "hash_suffix", "virt_type", "cpu_mode", "datapath",
        "volume_group",
    }
)  # fmt: skip
PLACEHOLDER = re.compile(r"\{([^{}]*)\}")


@dataclass(frozen=True, kw_only=True, slots=True)
class CloudOptions:
    """Options of one section of one file.

    `login` adds those by which the project's own account logs in to Keystone (`account`), or those with
    which tokens are checked (`token`). `role`: hosts of that role only; `volumes`: only where a group of
    volumes is made.
    """

    where: str = ""
    file: str
    section: str
    login: Literal["account", "token"] | None = None
    set: Mapping[str, str] = field(default_factory=dict)
    role: Literal["controller", "compute"] | None = None
    volumes: bool = False

    def __post_init__(self) -> None:
        if not self.login and not self.set:
            raise ValueError("login and set: give at least one")
        _check_values(self.set)


@dataclass(frozen=True, kw_only=True, slots=True)
class CloudCommand:
    """A command that is run before the services are started, until the file `makes` is there.

    Commands that follow each other and make the same file are one step: its last command makes it.
    """

    where: str = ""
    run: tuple[str, ...]
    makes: str

    def __post_init__(self) -> None:
        if not self.run:
            raise ValueError("run: the command is empty")
        full(PATH, self.makes, "a full path without blanks")


@dataclass(frozen=True, kw_only=True, slots=True)
class CloudSetup:
    """What makes the project part of a cloud; `login` and `token` are keystone's: how others reach it.

    `start` are the units of a controller, `compute` the units of a host with instances; only what is
    installed is started. `volumes` are those that need a group of volumes. `stands_on` maps a unit to what
    of supports.yaml has to run before it.
    """

    where: str = ""
    prepare: tuple[CloudCommand, ...] = ()
    start: tuple[str, ...] = ()
    compute: tuple[str, ...] = ()
    volumes: tuple[str, ...] = ()
    stands_on: Mapping[str, str] = field(default_factory=dict)
    options: tuple[CloudOptions, ...] = ()
    login: Mapping[str, str] = field(default_factory=dict)
    token: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.start and not self.compute:
            raise ValueError("start or compute: no unit would be started")
        _check_values(self.login)
        _check_values(self.token)
        claimed: set[tuple[str, str, str, str | None]] = set()
        for each in self.options:
            for key in each.set:
                for role in (each.role,) if each.role else ("controller", "compute"):
                    place = (each.file, each.section, key, role)
                    if place in claimed:
                        raise ValueError(f"options: {key} in [{each.section}] of {each.file} is given twice")
                    claimed.add(place)


def render_cloud(cloud: CloudSetup) -> dict[str, object]:
    """Return the key `cloud` of services.json."""
    return {
        "prepare": [{"run": list(each.run), "makes": each.makes} for each in cloud.prepare],
        "start": list(cloud.start),
        "compute": list(cloud.compute),
        "volumes": list(cloud.volumes),
        "stands_on": dict(cloud.stands_on),
        "login": dict(cloud.login),
        "token": dict(cloud.token),
        "options": [
            {
                "file": each.file,
                "section": each.section,
                "login": each.login,
                "set": dict(each.set),
                "role": each.role,
                "volumes": each.volumes,
            }
            for each in cloud.options
        ],
    }


def _check_values(values: Mapping[str, str]) -> None:
    for key, text in values.items():
        for name in _unknown(text):
            known = ", ".join(sorted(PLACEHOLDERS))
            raise ValueError(f"{key}: {{{name}}} does not stand for anything (known: {known})")


def _unknown(text: str) -> Iterator[str]:
    return (name for name in PLACEHOLDER.findall(text) if name not in PLACEHOLDERS)
