# SPDX-License-Identifier: MIT
"""The line numbers of a Document's options."""

from .document import OPTION


def numbered_options(parsed):
    """Yield (section name, item, line number) of all options of a Document."""
    line = 1
    for section in parsed.sections:
        line += count(section.header)
        for item in section.items:
            if item.kind == OPTION:
                yield section.name or "DEFAULT", item, line
            line += count(item.text)


def count(text):
    """Return the number of lines of a text."""
    return text.count("\n") or text.count("\r") or (1 if text else 0)
