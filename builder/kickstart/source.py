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
from builder.kickstart.plan import Place

# Nobody writes a kickstart of that size; a device or a log given by mistake is.
MAX_BYTES = 4 << 20
MAX_DEPTH = 50


@dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    """One line of a section or of the command part, without its line end."""

    text: str
    place: Place


@dataclass(frozen=True, kw_only=True, slots=True)
class Section:
    """A %section: its header, its lines (those of included files too), and whether %end closes it."""

    name: str
    header: Line
    lines: tuple[Line, ...]
    closed: bool

    @property
    def body(self) -> str:
        """The lines as one text."""
        return "".join(f"{line.text}\n" for line in self.lines)


@dataclass(frozen=True, kw_only=True, slots=True)
class InputFile:
    """A file that was read: its name as shown, and the digest of its bytes, for the manifest."""

    shown: str
    sha256: str


@dataclass(slots=True)
class Document:
    """A kickstart with all that it includes.

    `version` is the text of its first `#version=` line. `unresolved` are the includes of files that
    only a %pre script can write, in the order met.
    """

    parts: list[Line | Section] = field(default_factory=list)
    files: list[InputFile] = field(default_factory=list)
    unresolved: list[tuple[str, Place]] = field(default_factory=list)
    version: Line | None = None


@dataclass(kw_only=True, slots=True)
class _OpenSection:
    """The section being read."""

    name: str
    header: Line
    lines: list[Line] = field(default_factory=list)


def scan(path: Path, findings: Findings, pre_files: Mapping[str, str] | None = None) -> Document:
    """Read `path` and what it includes.

    Args:
        findings: takes what is wrong: files that cannot be read, includes in a circle, lost %ends.
        pre_files: what the %pre scripts wrote, by absolute path; None when they have not been run. Then
            an include of a file that a %pre mentions, or of an absolute path that does not exist while
            there is a %pre, is left unresolved.
    """
    document = Document()
    scanner = _Scanner(findings=Findings(), pre_files=pre_files or {}, scripts_ran=pre_files is not None)
    scanner.read(path, str(path), (), document, None)
    if pre_files is None and scanner.has_pre:
        # A first reading tells what the %pre scripts say, a second one can then leave their files alone.
        document = Document()
        scanner = _Scanner(findings=Findings(), pre_files={}, scripts_ran=False, pre_text=scanner.pre_text)
        scanner.read(path, str(path), (), document, None)
    findings.errors.extend(scanner.findings.errors)
    findings.warnings.extend(scanner.findings.warnings)
    return document


@dataclass(kw_only=True, slots=True)
class _Scanner:
    findings: Findings
    pre_files: Mapping[str, str]
    scripts_ran: bool
    pre_text: str = ""
    has_pre: bool = False
    stack: list[str] = field(default_factory=list)

    def read(
        self, path: Path, shown: str, chain: tuple[str, ...], document: Document, inside: _OpenSection | None
    ) -> None:
        """Read one file into `document`, or into the open section `inside`."""
        # The including line is the place of whatever keeps the file from being read.
        text = self._load(path, shown, chain)
        if text is None:
            return
        document.files.append(InputFile(shown=shown, sha256=hashlib.sha256(text.encode()).hexdigest()))
        text = text.replace("\r\n", "\n")
        self.stack.append(os.path.realpath(path))
        section: _OpenSection | None = None
        for number, content in enumerate(text.split("\n"), 1):
            if number == text.count("\n") + 1 and not content:
                break
            line = Line(text=content, place=Place(file=shown, line=number, included_from=chain))
            section = self._take(line, path, document, inside, section)
        if section is not None:
            self._close(document, section, closed=False)
        self.stack.pop()

    def _take(
        self,
        line: Line,
        path: Path,
        document: Document,
        inside: _OpenSection | None,
        section: _OpenSection | None,
    ) -> _OpenSection | None:
        """Put one line where it belongs; return the section that is open after it."""
        current = section or inside
        word = first_word(line.text)
        if word == "%include":
            self._include(line, path, document, current)
        elif current is None:
            if word.startswith("%") and word not in ("%end", "%ksappend"):
                return _OpenSection(name=word, header=line)
            if line.text.startswith("#version=") and document.version is None and not self.stack[1:]:
                document.version = line
            if word and not word.startswith("#"):
                document.parts.append(line)
        elif word == "%end" or word in SECTIONS:
            if section is None:
                self.findings.error(
                    line.place,
                    f"{word} in a file that is included inside {current.name}",
                    "the section must end in the file where it begins",
                )
            elif word == "%end":
                self._close(document, section, closed=True)
                return None
            else:
                self._close(document, section, closed=False)
                return _OpenSection(name=word, header=line)
        else:
            current.lines.append(line)
        return section

    def _close(self, document: Document, section: _OpenSection, *, closed: bool) -> None:
        if section.name == "%pre":
            self.has_pre = True
            self.pre_text += "".join(f"{line.text}\n" for line in section.lines)
        document.parts.append(
            Section(name=section.name, header=section.header, lines=tuple(section.lines), closed=closed)
        )

    def _include(self, line: Line, path: Path, document: Document, current: _OpenSection | None) -> None:
        try:
            words = shlex.split(line.text, comments=True)
        except ValueError as error:
            self.findings.error(line.place, f"%include: {str(error).lower()}")
            return
        if len(words) != 2 or not words[1]:
            self.findings.error(line.place, "%include takes one file name", "quote a name that holds blanks")
            return
        name = words[1]
        if re.match(r"[a-z][a-z0-9+.-]*://", name):
            self.findings.error(
                line.place,
                f"%include {name}: nothing is fetched while a kickstart is read",
                "download the file and include it by its path",
            )
            return
        chain = (f"{line.place.file}:{line.place.line}", *line.place.included_from)
        if self._is_left_to_pre(name):
            document.unresolved.append((name, line.place))
            return
        target = Path(name) if os.path.isabs(name) else path.parent / name
        shown = (
            name
            if os.path.isabs(name)
            else os.path.normpath(os.path.join(os.path.dirname(line.place.file), name))
        )
        if os.path.realpath(target) in self.stack or len(self.stack) >= MAX_DEPTH:
            self.findings.error(line.place, f"%include {name}: the file includes itself", "break the circle")
            return
        self.read(target, shown, chain, document, current)

    def _is_left_to_pre(self, name: str) -> bool:
        """Tell whether only a %pre script that has not run yet can write the file."""
        if self.scripts_ran or not os.path.isabs(name) or not self.pre_text:
            return False
        return name in self.pre_text or not os.path.exists(name)

    def _load(self, path: Path, shown: str, chain: tuple[str, ...]) -> str | None:
        """Return the text of a file, None (with the reason noted) when it cannot be read."""
        where = _place_of_include(chain)
        named = f"%include {shown}" if where else shown
        if str(path) in self.pre_files:
            return self.pre_files[str(path)]
        hint = None if where else "give the path of a kickstart"
        if where and os.path.isabs(path):
            hint = "no %pre script wrote it" if self.scripts_ran else "no %pre script could write it either"
        elif where:
            hint = f"paths are relative to the including file: {path.parent}"
        try:
            if path.exists() and not path.is_file():
                self.findings.error(where, f"{named}: not a file", hint)
                return None
            if path.stat().st_size > MAX_BYTES:
                self.findings.error(where, f"{named}: too large for a kickstart", hint)
                return None
            text = path.read_bytes().decode()
        except UnicodeDecodeError as error:
            number = error.object[: error.start].count(b"\n") + 1
            self.findings.error(
                Place(file=shown, line=number, included_from=chain), "not UTF-8 text", "convert the file"
            )
            return None
        except OSError as error:
            self.findings.error(where, f"{named}: {(error.strerror or str(error)).lower()}", hint)
            return None
        except ValueError as error:  # a NUL in the name
            self.findings.error(where, f"{named!r}: {error}", hint)
            return None
        if "\0" in text:
            number = text[: text.index("\0")].count("\n") + 1
            self.findings.error(Place(file=shown, line=number, included_from=chain), "a NUL byte in the text")
            return None
        return text


def first_word(text: str) -> str:
    """Return the first word of a line, "" of a blank one."""
    words = text.split(maxsplit=1)
    return words[0] if words else ""


def _place_of_include(chain: tuple[str, ...]) -> Place | None:
    """Return the place of the %include line that the chain begins with."""
    if not chain:
        return None
    file, _, line = chain[0].rpartition(":")
    return Place(file=file, line=int(line), included_from=chain[1:])
