# SPDX-License-Identifier: MIT
"""The layouts of --ini-options: blanks around `=`, one blank line between sections."""

import re

from .document import BLANK, OPTION, Item

ASSIGNMENT = re.compile(r"(\s*)([^:=]*?)[ \t]*([:=])[ \t]*(.*)", re.DOTALL)


def space_assignments(document, spaced):
    """Write every option as `name = value`, or as `name=value`."""
    for section in document.sections:
        for item in section.items:
            if item.kind == OPTION:
                indent, name, sign, rest = ASSIGNMENT.match(item.text).groups()  # type: ignore[union-attr]
                item.text = indent + name + (" %s " % sign if spaced else sign) + rest


def space_sections(document):
    """Exactly one blank line before every header but the first line, none at the file's ends."""
    top, last = document.sections[0], document.sections[-1]
    while top.items and top.items[0].kind == BLANK:
        del top.items[0]
    for section in document.sections:
        while section.items and section.items[-1].kind == BLANK:
            section.items.pop()
        if section is not last and section.text():
            document.end_last_line(section)
            section.items.append(Item(BLANK, document.newline))
