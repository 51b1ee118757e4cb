# SPDX-License-Identifier: MIT
"""The programs that we run, from tools.yaml: what they are called here, and which package brings them."""

from __future__ import annotations

import os
import platform
import shutil
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from builder.errors import ToolMissing
from builder.schema import FROM_KEY, load

FILE = Path(__file__).with_name("tools.yaml")
SBIN = "/usr/local/sbin:/usr/sbin:/sbin"


@dataclass(frozen=True, kw_only=True, slots=True)
class Tool:
    """A program, or something else that the system has to have, and the package that brings it."""

    name: str = field(metadata=FROM_KEY)
    names: tuple[str, ...] = ()
    debian: str
    fedora: str
    el: str | None = None
    what: str | None = None


@cache
def table() -> dict[str, Tool]:
    """Return tools.yaml."""
    return load(FILE, dict[str, Tool])


def names(name: str) -> tuple[str, ...]:
    """Return the names that the program `name` goes by, in the order to look for them."""
    return _tool(name).names or (name,)


def find(name: str) -> str:
    """Return the path of the program `name`, looked for in PATH and the sbin folders by all its names.

    Raises:
        ToolMissing: naming the package that holds it.
    """
    path = f"{os.environ.get('PATH', os.defpath)}:{SBIN}"
    for one in names(name):
        found = shutil.which(one, path=path)
        if found:
            return found
    raise missing(name)


def has(name: str) -> bool:
    """Say whether the program `name` is there."""
    try:
        find(name)
    except ToolMissing:
        return False
    return True


def missing(name: str) -> ToolMissing:
    """Return the error that says that `name` is not there, and how this host gets it."""
    tool = _tool(name)
    *others, last = names(name)
    what = tool.what or (f"{', '.join(others)} or {last}" if others else last)
    return ToolMissing(f"{what} is not installed", hint=install_hint(name))


def install_hint(name: str) -> str:
    """Return the command that installs what brings `name`, for this host's family, or for all of them."""
    tool = _tool(name)
    apt, dnf = f"apt-get install {tool.debian}", f"dnf install {tool.fedora}"
    el = f"dnf install {tool.el or tool.fedora}"
    family = host_family()
    if family is not None:
        return {"debian": apt, "fedora": dnf, "el": el}[family]
    return f"{apt} on Debian, {dnf} on Fedora" + (f", {el} on EL" if el != dnf else " and EL")


def host_family(release: dict[str, str] | None = None) -> str | None:
    """Return `debian`, `fedora` or `el` by the os-release(5) fields of this host; None: another one."""
    if release is None:
        try:
            release = platform.freedesktop_os_release()
        except OSError:
            return None
    # CentOS and other rebuilds name both rhel and fedora in ID_LIKE.
    words = [release.get("ID", ""), *release.get("ID_LIKE", "").split()]
    families = {"debian": "debian", "rhel": "el", "centos": "el", "fedora": "fedora"}
    return next((family for word, family in families.items() if word in words), None)


def _tool(name: str) -> Tool:
    """Return the row of `name`; a program that has none comes in a package of its own name."""
    return table().get(name) or Tool(name=name, debian=name, fedora=name)
