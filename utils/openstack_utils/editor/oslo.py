# SPDX-License-Identifier: MIT
"""oslo.config's reading of an ini file, and how to write what it then reads back.

The rules follow oslo.config 10.7.0 (`oslo_config/iniparser.py` and `cfg.ConfigParser`),
tested against it. In short: names keep their case; the first of `=` and `:` splits; only a line
that *starts* with `#` or `;` is a comment; an indented line continues the option right above it; a
blank line or comment ends an option; one pair of equal quotes around a value's first line is
removed; repeated sections are merged, repeated options are kept as a list.
"""

from ..errors import StorageError
from .document import (
    AS_WRITTEN,
    BLANK,
    COMMENT,
    INDENTED,
    KEEP_ALL,
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

NAME = "oslo"
HAS_GLOBAL = False
DEFAULT_IS_GLOBAL = True
INHERITS = False
BEHIND_EXAMPLE = True
# Reading warns, since somebody has to repair the file; writing refuses.
UNREADABLE = "refuse"
QUOTES = ('"', "'")


def parse(text, ignore_indent=False):
    """Read `text` into a Document; what oslo.config would refuse goes to `problems`.

    `ignore_indent` is for files of other programs: a line's indentation then says nothing.
    """
    lines = split_lines(text)
    document = Document(newline_of(lines))
    section = document.sections[0]
    items = section.items
    option = None
    for number, line in enumerate(lines, 1):
        first = line.lstrip()[:1] or "\n" if ignore_indent else line[0]
        if first == "#" or first == ";":
            items.append(Item(COMMENT, line))
            option = None
            continue
        bare = line.strip() if ignore_indent else line.rstrip()
        if not bare:
            items.append(Item(BLANK, line))
            option = None
        elif first == " " or first == "\t":
            if option is None:
                items.append(Item(OTHER, line))
                document.problems.append(Problem(number, INDENTED))
            else:
                option.text += line
        elif first == "[":
            option = None
            name, reason = _section_name(bare)
            if reason:
                document.problems.append(Problem(number, reason))
            if name:
                section = Section(name, line)
                items = section.items
                document.sections.append(section)
            else:
                items.append(Item(OTHER, line))
        else:
            name, reason = _option_name(bare)
            headless = False
            if number == 1 and first == "\ufeff":
                reason = "a byte order mark"
            elif name is not None and section.name is None:
                reason = "the option '%s' is before the first [section]" % name
                headless = True
            if reason:
                document.problems.append(Problem(number, reason, headless))
            option = None if name is None else Item(OPTION, line, name)
            items.append(option or Item(OTHER, line, bare))
    return document


def _section_name(bare):
    """Return (name, reason): the name in a header line, and what is wrong with the line."""
    if not bare.endswith("]"):
        end = bare.rfind("]")
        if end < 0:
            return None, "a section header without ']'"
        return bare[1:end] or None, "text after the ']' of a section header"
    if len(bare) <= 2:
        return None, "a section header without a name"
    return bare[1:-1], None


def _option_name(bare):
    """Return (name, reason) of an option line; a line without '=' or ':' has no name."""
    end = separator(bare)
    if end < 0:
        return None, "neither '=' nor ':' in '%s'" % shorten(bare)
    name = bare[:end].strip()
    if not name:
        return None, "an option without a name"
    return name, None


def separator(line):
    """Index of the first '=' or ':' of an option line, or -1."""
    equal = line.find("=")
    colon = line.find(":")
    if equal < 0 or 0 <= colon < equal:
        return colon
    return equal


def shorten(text):
    return text if len(text) <= 40 else text[:37] + "..."


def unquote(value):
    if value and value[0] == value[-1] and value[0] in QUOTES:
        return value[1:-1]
    return value


def read_value(item):
    """The value oslo.config gets from an option, before any `$` substitution."""
    if item.value is None:
        lines = split_lines(item.text)
        first = lines[0].rstrip()
        value = [unquote(first[separator(first) + 1 :].strip())]
        value += [line.strip() for line in lines[1:]]
        item.value = "\n".join(value)
    return item.value


def fold(name):
    """Names keep their case."""
    return name


def check_section(name):
    """Refuse a section name that would not come back as it is."""
    if not name:
        raise StorageError("a section needs a name")
    if "\n" in name or "\r" in name:
        raise StorageError("a section name contains a line break: %r" % name)
    if "[" in name or "]" in name:
        raise StorageError(
            "section names should not contain '[' or ']': %s" % name,
            plain="section names should not contain '[' or ']': %s" % name,
        )


def check_name(name):
    """Refuse an option name that would not come back as it is."""
    reason = None
    if not name.strip():
        reason = "an option needs a name"
    elif name != name.strip():
        reason = "the name '%s' begins or ends with a blank" % name
    elif "\n" in name or "\r" in name:
        reason = "the name %r contains a line break" % name
    elif "=" in name or ":" in name:
        reason = "the name '%s' contains '%s', which ends a name" % (name, name[separator(name)])
    elif name[0] == "[":
        reason = "the name '%s' begins with '[', like a section header" % name
    elif name[0] in "#;":
        reason = "the name '%s' begins with '%s', like a comment" % (name, name[0])
    if reason:
        raise StorageError(reason)


def escape(value):
    """Write a value so that oslo.config's template substitution gives exactly `value`.

    A `$` is doubled; after a backslash it becomes `\\$` instead, because oslo.config turns `\\$`
    into `$$` before it substitutes (`ConfigOpts._substitute`).
    """
    written = []
    previous = ""
    for character in value:
        if character == "$":
            written.append("\\$" if previous == "\\" else "$$")
        else:
            written.append(character)
        previous = character
    return "".join(written)


def encode_value(value, keeping):
    """Return the lines to write for `value`, or raise StorageError with the reason.

    Blanks at the ends of the first line, and a lone quote, are protected by quotes. With
    KEEP_QUOTES surrounding quotes are protected too, with KEEP_ALL also `$`.
    """
    if "\r" in value:
        raise StorageError("the value contains a carriage return, which would end the line")
    if keeping == KEEP_ALL:
        value = escape(value)
    lines = value.split("\n")
    for line in lines[1:]:
        if not line.strip():
            raise StorageError("the value contains an empty line, where oslo.config would end it")
        if line != line.strip():
            raise StorageError(
                "a further line of the value begins or ends with blanks, which oslo.config drops"
            )
    first = lines[0]
    quoted = bool(first) and first[0] == first[-1] and first[0] in QUOTES
    if first != first.strip() or first in QUOTES or (quoted and keeping != AS_WRITTEN):
        lines[0] = '"%s"' % first
    return lines


def meaning(value, keeping=AS_WRITTEN):
    """What oslo.config reads once `value` is written."""
    return _read_back(encode_value(value or "", keeping))


def _read_back(lines):
    return "\n".join([unquote(lines[0].strip())] + lines[1:])


def render(name, value, like=None, keeping=AS_WRITTEN, newline="\n", indent="", area=None):
    """Return the Item for `name` = `value`; a value of None is written as an empty one.

    `like` is the option it replaces, whose spelling, separator and indentation are kept.
    """
    del area
    lines = encode_value(value or "", keeping)
    end, deeper, prefix = newline, "  ", indent + name + " = "
    if like is not None:
        end = line_end(like.text)
        old = split_lines(like.text)
        if like.kind == OPTION:
            prefix = _prefix_of(old[0])
        if like.kind == OPTION and len(old) > 1:
            deeper = old[1][: len(old[1]) - len(old[1].lstrip())]
    if not lines[0]:
        prefix = prefix.rstrip()
    text = prefix + (newline + indent + deeper).join(lines) + end
    return Item(OPTION, text, name, _read_back(lines))


def _prefix_of(line):
    """Everything before the value; an empty value gets the blank its separator suggests."""
    stop = separator(line) + 1
    rest = line[stop:]
    value = rest.strip()
    if value:
        return line[:stop] + rest[: rest.index(value[0])]
    wide = rest[:1] in (" ", "\t") or line[stop - 2 : stop - 1] in (" ", "\t")
    return line[:stop] + (" " if wide else "")
