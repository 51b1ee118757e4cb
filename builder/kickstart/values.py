# SPDX-License-Identifier: MIT
"""What the values of a kickstart must look like: each ends up in a file of the guest that expects it so."""

from __future__ import annotations

import re

from builder.kickstart.parsed import Kickstart, ParsedCommand
from builder.kickstart.placeholders import is_placeholder

LANG = re.compile(r"[A-Za-z]{1,8}(_[A-Za-z]{2,3})?(\.[A-Za-z0-9-]+)?(@[a-z]+)?")
KEYMAP = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
LAYOUT = re.compile(r"[a-z]{2,8}( ?\([A-Za-z0-9_ -]+\))?")
ZONE = re.compile(r"[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+){0,2}")
ACCOUNT = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,31}\$?")
UNIT = re.compile(r"[A-Za-z0-9:_.@\\-]+")
SERVICE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]*")
PORT = re.compile(r"(\d+(-\d+)?|[a-z][a-z0-9-]*):(tcp|udp|sctp|dccp)")
MAC = re.compile(r"([0-9A-Fa-f]{2}:){5}[0-9A-Fa-f]{2}")
DEVICE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,14}")


def fits(ks: Kickstart, command: ParsedCommand, pattern: re.Pattern[str], value: str, what: str) -> bool:
    """Return whether `value` looks like `what`; an error is noted when not."""
    if pattern.fullmatch(value):
        return True
    hint = "the file is a template: fill it in first" if is_placeholder(value) else None
    ks.findings.error(command.place, f'{command.name}: "{value}" is not {what}', hint)
    return False
