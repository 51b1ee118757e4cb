# SPDX-License-Identifier: MIT
"""An option of a configuration file, as several parts of the catalogue name one."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class ConfigOption:
    """An option of a configuration file; an `optional` one is set only where the file has it already."""

    where: str = ""
    file: str
    section: str
    key: str
    optional: bool = False
