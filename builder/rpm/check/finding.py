# SPDX-License-Identifier: MIT
"""What the rules found; specs/checks/rules.yaml says how bad each is, and what it means."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cache

from builder.places import SPECS
from builder.schema import FROM_KEY, load

CHECKS = SPECS / "checks/rules.yaml"


class Level(StrEnum):
    """How bad a finding is; an unknown is neither good nor bad."""

    ERROR = "error"
    WARNING = "warning"
    UNKNOWN = "unknown"


@dataclass(frozen=True, kw_only=True, slots=True)
class RuleText:
    """A rule as a packager knows it."""

    id: str = field(metadata=FROM_KEY)
    level: Level
    text: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """One place where a rule is broken."""

    file: str
    target: str
    level: Level
    id: str
    detail: str


@cache
def load_checks() -> Mapping[str, RuleText]:
    """Return the checks by id.

    Raises:
        InputError: the file does not fit.
    """
    return load(CHECKS, dict[str, RuleText])
