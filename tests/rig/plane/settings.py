# SPDX-License-Identifier: MIT
"""The configuration files of a plane: written whole, readable by their owner only (they hold passwords)."""

from __future__ import annotations

import os
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


def without_proxy() -> dict[str, str]:
    """Return the variables by which a program reaches the plane past any proxy of the environment."""
    known = os.environ.get("no_proxy") or os.environ.get("NO_PROXY") or ""
    value = ",".join(word for word in (known, "127.0.0.1") if word)
    return {"no_proxy": value, "NO_PROXY": value}


def new_password() -> str:
    """Return a random password that needs no quoting anywhere."""
    return secrets.token_hex(12)
