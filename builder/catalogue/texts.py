# SPDX-License-Identifier: MIT
"""What text of the catalogue may hold.

Everything in it ends in files of some format, each with signs of its own. What no format can hold is
refused here, with file and line: control characters, and a line break where one line is wanted. What a format
can hold is escaped where it is written (`builder.render.escapes`).
"""

from __future__ import annotations

import dataclasses
import re
import unicodedata
from collections.abc import Iterator, Mapping

from builder.errors import Problem

# Fields of several lines: they are wrapped again where they are written.
PARAGRAPHS = frozenset({"description"})

ACCOUNT = re.compile(r"[a-z][a-z0-9_-]{0,30}")
PATH = re.compile(r"(/[\w.@+-]+)+")
# Within an archive or below the system's folders; an asterisk stands for several files.
PATTERN = re.compile(r"/?[\w.@+*-]+(/[\w.@+*-]+)*")
PROGRAM = re.compile(r"[\w.@+-]+")
# A requirement as rpm's Requires has it: a name or a path, and perhaps a version.
REQUIREMENT = re.compile(
    r"[A-Za-z0-9/][\w.+/-]*(\([\w.:+/-]*\))?( (<|<=|=|>=|>) ([\w.:+~^-]+|%\{version\}-%\{release\}))?"
)
ENVIRONMENT = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# What sysusers.d, the scripts of rpm that read it, useradd and passwd(5) all take as it is.
COMMENT = re.compile(r"[^\s:\"'`$\\%!][^:\"'`$\\%!\t]*")
URL = re.compile(r"https?://[A-Za-z0-9.:\[\]-]+(/[\w./~+@%=&?#:,-]*)?")


def check_texts(value: object, where: str = "", label: str = "") -> Iterator[Problem]:
    """Return what no format can hold, in any text below `value` (dataclasses, mappings, tuples)."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        where = getattr(value, "where", "") or where
        for field in dataclasses.fields(value):
            if field.name != "where":
                yield from check_texts(getattr(value, field.name), where, field.name)
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from check_texts(key, where, f"{label}: a key")
            yield from check_texts(item, where, str(key) if isinstance(item, str) else label)
    elif isinstance(value, tuple):
        for item in value:
            yield from check_texts(item, where, label)
    elif isinstance(value, str):
        fault = find_fault(value, paragraph=label in PARAGRAPHS)
        if fault:
            yield Problem(where=where, message=f"{label.partition(': a key')[0]}: {fault}")


def find_fault(text: str, *, paragraph: bool = False) -> str | None:
    """Return what is wrong with a text, None when nothing is.

    Args:
        paragraph: it may have line breaks.
    """
    for sign in text:
        if sign == "\n" and paragraph:
            continue
        if unicodedata.category(sign) in ("Cc", "Zl", "Zp", "Cs"):
            name = {"\n": "a line break", "\t": "a tab"}.get(sign, f"the control character U+{ord(sign):04X}")
            return f"{name} in a text of one line" if sign in "\n\t" else f"{name} in a text"
    if text.endswith("\\"):
        return "a backslash at its end joins it with the next line"
    if paragraph and text.lstrip().startswith("%"):
        return "begins with %, which begins a section in a spec"
    return None


def full(pattern: re.Pattern[str], text: str, what: str) -> None:
    """Raise ValueError unless all of `text` is of the form `pattern`; `what` says what it ought to be."""
    if not pattern.fullmatch(text):
        raise ValueError(f'"{text}" is not {what}')
