# SPDX-License-Identifier: MIT
"""Where something was written."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """Where something was written: a file, a line (from 1), and the chain of %includes to it."""

    file: str
    line: int
    included_from: tuple[str, ...] = ()

    def __str__(self) -> str:
        chain = "".join(f" (included from {step})" for step in self.included_from)
        return f"{self.file}:{self.line}{chain}"


def is_place(field: str) -> bool:
    """Say whether a field of a plan holds where something was written, which decides nothing in an image."""
    return field in ("place", "places") or field.endswith("_place")
