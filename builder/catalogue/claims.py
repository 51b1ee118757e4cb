# SPDX-License-Identifier: MIT
"""Names, numbers and ports that only one project may have."""

from __future__ import annotations

from collections.abc import Iterator

from builder.errors import Problem


class Claims:
    """Who holds what; a second holder is a problem."""

    def __init__(self) -> None:
        self._holders: dict[tuple[str, object], str] = {}

    def claim(self, what: str, value: object, owner: str, where: str) -> Iterator[Problem]:
        """Note that `owner` has `value`; return the problem if another has it."""
        holder = self._holders.setdefault((what, value), owner)
        if holder != owner:
            yield Problem(where=where, message=f"{what} {value} already belongs to {holder}")
