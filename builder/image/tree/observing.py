# SPDX-License-Identifier: MIT
"""What the tree holds at three moments, so that the manifest describes the last one.

After the packages, after the kickstart's commands, and at the end: what a script changed in between is the
author's will, and no longer what a command said.
"""

from __future__ import annotations

import re

from builder.image.observed import Observed
from builder.image.tree import tree
from builder.image.tree.files import TreePath

_UNITS = "etc/systemd/system"
# shadow(5): what crypt(5) makes, not locked; nothing: no password is asked for.
_USABLE = re.compile(r"|\$[0-9a-z]+\$.+|[./0-9A-Za-z]{13}")


def observe() -> Observed:
    """Look at the tree."""
    root = tree.path("/")
    shadow = _rows(root / "etc/shadow")
    passwords = {name: row[1] for name, row in shadow.items() if _USABLE.fullmatch(row[1])}
    link = root / "etc/localtime"
    zone = link.readlink().partition("zoneinfo/")[2] if link.is_symlink() else ""
    return Observed(
        hostname=_text(root / "etc/hostname").strip() or None,
        timezone=zone or None,
        lang=_setting(root / "etc/locale.conf", "LANG"),
        keymap=_setting(root / "etc/vconsole.conf", "KEYMAP"),
        selinux=_setting(root / "etc/selinux/config", "SELINUX"),
        passwords=passwords,
        root_locked="root" not in passwords,
        superusers=_superusers(root / "etc/passwd"),
        enabled=_enabled(root),
    )


def _text(path: TreePath) -> str:
    return path.read_text() if path.is_file() else ""


def _rows(path: TreePath) -> dict[str, list[str]]:
    rows = [line.split(":") for line in _text(path).splitlines()]
    return {row[0]: row for row in rows if len(row) > 1}


def _setting(path: TreePath, name: str) -> str | None:
    found = re.findall(rf"(?m)^{name}=(.*)$", _text(path))
    return found[-1].strip().strip("\"'") if found else None


def _superusers(path: TreePath) -> tuple[str, ...]:
    return tuple(name for name, row in _rows(path).items() if row[2:3] == ["0"] and name != "root")


def _enabled(root: TreePath) -> tuple[str, ...]:
    """Return the names that links below /etc/systemd/system give to units."""
    found = [path.name for pattern in ("*.wants/*", "*.requires/*") for path in (root / _UNITS).glob(pattern)]
    found += [path.name for path in (root / _UNITS).iterdir() if path.is_symlink()]
    masked = {name for name in found if _is_masked(root / _UNITS / name)}
    return tuple(sorted(set(found) - masked))


def _is_masked(unit: TreePath) -> bool:
    """Return whether systemd refuses to start a unit, whoever wants it (systemctl(1), mask)."""
    return unit.is_symlink() and unit.readlink() == "/dev/null"
