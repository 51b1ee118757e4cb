# SPDX-License-Identifier: MIT
"""A kickstart as it was read: its command lines and sections, for those who make something of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from builder.kickstart.findings import Findings
from builder.kickstart.place import Place


@dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    """One line of a section or of the command part, without its line end."""

    text: str
    place: Place


@dataclass(frozen=True, kw_only=True, slots=True)
class Section:
    """A %section: its header, its lines (included files' too), and whether %end closes it."""

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


@dataclass(frozen=True, kw_only=True, slots=True)
class ParsedCommand:
    """A command line (or a section header) that was understood.

    `options` are the names of the options it has, as the table writes them, with what was left out of
    the parsing because the syntax lacks it; `values` holds the values of those left out.
    `words` are its arguments as written.
    """

    name: str
    place: Place
    words: tuple[str, ...]
    options: frozenset[str] = frozenset()
    values: Mapping[str, str] = field(default_factory=dict)
    data: object = None

    def get(self, name: str, default: Any = None) -> Any:
        """Return an attribute of pykickstart's object, which syntaxes may lack."""
        value = getattr(self.data, name, default)
        return default if value is None else value


@dataclass(frozen=True, kw_only=True, slots=True)
class SectionRead:
    """A section that is honoured: what its header says, and its lines."""

    header: ParsedCommand
    section: Section


@dataclass(slots=True, kw_only=True)
class Kickstart:
    """Everything that a kickstart says, in the order of its lines.

    `version` is the syntax it was read with, such as F45.
    `complete` is False when a file could not be read: what is missing may have been in it.
    `failed` names the commands of which a line was wrong or refused, so that nobody misses them twice.
    `asked` records the names that a planner has looked for, so that a test can prove that it looks for
    every honoured command. `packages` are the names that are installed, chosen before settings are read.
    """

    path: Path
    version: str
    findings: Findings
    commands: list[ParsedCommand] = field(default_factory=list)
    sections: list[SectionRead] = field(default_factory=list)
    files: list[InputFile] = field(default_factory=list)
    unresolved: list[tuple[str, Place]] = field(default_factory=list)
    complete: bool = True
    failed: set[str] = field(default_factory=set)
    asked: set[str] = field(default_factory=set)
    packages: tuple[str, ...] = ()

    def all(self, *names: str) -> list[ParsedCommand]:
        """Return the lines of commands, in order."""
        self.asked.update(names)
        return [command for command in self.commands if command.name in names]

    def last(self, *names: str) -> ParsedCommand | None:
        """Return the last line of a command: the one that holds."""
        found = self.all(*names)
        return found[-1] if found else None

    def all_sections(self, *names: str) -> list[SectionRead]:
        """Return the sections of these names, in order."""
        self.asked.update(names)
        return [read for read in self.sections if read.header.name in names]
