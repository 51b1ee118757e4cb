# SPDX-License-Identifier: MIT
"""The text of a kickstart: command lines and sections, includes followed, every line with its place.

Knows the shape of the format (pykickstart's parser.py: sections end at %end, %include works in the
command part and inside sections) and the names of sections, and nothing of what commands mean.

An included path is absolute, or relative to the file that includes it; never to the working folder.
"""

from __future__ import annotations

import hashlib
import os.path
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from builder.kickstart.commands import SECTIONS
from builder.kickstart.findings import Findings
from builder.kickstart.includes import HINT, is_private
from builder.kickstart.parsed import InputFile, Line, Section
from builder.kickstart.place import Place

# Nobody writes a kickstart of that size; a device or a log given by mistake is.
MAX_BYTES = 4 << 20
MAX_DEPTH = 50
# %ksappend differs in when it is read, by a tool before the installer: for us that is now.
# Where the installer has files of its own, its medium, and a kickstart of another host.
INSTALLER = (
    "/run/install/",
    "/run/initramfs/",
    "/mnt/",
    "/usr/share/anaconda/",
    "/usr/share/spin-kickstarts/",
)
INCLUDES = ("%include", "%ksappend")


@dataclass(slots=True)
class Document:
    """A kickstart with all that it includes.

    `version` is the text of its first `#version=` line. `unresolved` are the includes of files that
    only a %pre script can write, in the order met. `complete` is False when a file could not be read.
    """

    parts: list[Line | Section] = field(default_factory=list)
    files: list[InputFile] = field(default_factory=list)
    unresolved: list[tuple[str, Place]] = field(default_factory=list)
    version: Line | None = None
    complete: bool = True
    has_end: bool = False


@dataclass(kw_only=True, slots=True)
class _OpenSection:
    """The section being read."""

    name: str
    header: Line
    lines: list[Line] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Include:
    """A file to read: as written, where it lies, how messages call it, and which line asks for it."""

    name: str
    path: Path
    shown: str
    place: Place | None = None

    @property
    def chain(self) -> tuple[str, ...]:
        """What the places of its lines say of how they came in."""
        if self.place is None:
            return ()
        return (f"{self.place.file}:{self.place.line}", *self.place.included_from)


def scan(path: Path, findings: Findings, pre_files: Mapping[str, str] | None = None) -> Document:
    """Read `path` and what it includes.

    Args:
        findings: takes what is wrong: files that cannot be read, includes in a circle, lost %ends.
        pre_files: what the %pre scripts wrote, by absolute path; None when they have not been run. Then
            an include of a file that a %pre mentions, or of an absolute path that does not exist while
            there is a %pre, is left unresolved.
    """
    leaf = _Include(name=str(path), path=path, shown=str(path))
    scanner = _Scanner(findings=Findings(), pre_files=pre_files)
    scanner.read(leaf, None)
    if scanner.pre_text:
        # A first reading finds the %pre scripts. The second one knows which files are theirs, and
        # leaves files of the same names on this host alone.
        scanner = _Scanner(findings=Findings(), pre_files=pre_files, known_pre=scanner.pre_text)
        scanner.read(leaf, None)
    findings.take(scanner.findings)
    return scanner.document


@dataclass(kw_only=True, slots=True)
class _Scanner:
    """Reads files, one inside the other.

    `known_pre` is the text of all %pre scripts from an earlier reading, `pre_text` of this one.
    """

    findings: Findings
    pre_files: Mapping[str, str] | None
    known_pre: str = ""
    pre_text: str = ""
    stack: list[str] = field(default_factory=list)
    document: Document = field(default_factory=Document)

    def read(self, include: _Include, inside: _OpenSection | None) -> None:
        """Read one file into the document, or into the open section `inside`."""
        text = self._load(include)
        if text is None:
            self.document.complete = False
            return
        digest = hashlib.sha256(text.encode()).hexdigest()
        self.document.files.append(InputFile(shown=include.shown, sha256=digest))
        self.stack.append(os.path.realpath(include.path))
        lines = text.replace("\r\n", "\n").split("\n")
        if not lines[-1]:
            lines.pop()
        section: _OpenSection | None = None
        for number, content in enumerate(lines, 1):
            place = Place(file=include.shown, line=number, included_from=include.chain)
            section = self._take(Line(text=content, place=place), include.path, inside, section)
        if section is not None:
            self._close(section, closed=False)
        self.stack.pop()

    def _take(
        self, line: Line, path: Path, inside: _OpenSection | None, section: _OpenSection | None
    ) -> _OpenSection | None:
        """Put one line where it belongs; return the section of this file that is open after it."""
        current = section or inside
        word = first_word(line.text)
        if word in INCLUDES:
            self._include(line, path, current)
        elif current is None:
            if word.startswith("%") and word != "%end":
                return _OpenSection(name=word, header=line)
            if line.text.startswith("#version=") and self.document.version is None and len(self.stack) == 1:
                self.document.version = line
            if word and not word.startswith("#"):
                self.document.parts.append(line)
        elif word != "%end" and word not in SECTIONS:
            current.lines.append(line)
        elif section is None:
            self.findings.error(
                line.place,
                f"{word} in a file that is included inside {current.name}",
                "the section must end in the file where it begins",
            )
        elif word == "%end":
            self.document.has_end = True
            self._close(section, closed=True)
            return None
        else:
            self._close(section, closed=False)
            return _OpenSection(name=word, header=line)
        return section

    def _close(self, section: _OpenSection, *, closed: bool) -> None:
        if section.name == "%pre":
            self.pre_text += "".join(f"{line.text}\n" for line in section.lines)
        self.document.parts.append(
            Section(name=section.name, header=section.header, lines=tuple(section.lines), closed=closed)
        )

    def _include(self, line: Line, path: Path, current: _OpenSection | None) -> None:
        """Follow an %include or %ksappend line of the file `path`."""
        word = first_word(line.text)
        try:
            words = shlex.split(line.text, comments=True)
        except ValueError as error:
            self.findings.error(line.place, f"{word}: {str(error).lower()}", "balance the quotes")
            return
        if len(words) != 2 or not words[1]:
            self.findings.error(line.place, f"{word} takes one file name", "quote a name that holds blanks")
            return
        name = words[1]
        if re.match(r"[A-Za-z][A-Za-z0-9+.-]*://", name):
            self.findings.error(
                line.place,
                f"{word} {name}: nothing is fetched while a kickstart is read",
                "download the file and include it by its path",
            )
            return
        if self.pre_files is None and self._is_of_pre(name):
            self.document.unresolved.append((name, line.place))
            return
        shown = os.path.normpath(os.path.join(os.path.dirname(line.place.file), name))
        include = _Include(name=name, path=path.parent / name, shown=shown, place=line.place)
        if os.path.realpath(include.path) in self.stack or len(self.stack) >= MAX_DEPTH:
            self.findings.error(line.place, f"{word} {name}: the file includes itself", "break the circle")
            return
        self.read(include, current)

    def _is_of_pre(self, name: str) -> bool:
        """Return whether a %pre script writes the file, rather than that it is on this host."""
        if not self.known_pre or not os.path.isabs(name):
            return False
        return name in self.known_pre or not os.path.exists(name)

    def _load(self, include: _Include) -> str | None:
        """Return the text of a file, None (with the reason noted) when it cannot be read."""
        named = f"%include {include.name}" if include.place else include.shown
        if self.pre_files is not None and include.place is not None:
            written = self.pre_files.get(include.name, self.pre_files.get(str(include.path)))
            if written is not None:
                return written
            if self._is_of_pre(include.name) or include.place.file in self.pre_files:
                self.findings.error(
                    include.place, f"{named}: no such file", "no %pre script wrote it: look at the script"
                )
                return None
        if include.place is None:
            hint = "give the path of a kickstart"
        elif os.path.isabs(include.name) and include.name.startswith(INSTALLER):
            hint = "it is a file of the installer: copy it to the kickstart's folder"
        elif os.path.isabs(include.name):
            hint = "no %pre script could write it either"
        else:
            hint = f"paths are relative to the including file: {include.path.parent}"
        try:
            if self.stack and include.path.is_file() and is_private(include.path, Path(self.stack[0])):
                self.findings.error(include.place, f"{named}: {include.path} is private", HINT)
                return None
            data = read_regular(include.path)
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            self.findings.error(include.place, f"{named}: {reason.lower()}", hint)
            return None
        for mark, what in ((_first_undecodable(data), "not UTF-8 text"), (data.find(b"\0"), "a NUL byte")):
            if mark >= 0:
                number = data[:mark].count(b"\n") + 1
                place = Place(file=include.shown, line=number, included_from=include.chain)
                self.findings.error(place, what, "is it a kickstart?")
                return None
        # Editors of other systems begin a file with a byte order mark.
        return data.decode().removeprefix("\ufeff")


def read_regular(path: Path) -> bytes:
    """Return the bytes of a file; ValueError where it is not a regular file, or too large."""
    if path.exists() and not path.is_file():
        raise ValueError("not a file")
    if path.stat().st_size > MAX_BYTES:
        raise ValueError("too large for a kickstart")
    return path.read_bytes()


def first_word(text: str) -> str:
    """Return the first word of a line, "" of a blank one."""
    words = text.split(maxsplit=1)
    return words[0] if words else ""


def _first_undecodable(data: bytes) -> int:
    """Return the offset of the first byte that is not UTF-8, -1 when all is."""
    try:
        data.decode()
    except UnicodeDecodeError as error:
        return error.start
    return -1
