# SPDX-License-Identifier: MIT
"""The rules of crudini 0.9.6, for scripts that rely on them.

Names are compared without regard to case, a blank and `;` begin a comment after a value, an
option may stand above the first header or have no value at all, and blank lines and comments may
stand inside a continued value. Learned from its documentation and by running it.
"""

import re

from ..errors import StorageError
from .document import (
    AS_WRITTEN,
    BLANK,
    COMMENT,
    OPTION,
    OTHER,
    Document,
    Item,
    Problem,
    Section,
    line_end,
    newline_of,
    split_lines,
)

NAME = "crudini"
HAS_GLOBAL = True
DEFAULT_IS_GLOBAL = True
INHERITS = True
BEHIND_EXAMPLE = False
# A file that cannot be read is an error for every operation.
UNREADABLE = "error"
INDENT = " " * 8

HEADER = re.compile(r"\[([^\[\]]+)\]\s*([;#].*)?$")
OPTION_LINE = re.compile(r"([^:=\s\[][^:=]*)([:=]\s*)(.*)$", re.DOTALL)


def parse(text, ignore_indent=False):
    """Read `text` into a Document; lines crudini would stop at go to `problems`."""
    bom = "\ufeff" if text.startswith("\ufeff") else ""
    lines = split_lines(text[len(bom) :])
    document = Document(newline_of(lines), bom)
    items = document.sections[0].items
    option, between = None, []
    for number, line in enumerate(lines, 1):
        bare = line.strip()
        start = bare[:1] if ignore_indent else line[0]
        if not bare or start in "#;%":
            # Whether it belongs to a continued value shows in the lines that follow.
            item = Item(COMMENT if bare else BLANK, line)
            items.append(item)
            between.append(item)
        elif start in " \t\v\f":
            if option is None:
                items.append(Item(OTHER, line))
                document.problems.append(Problem(number, "an indented line continues nothing"))
                continue
            for item in between:
                option.text += item.text
            if between:
                del items[-len(between) :]
            option.text += line
            between = []
        else:
            option, between = None, []
            header = HEADER.match(bare) if start == "[" else None
            if header:
                section = Section(header.group(1), line)
                document.sections.append(section)
                items = section.items
                continue
            item = _option(line, bare)
            items.append(item)
            if item.name is None:
                document.problems.append(Problem(number, "neither a header nor an option"))
            elif not ignore_indent:
                option = item
    return document


def _option(line, bare):
    found = OPTION_LINE.match(bare)
    if found:
        return Item(OPTION, line, found.group(1).rstrip())
    if bare[0] in "[:=":
        return Item(OTHER, line)
    return Item(OTHER, line, bare)


def _split(line):
    """Return (before the value, value, comment with its blanks) of an option's first line."""
    body = line.rstrip()
    indent = line[: len(line) - len(line.lstrip())]
    found = OPTION_LINE.match(body.lstrip())
    before, value = indent + found.group(1) + found.group(2), found.group(3)  # type: ignore[union-attr]
    semicolon = value.find(";")
    if semicolon > 0 and value[semicolon - 1].isspace():
        kept = value[:semicolon].rstrip()
        return before, kept, value[len(kept) :]
    return before, value, ""


def read_value(item):
    """The value `crudini --get` gives for an option."""
    if item.value is None:
        lines = split_lines(item.text)
        value = [_split(lines[0])[1]]
        for line in lines[1:]:
            bare = line.strip()
            if bare and line[0] not in "#;%":
                value.append(bare)
        item.value = "\n".join(value)
    return item.value


def fold(name):
    return name.lower()


def check_section(name):
    if "[" in name or "]" in name:
        plain = "section names should not contain '[' or ']': %s" % name
        raise StorageError("the section name '%s' contains a bracket" % name, plain=plain)


def check_name(name):
    if name.startswith("["):
        plain = "param names should not start with '[': %s" % name
        raise StorageError("the name '%s' begins with '['" % name, plain=plain)
    if "=" in name:
        plain = "param names should not contain '=': %s" % name
        raise StorageError("the name '%s' contains '='" % name, plain=plain)


def meaning(value, keeping=AS_WRITTEN):
    """What a value must equal to count as unchanged: crudini compares it as given."""
    del keeping
    return value or ""


def render(name, value, like=None, keeping=AS_WRITTEN, newline="\n", indent="", area=None):
    """Return the Item for `name` = `value`; without a value a new option is a flag."""
    del keeping, area
    end, deeper, comment, before = newline, INDENT, "", indent + name + " = "
    if like is not None:
        end = line_end(like.text) or newline
        old = split_lines(like.text)
        if like.kind == OPTION:
            before, before_value, comment = _split(old[0])
            column = len(before + before_value + comment) - len(comment.lstrip())
            if len(old) > 1:
                further = [line for line in old[1:] if line.strip() and line[0] in " \t"]
                deeper = " " * (len(further[0]) - len(further[0].lstrip()))
        elif value is None:
            return like
        else:
            before = old[0][: len(old[0]) - len(old[0].lstrip())] + like.name + " = "
    elif value is None:
        return Item(OTHER, indent + name + end, name)
    lines = (value or "").split("\n")
    first = before + lines[0]
    if comment:
        first += " " * max(1, column - len(first)) + comment.lstrip()
    text = newline.join([first] + [deeper + line if line else "" for line in lines[1:]])
    return Item(OPTION, text + end, name, value or "")
