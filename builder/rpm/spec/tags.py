# SPDX-License-Identifier: MIT
"""Reads in a spec what the builder has to know before rpm does: tags, sources, their sha256.

A source with a URL has its sha256 in the comment above it:

    # sha256: 816927a350f38d56072aeca5dfb10221fe1dc653745853d30a216637f5d7ad36
    Source1: https://example.org/thing-%{version}.tar.gz

A `%global NAME TEXT` and a tag are put in where they stand as %{NAME}. Whatever else decides a source (one
inside %if, a macro of the target) only rpm knows: `needs_rpm` says so, and the text that `rpmspec --parse`
gives is read in the same way.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

TAG = re.compile(r"^(?P<tag>[A-Za-z]+)(?P<number>\d*):[ \t]*(?P<value>\S.*?)[ \t]*$")
SHA256 = re.compile(r"^#\s*sha256:\s*(\S+)\s*$", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True, slots=True)
class SpecSource:
    """A SourceN or PatchN: what it says, in which line, with which sha256 above it."""

    tag: str
    line: int
    location: str
    sha256: str | None = None
    conditional: bool = False

    @property
    def name(self) -> str:
        """The name of the file: what follows the last slash, as rpm takes it."""
        return self.location.rpartition("/")[2]

    @property
    def is_remote(self) -> bool:
        """Say whether it has a URL, or is a file of the Python package index (its sha256 says which)."""
        return "://" in self.location or (self.sha256 is not None and "/" not in self.location)

    @property
    def needs_rpm(self) -> bool:
        """Say whether only rpm knows what it is, or if it is."""
        return self.conditional or "%" in self.location


@dataclass(frozen=True, kw_only=True, slots=True)
class SpecText:
    """What the preamble of a spec says: tags of the main package in small letters, and its sources."""

    tags: Mapping[str, str]
    sources: tuple[SpecSource, ...]


def read_spec(text: str) -> SpecText:
    """Read the preamble of a spec: what is before its first section."""
    macros: dict[str, str] = {}
    tags: dict[str, str] = {}
    sources = []
    depth, above = 0, ""
    for number, line in enumerate(text.splitlines(), 1):
        if re.match(r"^%(description|package|prep)\b", line):
            break
        if re.match(r"^%if", line):
            depth += 1
        elif re.match(r"^%endif", line):
            depth -= 1
        elif match := re.match(r"^%global\s+(\w+)\s+(\S.*?)\s*$", line):
            if depth == 0:
                macros[match[1]] = expand(match[2], macros)
        elif match := TAG.match(line):
            tag, value = match["tag"].lower() + match["number"], expand(match["value"], macros)
            if match["tag"].lower() in ("source", "patch"):
                digest = SHA256.match(above)
                source = SpecSource(
                    tag=f"{match['tag']}{match['number']}",
                    line=number,
                    location=value,
                    sha256=digest[1] if digest else None,
                    conditional=depth > 0,
                )
                sources.append(source)
            elif depth == 0:
                tags.setdefault(tag, value)
                macros.setdefault(tag, value)
        above = line
    return SpecText(tags=tags, sources=tuple(sources))


def expand(text: str, macros: Mapping[str, str]) -> str:
    """Return `text` with %{NAME} and %{?NAME} replaced by what is known of NAME; the rest as it is.

    %{pypi_source NAME VERSION} becomes what specs/macros/redhat makes of it.
    """
    known = re.sub(r"%\{\??(\w+)\}", lambda match: macros.get(match[1], match[0]), text)
    return re.sub(r"%\{pypi_source (\S+) ([^\s%{}]+)\}", r"pypi://\1/\1-\2.tar.gz", known)
