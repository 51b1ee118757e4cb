# SPDX-License-Identifier: MIT
"""systemd's files: units with repeated sections and keys, and environment files.

Above the first header a line is read as in an EnvironmentFile= (systemd.exec(5)): quotes and
backslashes as in a shell. Below a header it is a unit setting (systemd.syntax(7)): the first `=`
splits, a backslash at the end continues the line, lines that start with `#` or `;` are comments
even inside a continued value. New lines are written without blanks around the `=`.
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

NAME = "systemd"
HAS_GLOBAL = True
DEFAULT_IS_GLOBAL = False
INHERITS = False
BEHIND_EXAMPLE = True
# systemd skips a line it cannot read and says so in its journal: so do we.
UNREADABLE = "warning"

BARE = re.compile(r"[A-Za-z0-9_./:@%+,=^~-]*\Z")
ESCAPED_IN_QUOTES = '"\\$`'


def parse(text, ignore_indent=False):
    """Read `text` into a Document. Indentation never matters to systemd."""
    del ignore_indent
    lines = split_lines(text)
    document = Document(newline_of(lines))
    section = document.sections[0]
    number = 0
    while number < len(lines):
        line = lines[number]
        bare = line.strip()
        count = 1
        if not bare:
            section.items.append(Item(BLANK, line))
        elif bare[0] in "#;":
            section.items.append(Item(COMMENT, line))
        elif bare[0] == "[" and bare[-1] == "]" and len(bare) > 2:
            section = Section(bare[1:-1], line)
            document.sections.append(section)
        else:
            extent = _environment_extent if section.name is None else _unit_extent
            count = extent(lines, number)
            _add_option(document, section, lines[number : number + count], number + 1)
        number += count
    return document


def _add_option(document, section, lines, number):
    name, equals, _ = lines[0].partition("=")
    text = "".join(lines)
    if equals and name.strip():
        value = _unquote(text.partition("=")[2])[0] if section.name is None else None
        section.items.append(Item(OPTION, text, name.strip(), value))
        return
    section.items.append(Item(OTHER, text))
    document.problems.append(Problem(number, "no NAME=value"))


def _unit_extent(lines, start):
    """How many lines a unit setting takes."""
    end = start
    while _continues(lines[end]) and end + 1 < len(lines):
        end += 1
        while end + 1 < len(lines) and lines[end].strip()[:1] in ("#", ";"):
            end += 1
    return end - start + 1


def _continues(line):
    return line.rstrip("\r\n").endswith("\\")


def _environment_extent(lines, start):
    """How many lines an assignment of an environment file takes: quotes may span lines."""
    text = ""
    for end in range(start, len(lines)):
        text += lines[end]
        if _unquote(text.partition("=")[2])[1]:
            return end - start + 1
    return 1


def _unquote(text):
    """Return (value, finished) of the text after an environment file's `=`."""
    value, quote, kept = [], "", 0
    text = text.lstrip(" \t")
    if text.endswith("\n"):
        text = text[:-2] if text.endswith("\r\n") else text[:-1]
        terminated = True
    else:
        terminated = False
    index = 0
    while index < len(text):
        character = text[index]
        index += 1
        if quote == "'":
            if character == "'":
                quote, kept = "", len(value)
            else:
                value.append(character)
        elif character == "\\":
            if index == len(text):
                return "", not terminated
            following = text[index]
            index += 1
            if following != "\n":
                if quote and following not in ESCAPED_IN_QUOTES:
                    value.append("\\")
                value.append(following)
            kept = len(value)
        elif quote:
            if character == '"':
                quote, kept = "", len(value)
            else:
                value.append(character)
        elif character in "\"'" and (not value or kept == len(value)):
            quote = character
        else:
            value.append(character)
            if not character.isspace():
                kept = len(value)
    return "".join(value[:kept]), not quote


def read_value(item):
    """The value of an option; parse has already read an environment file's."""
    if item.value is None:
        item.value = _read_unit(item.text)
    return item.value


def _read_unit(text):
    parts = []
    for line in split_lines(text.partition("=")[2]):
        if parts and line.strip()[:1] in ("#", ";"):
            continue
        body = line.rstrip("\r\n") if not parts else line.rstrip("\r\n").lstrip()
        parts.append(body[:-1] + " " if body.endswith("\\") else body)
    return "".join(parts).strip()


def fold(name):
    return name


def check_section(name):
    if not name or "[" in name or "]" in name or "\n" in name or "\r" in name:
        raise StorageError("the section name '%s' is empty or contains a bracket or line break" % name)


def check_name(name):
    if not name or name != name.strip() or name[0] in "#;[" or set(name) & set("=\n\r\\\"'"):
        raise StorageError("the name '%s' is none that systemd would read" % name)


def meaning(value, keeping=AS_WRITTEN):
    del keeping
    return value or ""


def render(name, value, like=None, keeping=AS_WRITTEN, newline="\n", indent="", area=None):
    """Return the Item for `name`=`value`; `area` is its section, None in an environment file."""
    del keeping
    value = value or ""
    before, end = indent + name + "=", newline
    if like is not None:
        end = line_end(like.text)
        first = split_lines(like.text)[0]
        if like.kind == OPTION:
            rest = first.partition("=")[2]
            blanks = rest[: len(rest) - len(rest.lstrip(" \t"))] if rest.strip() else ""
            before = first.partition("=")[0] + "=" + blanks
    written = _environment_value(value, like) if area is None else _unit_value(value)
    return Item(OPTION, before + written + end, name, value)


def _unit_value(value):
    if "\n" in value or "\r" in value:
        raise StorageError("the value contains a line break, which a unit file cannot")
    if value != value.strip():
        raise StorageError("the value begins or ends with blanks, which systemd drops")
    if value.endswith("\\"):
        raise StorageError("the value ends with a backslash, which would continue the line")
    return value


def _environment_value(value, like):
    if "\r" in value:
        raise StorageError("the value contains a carriage return")
    quoted = like is not None and like.kind == OPTION and '="' in like.text.replace(" ", "")
    if BARE.match(value) and not quoted:
        return value
    return '"%s"' % "".join(["\\" + c if c in ESCAPED_IN_QUOTES else c for c in value])
