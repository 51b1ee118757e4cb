# SPDX-License-Identifier: MIT
"""One escape for each format that is written. All are pure: text in, text out; line breaks are not theirs.

What no format can hold has been refused when the catalogue was read (`builder.catalogue.texts`).
"""

from __future__ import annotations

import re
import shlex
import textwrap

WIDTH = 78

# What systemd takes as it is in a command line and in Environment= (systemd.syntax(7)).
_PLAIN_WORD = re.compile(r"[\w@%+=:,./${}*?~^-]+")


def spec(text: str) -> str:
    """Return text for a line of a spec: rpm takes % for a macro (rpm-macros(7))."""
    return text.replace("%", "%%")


def paragraph(text: str) -> str:
    """Return a paragraph for %description, in lines that fit.

    No line begins with a %: rpm looks for %if and %files in what a line has become, escapes undone.
    """
    lines: list[str] = []
    for line in textwrap.wrap(text, WIDTH, break_on_hyphens=False, break_long_words=False):
        if lines and line.startswith("%"):
            lines[-1] += f" {line}"
        else:
            lines.append(line)
    return spec("\n".join(lines))


def shell(text: str) -> str:
    """Return text as one word of sh, in a spec's scriptlet."""
    return spec(shlex.quote(text))


def unit(text: str) -> str:
    """Return text for a setting of a unit: % begins a specifier (systemd.unit(5))."""
    return text.replace("%", "%%")


def unit_word(text: str, *, instance: bool = False) -> str:
    """Return one word of ExecStart= (systemd.service(5), "COMMAND LINES").

    Args:
        instance: %i is the instance, and stays.
    """
    escaped = re.sub("%(?!i)" if instance else "%", "%%", text).replace("$", "$$")
    return _quoted(escaped)


def unit_assignment(name: str, value: str) -> str:
    """Return NAME=VALUE for Environment= (systemd.exec(5)); $ is nothing special there."""
    return _quoted(f"{name}={unit(value)}")


def ini(value: str) -> str:
    """Return a value of an ini file as oslo.config reads it: quotes around it are taken off, blanks too."""
    quoted = len(value) > 1 and value[0] == value[-1] and value[0] in "\"'"
    return f'"{value}"' if value != value.strip() or quoted else value


def roff(text: str) -> str:
    """Return text of a manual page: backslashes, and lines that begin like a request (groff_man(7))."""
    escaped = text.replace("\\", "\\e")
    return "\n".join(f"\\&{line}" if line[:1] in (".", "'") else line for line in escaped.split("\n"))


def _quoted(word: str) -> str:
    if word and _PLAIN_WORD.fullmatch(word):
        return word
    return '"' + word.replace("\\", "\\\\").replace('"', '\\"') + '"'
