# SPDX-License-Identifier: MIT
"""The configuration files of a plane: written whole, readable by their owner only (they hold passwords)."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from pathlib import Path

from builder import files

Sections = Mapping[str, Mapping[str, object]]


def write_ini(path: Path, *layers: Sections) -> None:
    """Write `path` with the sections of every layer; a later layer's option wins."""
    merged: dict[str, dict[str, object]] = {}
    for layer in layers:
        for section, options in layer.items():
            merged.setdefault(section, {}).update(options)
    lines: list[str] = []
    for section, options in merged.items():
        lines += [f"[{section}]", *(f"{name} = {value}" for name, value in options.items()), ""]
    files.write_atomic(path, "\n".join(lines), mode=0o600)


def new_password() -> str:
    """Return a random password that needs no quoting anywhere."""
    return secrets.token_hex(12)
