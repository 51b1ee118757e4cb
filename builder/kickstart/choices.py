# SPDX-License-Identifier: MIT
"""What the command line and images.yaml decide about a plan, in addition to the kickstart."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

from builder.errors import InputError
from builder.kickstart import addresses
from builder.kickstart.disk.wanted import DEFAULT_MEMORY
from builder.kickstart.elements.planning import ElementChoice
from builder.kickstart.plan import Repository

# Where packages may come from.
URL_SCHEMES = ("https", "http", "ftp", "file")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:-]*")


@dataclass(frozen=True, kw_only=True, slots=True)
class Choices:
    """What goes before the kickstart.

    `repositories` (--repo) replace every url, repo and medium line of the kickstart, `tree` (--tree) its
    url and medium lines; `extra_repositories` (--add-repo) are added to whatever there is.
    `gpg_keys` (--gpgkey) and `fingerprints` are used for repositories without keys of their own.
    `disk_size` and `memory` of the guest are in MiB. `network`: scripts have it.
    """

    name: str | None = None
    repositories: tuple[Repository, ...] = ()
    extra_repositories: tuple[Repository, ...] = ()
    tree: str | None = None
    gpg_keys: tuple[str, ...] = ()
    fingerprints: tuple[str, ...] = ()
    gpgcheck: bool = True
    disk_size: int | None = None
    memory: int = DEFAULT_MEMORY
    ksversion: str | None = None
    default_user: str | None = None
    network: bool = True
    elements: ElementChoice = field(default_factory=ElementChoice)


def parse_repository(text: str) -> Repository:
    """Return the repository of `--repo NAME=URL`.

    URL may be a folder of this host; `metalink:URL` and `mirrorlist:URL` are lists of mirrors. dnf's
    $releasever and $basearch may stand in it.

    Raises:
        InputError: not of that form.
    """
    name, equals, url = text.partition("=")
    if not equals or not _NAME.fullmatch(name) or not url:
        raise InputError(
            f"--repo {text}: not of the form NAME=URL", hint="for example --repo fixture=/srv/fixture"
        )
    kind, colon, rest = url.partition(":")
    if colon and kind in ("metalink", "mirrorlist"):
        listed = parse_url(f"--repo {name}", rest)
        return (
            Repository(name=name, metalink=listed)
            if kind == "metalink"
            else Repository(name=name, mirrorlist=listed)
        )
    return Repository(name=name, baseurl=(parse_url(f"--repo {name}", url),))


def parse_url(option: str, text: str) -> str:
    """Return a URL as it is, or the URL of an existing folder of this host.

    Raises:
        InputError: neither.
    """
    if addresses.is_url(text, *URL_SCHEMES):
        return text
    folder = Path(text)
    if "://" not in text and folder.is_dir():
        return folder.resolve().as_uri()
    raise InputError(f"{option}: {text} is neither a URL nor a folder", hint="give https://... or a folder")


def parse_size(text: str, option: str = "--size") -> int:
    """Return the MiB of a size such as 4G, 4096M or 4096 (MiB, as in kickstart).

    Raises:
        InputError: not of that form.
    """
    match = re.fullmatch(r"(\d+)\s*([MGT]?)i?B?", text, re.IGNORECASE)
    if not match or int(match[1]) == 0:
        raise InputError(f"{option} {text}: not a size", hint=f"for example {option} 4G")
    return int(match[1]) * {"": 1, "M": 1, "G": 1024, "T": 1024 * 1024}[match[2].upper()]
