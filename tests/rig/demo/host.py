# SPDX-License-Identifier: MIT
"""What this host is and has: its release, its own mirrors, room and free ports."""

from __future__ import annotations

import configparser
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from builder.sizes import GIB
from builder.targets import Target, TargetFamily, load_targets
from tests.rig.needs import find_missing_room

# Measured on the fixture JeOS: caches and environment of the plane 1.6 GB, image and work 1.5 GB.
DISK = 5 * GIB
MEMORY = 3 * GIB


@dataclass(frozen=True, kw_only=True, slots=True)
class Mirror:
    """An enabled repository of this host: `address` as `--repo NAME=ADDRESS` takes it, its key files."""

    name: str
    address: str
    keys: tuple[str, ...] = ()


def read_os_release(path: Path = Path("/etc/os-release")) -> dict[str, str]:
    """Return the words of os-release(5)."""
    pairs = (line.partition("=") for line in path.read_text().splitlines() if "=" in line)
    return {name: value.strip("\"'") for name, _, value in pairs}


def find_own_target(release: dict[str, str]) -> Target | None:
    """Return the target that this host is, None where it is not a Fedora or EL that we build for."""
    major = release.get("VERSION_ID", "").split(".")[0]
    names = {release.get("ID", ""), *release.get("ID_LIKE", "").split()}
    family = (
        TargetFamily.FEDORA if release.get("ID") == "fedora" else TargetFamily.EL if "rhel" in names else None
    )
    for target in load_targets():
        if target.family is family and target.releasever == major:
            return target
    return None


def read_mirrors(folder: Path = Path("/etc/yum.repos.d")) -> tuple[Mirror, ...]:
    """Return the enabled repositories of the .repo files in `folder` (dnf.conf(5))."""
    mirrors = []
    for file in sorted(folder.glob("*.repo")):
        parser = configparser.ConfigParser(interpolation=None, strict=False)
        parser.read(file)
        for name in parser.sections():
            section = parser[name]
            if not section.getboolean("enabled", fallback=True):
                continue
            for option in ("metalink", "mirrorlist", "baseurl"):
                if section.get(option):
                    address = section[option].split()[0]
                    prefix = "" if option == "baseurl" else f"{option}:"
                    keys = tuple(section.get("gpgkey", "").split())
                    mirrors.append(Mirror(name=name, address=prefix + address, keys=keys))
                    break
    return tuple(mirrors)


def find_wants(folder: Path) -> Iterator[str]:
    """Yield what this host lacks for the demo, each in a sentence."""
    yield from find_missing_room("the demo", folder=folder, disk=DISK, memory=MEMORY)
    try:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
    except OSError as error:
        yield f"no port can be opened on 127.0.0.1: {error}"
