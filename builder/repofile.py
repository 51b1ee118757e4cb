# SPDX-License-Identifier: MIT
"""The text of a .repo file (dnf.conf(5), REPO OPTIONS)."""

from __future__ import annotations

from collections.abc import Iterable


def repo_file(name: str, **options: str | int | Iterable[str] | None) -> str:
    """Return the section of the repository `name`, enabled, with the options that have a value.

    Args:
        options: in the order to write; a list is written with spaces between, None or an empty list is left
            out.
    """
    lines = [f"[{name}]", f"name={name}", "enabled=1"]
    for option, value in options.items():
        text = value if isinstance(value, str) or value is None else _join(value)
        lines += [f"{option}={text}"] if text else []
    return "\n".join(lines) + "\n"


def _join(value: int | Iterable[str]) -> str:
    return str(value) if isinstance(value, int) else " ".join(value)
