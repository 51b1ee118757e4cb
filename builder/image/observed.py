# SPDX-License-Identifier: MIT
"""What the files of an image say of its settings at one moment of its build."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Observed:
    """Settings as files have them; None where there is no such file or key.

    `passwords` are accounts with a usable password -> its hash ("": none is asked for), `superusers` those
    with uid 0 but root, `enabled` the units that something wants and that are not masked.
    """

    hostname: str | None
    timezone: str | None
    lang: str | None
    keymap: str | None
    selinux: str | None
    passwords: dict[str, str]
    root_locked: bool
    superusers: tuple[str, ...] = ()
    enabled: tuple[str, ...]
