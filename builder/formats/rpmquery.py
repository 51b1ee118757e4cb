# SPDX-License-Identifier: MIT
"""What `rpm --query` says of a database, read apart whatever is in it (rpm's docs/manual/queryformat.md).

The names in a package's header are whatever its maker wrote: separators and newlines too. So rpm is asked to
quote them as a shell would (`:shescape`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from builder.errors import BuildError

# What some rpms write for a package without files, where each is asked for.
_WITHOUT_FILES = re.compile(r"\(none\)(?! )\n?")
# A tag that a package does not have is there without quotes.
_PART = re.compile(r"'((?:[^']|'\\'')*)'|\(none\)")


def tag(name: str) -> str:
    """Return the part of a query format for a tag of text."""
    return f"%{{{name}:shescape}}"


def other(form: str) -> str:
    """Return the part for `form`, which gives nothing that the maker of a package wrote: a number, hex."""
    return f"'{form}'"


def row(*parts: str, each: bool = False) -> str:
    """Return the query format of a row of parts: one a package, or, with `each`, one a file of it."""
    line = " ".join(parts) + "\\n"
    return f"[{line}]" if each else line


def rows(text: str, count: int) -> Iterator[tuple[str, ...]]:
    """Yield the rows of `count` parts (two at least) that rpm wrote for a `row`; a missing tag is empty.

    Raises:
        BuildError: it wrote something else.
    """
    place = 0
    while place < len(text):
        if without := _WITHOUT_FILES.match(text, place):
            place = without.end()
            continue
        found = []
        for end in " " * (count - 1) + "\n":
            match = _PART.match(text, place)
            if match is None or text[match.end() : match.end() + 1] != end:
                raise BuildError("rpm's answer cannot be read: its database is damaged, or was forged")
            found.append((match[1] or "").replace("'\\''", "'"))
            place = match.end() + 1
        yield tuple(found)
