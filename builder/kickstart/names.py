# SPDX-License-Identifier: MIT
"""What guests know by name: time zones, locales, keymaps and layouts of keyboards.

The names are in names.yaml. A distribution may have newer ones: a zone that this host's tzdata has is good,
too (the one thing of a plan that this host decides), and a locale or a variant of which every part is known
is doubtful only.
"""

from __future__ import annotations

import difflib
import re
import zoneinfo
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path

from builder import schema

# setlocale(3): what every libc has.
_PLAIN = frozenset({"C", "POSIX"})
_NEAREST = 3


class Verdict(StrEnum):
    """What is known of a name."""

    KNOWN = "known"
    DOUBTFUL = "doubtful"  # of a known form, but not in the list
    UNKNOWN = "unknown"


@dataclass(frozen=True, kw_only=True, slots=True)
class _Lists:
    """names.yaml: words with blanks between."""

    zones: str
    locales: str
    charsets: str
    keymaps: str
    layouts: str
    variants: str


@cache
def _lists() -> _Lists:
    return schema.load(Path(__file__).with_suffix(".yaml"), _Lists)


@cache
def _words(key: str) -> frozenset[str]:
    return frozenset(getattr(_lists(), key).split())


def is_zone(name: str) -> bool:
    """Say whether the tz database has the zone `name` (a plain name: Europe/Vienna)."""
    return name in _words("zones") or any(Path(folder, name).is_file() for folder in zoneinfo.TZPATH)


def judge_locale(name: str) -> Verdict:
    """Return what is known of a locale such as de_AT.UTF-8; its form has been judged."""
    found = re.fullmatch(r"([^.@]+)(?:\.([^@]+))?(@.+)?", name)
    assert found is not None, name
    language, charset, modifier = found[1], found[2], found[3] or ""
    if charset and _plain(charset) not in {_plain(one) for one in _words("charsets")}:
        return Verdict.UNKNOWN
    if language in _PLAIN or f"{language}{modifier}" in _words("locales"):
        return Verdict.KNOWN
    if modifier and language in _words("locales"):
        return Verdict.DOUBTFUL
    parts = [re.split(r"[_@]", one) for one in _words("locales")]
    code, _, territory = language.partition("_")
    known = not territory or territory in {one[1] for one in parts if len(one) > 1}
    return Verdict.DOUBTFUL if known and code in {one[0] for one in parts} else Verdict.UNKNOWN


def _plain(charset: str) -> str:
    """Return a character set as glibc compares them (_nl_normalize_codeset)."""
    return re.sub(r"[^a-z0-9]", "", charset.lower())


def is_keymap(name: str) -> bool:
    """Say whether a console may have the keymap `name`: one of kbd, or one of X as Fedora converts them."""
    layout, _, variant = name.partition("-")
    converted = layout in _words("layouts") and (not variant or f"{layout}:{variant}" in _words("variants"))
    return name in _words("keymaps") or converted


def judge_layout(text: str) -> Verdict:
    """Return what is known of a layout such as `us` or `de (nodeadkeys)`; its form has been judged."""
    layout, _, variant = text.replace(" ", "").rstrip(")").partition("(")
    if layout not in _words("layouts"):
        return Verdict.UNKNOWN
    return Verdict.DOUBTFUL if variant and f"{layout}:{variant}" not in _words("variants") else Verdict.KNOWN


def hint(key: str, name: str, otherwise: str) -> str:
    """Return what to write in place of the unknown `name`: names that look like it, else `otherwise`."""
    near = ", ".join(difflib.get_close_matches(name, sorted(_words(key)), _NEAREST))
    return f"names that look like it: {near}" if near else otherwise
