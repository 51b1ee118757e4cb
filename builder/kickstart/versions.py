# SPDX-License-Identifier: MIT
"""The names of kickstart syntaxes, and which one a kickstart is read with."""

from __future__ import annotations

from pykickstart import version as versions
from pykickstart.errors import KickstartVersionError

from builder.errors import InputError


def choose_version(asked: str | None, written: str | None, target: str | None) -> tuple[str, str | None]:
    """Return the syntax version to use, and a warning where `#version=` could not be followed.

    `--ksversion` goes before `#version=` goes before the target's own.

    Raises:
        InputError: `asked` is unknown, or the target's own is needed and this pykickstart does not have it.
    """
    if asked:
        found = find_version(asked)
        if found is None:
            raise InputError(
                f"unknown kickstart syntax: {asked}", hint=f"one of {', '.join(known_versions())}"
            )
        return found, None
    written = None if written and written.upper() == "DEVEL" else written
    if written and (found := find_version(written)):
        return found, None
    default = target or versions.versionToString(versions.DEVEL, skipDevel=True)
    if find_version(default) is None:
        raise InputError(
            f"ksversion of the target: this host's pykickstart does not know the syntax {default}",
            hint="update pykickstart, or choose a syntax that it knows: --ksversion, specs/targets.yaml",
        )
    return default, f"unknown syntax {written}; {default} is used" if written else None


def find_version(text: str) -> str | None:
    """Return pykickstart's name of a syntax version, None when it has none of that name."""
    try:
        number = versions.stringToVersion(text)
    except KickstartVersionError:
        return None
    return str(versions.versionToString(number, skipDevel=True))


def known_versions() -> tuple[str, ...]:
    """Return the names of all syntax versions, Fedora's first, oldest first."""
    names = [name for name in versions.versionMap if name != "DEVEL"]
    return tuple(sorted(names, key=lambda name: (name.startswith("RHEL"), versions.versionMap[name])))
