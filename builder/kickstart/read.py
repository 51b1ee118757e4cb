# SPDX-License-Identifier: MIT
"""A kickstart, read and understood word by word: commands, package lines and scripts with their places.

Nothing here knows what an image is: `builder.kickstart.planner` turns what is read into a plan.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path

from builder.kickstart.commands import COMMANDS, SECTIONS
from builder.kickstart.complaints import near_name
from builder.kickstart.findings import Findings
from builder.kickstart.parsed import Kickstart, Line, ParsedCommand, Section, SectionRead
from builder.kickstart.policy import Treatment
from builder.kickstart.source import Document, scan
from builder.kickstart.syntax import Syntax, load_syntax
from builder.kickstart.versions import choose_version


def read_kickstart(
    path: Path,
    findings: Findings,
    *,
    ksversion: str | None = None,
    default_version: str | None = None,
    pre_files: Mapping[str, str] | None = None,
) -> Kickstart:
    """Read `path` and its includes; what is wrong goes to `findings`.

    Args:
        ksversion: the syntax that the user asks for, before any `#version=`.
        default_version: the target's syntax, where neither says one.
        pre_files: what the %pre scripts wrote (see `source.scan`).

    Raises:
        InputError: the syntax to read it by is unknown (`versions.choose_version`).
    """
    document = scan(path, findings, pre_files)
    written = document.version
    text = written.text.partition("=")[2].strip() if written else None
    version, complaint = choose_version(ksversion, text, default_version)
    if complaint:
        findings.warn(written.place if written else None, f"#version: {complaint}")
    syntax = load_syntax(version)
    syntax.reset()
    kickstart = Kickstart(
        path=path,
        version=version,
        findings=findings,
        files=document.files,
        unresolved=document.unresolved,
        complete=document.complete,
    )
    _understand(document, kickstart, syntax)
    return kickstart


def _understand(document: Document, kickstart: Kickstart, syntax: Syntax) -> None:
    before: dict[str, ParsedCommand] = {}
    sections = [part for part in document.parts if isinstance(part, Section)]
    if syntax.needs_end and sections and not document.has_end:
        kickstart.findings.warn(
            sections[0].header.place, "no section ends in %end: read as before Fedora 9 and EL 6", "add %end"
        )
    for part in document.parts:
        if isinstance(part, Section):
            _take_section(part, kickstart, syntax, needs_end=document.has_end and syntax.needs_end)
            continue
        words = split(part, kickstart.findings)
        if not words:
            continue
        if words[0].startswith("%"):
            _refuse_directive(words[0], part, kickstart.findings)
            continue
        errors = len(kickstart.findings.errors)
        command = syntax.parse(words, part.place, kickstart.findings)
        if command is None:
            if len(kickstart.findings.errors) > errors:
                kickstart.failed.add(words[0])
            continue
        _compare(before.get(command.name), command, kickstart.findings)
        before[command.name] = command
        kickstart.commands.append(command)


def split(line: Line, findings: Findings) -> list[str]:
    """Return the words of a line as a shell would split it; [] when it cannot be split (then noted)."""
    try:
        return shlex.split(line.text, comments=True)
    except ValueError as error:
        hint = (
            "kickstart lines end at the end of the line" if line.text.endswith("\\") else "balance the quotes"
        )
        findings.error(line.place, str(error).lower(), hint)
        return []


def _refuse_directive(word: str, line: Line, findings: Findings) -> None:
    findings.error(line.place, f"{word} without a section", "remove it")


def _compare(first: ParsedCommand | None, second: ParsedCommand, findings: Findings) -> None:
    """Warn about a command that is there twice and holds once."""
    if first is None or COMMANDS[second.name].repeatable or second.words == first.words:
        return
    where = f"{first.place.file}:{first.place.line}"
    both = sorted(first.options & second.options)
    if both:
        findings.warn(
            second.place, f"a second {second.name} line: its {', '.join(both)} replaces the value of {where}"
        )
    else:
        findings.warn(
            second.place, f"a second {second.name} line: where both set a thing, it wins over {where}"
        )


def _take_section(section: Section, kickstart: Kickstart, syntax: Syntax, *, needs_end: bool) -> None:
    findings = kickstart.findings
    if section.name not in SECTIONS:
        hint = near_name(section.name, [*SECTIONS, "%include", "%ksappend"]) or "remove it"
        findings.error(section.header.place, f"unknown section: {section.name}", hint)
        return
    if not section.closed and needs_end:
        findings.error(section.header.place, f"{section.name} is not closed by %end in its file", "add %end")
    words = split(section.header, findings)
    if not words:
        return
    header = syntax.parse_header(words, section.header.place, findings)
    if header is None and SECTIONS[section.name].verdict is Treatment.HONOURED:
        # The header is reported as wrong; its lines are checked all the same.
        header = ParsedCommand(name=section.name, place=section.header.place, words=())
    if header is not None:
        kickstart.sections.append(SectionRead(header=header, section=section))
