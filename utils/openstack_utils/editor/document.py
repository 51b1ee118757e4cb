# SPDX-License-Identifier: MIT
"""A lossless model of an ini file: sections of items, each item the exact text it came from.

The model knows nothing about any dialect's rules. A dialect's reader fills it, edits replace or
insert items, and `Document.text()` gives every untouched character back. Bytes that are not UTF-8
travel as lone surrogates (`surrogateescape`), so they survive as well.
"""

import io

BLANK, COMMENT, OPTION, OTHER = range(4)
# What of a value is text: all but quotes around it and `$`, which the service's reader interprets; the
# quotes too, for values that were read, in which a `$` still names an option; everything.
AS_WRITTEN, KEEP_QUOTES, KEEP_ALL = range(3)


# A problem with a way out of its own.
INDENTED = "an indented line that continues nothing"


class Item:
    """One blank line, comment line, option (with its continuation lines) or unreadable line.

    `name` is the option's name as written. `value` is None until an edit or a dialect fills it
    in; for an edited option it is what the edit meant to store.
    """

    __slots__ = ("kind", "name", "text", "value")

    def __init__(self, kind, text, name=None, value=None):
        self.kind = kind
        self.text = text
        self.name = name
        self.value = value


class Section:
    """A header line and the items below it; the area above the first header has name None."""

    __slots__ = ("header", "items", "name")

    def __init__(self, name, header=""):
        self.name = name
        self.header = header
        self.items = []

    def text(self):
        return self.header + "".join([item.text for item in self.items])


class Problem:
    """A line its reader would stumble over: line number (from 1) and reason.

    `headless`: all that is wrong is that no [section] is above the option.
    """

    __slots__ = ("headless", "line", "reason")

    def __init__(self, line, reason, headless=False):
        self.line = line
        self.reason = reason
        self.headless = headless


class Document:
    """A whole file. `sections[0]` is always the area above the first header."""

    __slots__ = ("bom", "newline", "problems", "sections")

    def __init__(self, newline="\n", bom=""):
        self.sections = [Section(None)]
        self.problems = []
        self.newline = newline
        self.bom = bom

    def text(self):
        return self.bom + "".join([section.text() for section in self.sections])

    def end_last_line(self, section):
        """Terminate the last line of `section`, so that another can follow it."""
        if section.items:
            last = section.items[-1]
            if not last.text.endswith(("\n", "\r")):
                last.text += self.newline
        elif section.header and not section.header.endswith(("\n", "\r")):
            section.header += self.newline


def decode(data):
    """Return (text, problem): the bytes as text, and where they are not UTF-8, if anywhere."""
    try:
        return data.decode("utf-8"), None
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        reason = "not UTF-8: byte 0x%02x at offset %d" % (data[error.start], error.start)
        return data.decode("utf-8", "surrogateescape"), Problem(line, reason)


def find_undecodable(text):
    """The Problem of the first byte in `text` that is not UTF-8, or None."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return decode(encode(text))[1]
    return None


def encode(text):
    return text.encode("utf-8", "surrogateescape")


def split_lines(text):
    """Split where Python's text files do (LF, CRLF, CR), keeping the line ends."""
    return io.StringIO(text, newline="" if "\r" in text else "\n").readlines()


def newline_of(lines):
    """The line end of the first line, which new lines then use too."""
    if lines and lines[0].endswith("\r\n"):
        return "\r\n"
    if lines and lines[0].endswith("\r"):
        return "\r"
    return "\n"


def line_end(text):
    """The line end of the last line of `text`, or ''."""
    if text.endswith("\r\n"):
        return "\r\n"
    return text[-1:] if text[-1:] in ("\n", "\r") else ""
