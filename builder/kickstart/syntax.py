# SPDX-License-Identifier: MIT
"""One kickstart syntax: pykickstart's parsers for a version, made tolerant, every word held to the table.

pykickstart parses the arguments of each command and section header; what stops at the first error
there, has no file name, or leaves as a bare ValueError is reported here with file and line. A syntax that
merely removed a word, or does not have it yet, gets a warning where the word's meaning is plain.
"""

from __future__ import annotations

import copy
import re
import sys
import warnings
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from pykickstart import version as versions
from pykickstart.base import DeprecatedCommand, RemovedCommand
from pykickstart.errors import KickstartDeprecationWarning, KickstartError
from pykickstart.parser import KickstartParser

from builder.kickstart import complaints
from builder.kickstart.commands import COMMANDS, SECTIONS
from builder.kickstart.findings import Findings
from builder.kickstart.parsed import ParsedCommand
from builder.kickstart.place import Place
from builder.kickstart.policy import CommandRow, OptionRow, Treatment
from builder.kickstart.versions import known_versions

# Commands whose options without a value exclude each other where they set the same field.
_ONE_STATE = frozenset({"selinux", "firewall", "rootpw", "user"})


@dataclass(frozen=True, kw_only=True, slots=True)
class _Known:
    """The options of one command in one syntax: name -> whether it takes a value.

    Of a `single` option given twice the last value counts. `settings`: the field that an option without a
    value sets, and to what.
    """

    options: Mapping[str, bool]
    single: frozenset[str] = frozenset()
    settings: Mapping[str, tuple[str, object]] = field(default_factory=dict)

    def resolve(self, word: str) -> str | None:
        """Return the option that `word` means: exact, or the only one it abbreviates (as argparse)."""
        name = word.partition("=")[0]
        if name in self.options:
            return name
        near = [option for option in self.options if option.startswith(name)]
        return near[0] if len(near) == 1 else None

    def contradicted(self, option: str, used: Collection[str]) -> str | None:
        """Return the one of the options `used` that sets the same field as `option` to something else."""
        name, value = self.settings.get(option, (None, None))
        others = {other: self.settings[other] for other in used if other in self.settings}
        return next(
            (other for other, (sets, set_to) in others.items() if sets == name and set_to != value), None
        )


class Syntax:
    """The commands and sections of one pykickstart version, such as F45 or RHEL9."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.number: int = versions.versionMap[name]
        path = list(sys.path)  # makeVersion() adds a folder to it on every call
        try:
            self._handler = versions.makeVersion(name)
        finally:
            sys.path[:] = path
        self._parser = KickstartParser(self._handler)

    def reset(self) -> None:
        """Forget what was parsed: commands keep state from line to line."""
        commands = self._handler.commands
        used = {
            id(command): name for name, command in commands.items() if command is not None and command.seen
        }
        for old, name in used.items():
            aliases = [alias for alias, command in commands.items() if id(command) == old]
            self._handler.resetCommand(name)
            for alias in aliases:
                commands[alias] = commands[name]

    @property
    def needs_end(self) -> bool:
        """Whether sections must end in %end."""
        return bool(self.number >= versions.F8)

    def has(self, command: str) -> bool:
        """Return whether the syntax has a command, and has not removed it."""
        found = self._handler.commands.get(command)
        return found is not None and not isinstance(found, RemovedCommand)

    def parse(self, words: list[str], place: Place, findings: Findings) -> ParsedCommand | None:
        """Return a command line understood; None when it is wrong, refused or without effect (then noted)."""
        name = words[0]
        row = COMMANDS.get(name)
        if row is None:
            hint = complaints.near_name(name, [*COMMANDS, *SECTIONS])
            findings.error(place, f"unknown command: {name}", hint)
            return None
        if row.verdict is Treatment.REFUSED:
            findings.error(place, f"{name}: {row.reason}", row.hint)
            return None
        if not self.has(name):
            return self._parse_missing(name, words, row, place, findings)
        if row.verdict is Treatment.HARMLESS:
            return self._pass_over(words, row, place, findings)
        return self._parse(words, row, place, findings)

    def _parse(
        self, words: list[str], row: CommandRow, place: Place, findings: Findings
    ) -> ParsedCommand | None:
        """Return a command line that this syntax has, understood; None when it is wrong (then noted)."""
        name = words[0]
        parsed = self._prepare(name, words[1:], row, self._options_of(name), place, findings)
        if parsed is None:
            return None
        arguments, options, values = parsed
        line = " ".join(words)
        self._handler.currentLine = line
        found = self._guard(
            name,
            place,
            findings,
            lambda: self._handler.dispatcher([name, *arguments], place.line),
            words,
            self._options_of(name).options,
        )
        if found is None:
            return None
        return ParsedCommand(
            name=name, place=place, words=tuple(words[1:]), options=options, values=values,
            data=copy.copy(found[0]),
        )  # fmt: skip

    def parse_header(self, words: list[str], place: Place, findings: Findings) -> ParsedCommand | None:
        """Return a section header understood; None when it is wrong, harmless or refused (then noted)."""
        name = words[0]
        row = SECTIONS[name]
        if row.verdict is not Treatment.HONOURED:
            if row.verdict is Treatment.HARMLESS:
                findings.note(place, f"{name} has no effect: {row.reason}")
            else:
                findings.error(place, f"{name}: {row.reason}", row.hint)
            return None
        if row.free:
            return ParsedCommand(name=name, place=place, words=tuple(words[1:]))
        parser = self._parser.getSection(name)._getParser()
        parsed = self._prepare(name, words[1:], row, _options_in(parser), place, findings)
        if parsed is None:
            return None
        arguments, options, values = parsed
        found = self._guard(
            name,
            place,
            findings,
            lambda: parser.parse_args(arguments, lineno=place.line),
            words,
            _options_in(parser).options,
        )
        if found is None:
            return None
        return ParsedCommand(
            name=name, place=place, words=tuple(words[1:]), options=options, values=values, data=found[0]
        )

    # -- inside ------------------------------------------------------------------------------

    def _pass_over(
        self, words: list[str], row: CommandRow, place: Place, findings: Findings
    ) -> ParsedCommand | None:
        """Say that a command has no effect; what is wrong with its arguments harms nobody either.

        Returns:
            The line without its arguments, where it matters that it is there.
        """
        name = words[0]
        trial = Findings()
        self._parse(words, row, place, trial)
        matters = row.sets is not None and not isinstance(self._handler.commands[name], DeprecatedCommand)
        reason = row.reason if matters or row.sets is None else "the installer passes it over"
        effect = "has one effect" if matters else "has no effect"
        if trial.errors:
            findings.warn(place, f"{trial.errors[0].message}; {name} {effect} anyway: {reason}")
        else:
            findings.note(place, f"{name} {effect}: {reason}")
        return ParsedCommand(name=name, place=place, words=()) if matters else None

    def _options_of(self, command: str) -> _Known:
        return _options_in(getattr(self._handler.commands[command], "op", None))

    def _parse_missing(
        self, name: str, words: list[str], row: CommandRow, place: Place, findings: Findings
    ) -> ParsedCommand | None:
        """Handle a command that is not in this syntax."""
        if row.verdict is Treatment.HARMLESS:
            reason = row.reason if row.sets is None else "the installer passes it over"
            findings.warn(place, f"{name} is not in the syntax {self.name}; it has no effect: {reason}")
            return None
        if row.tolerated:
            findings.warn(place, f"{name} is not in the syntax {self.name}; it is still honoured")
            return ParsedCommand(name=name, place=place, words=tuple(words[1:]))
        findings.error(
            place, f"{name} is not in the syntax {self.name}", f"it is in {_span(name)}: see --ksversion"
        )
        return None

    def _prepare(
        self, name: str, words: list[str], row: CommandRow, known: _Known, place: Place, findings: Findings
    ) -> tuple[list[str], frozenset[str], dict[str, str]] | None:
        """Hold the options of a line to the table; take out what this syntax lacks but we understand."""
        kept: list[str] = []
        used: set[str] = set()
        values: dict[str, str] = {}
        good = True
        rest = iter(words)
        for word in rest:
            if row.free or word == "--":
                kept += [word, *rest]
                break
            option = known.resolve(word) if _is_option(word) else None
            if option is not None:
                kept.append(word)
                if option in used and option in known.single and row.verdict is Treatment.HONOURED:
                    findings.warn(place, f"{name}: a second {option} in one line: the last one counts")
                other = known.contradicted(option, used) if name in _ONE_STATE else None
                if other is not None:
                    message = f"{name}: {other} and {option} contradict each other: the last one counts"
                    findings.warn(place, message)
                used.add(option)
                good &= self._judge(name, option, row, place, findings)
            elif _is_option(word) and (found := _tolerated(word, row)) is not None:
                option, entry = found
                used.add(option)
                kept += self._translate(name, word, option, entry, known, rest, values, place, findings)
            elif name == "zerombr" and word in ("yes", "no"):
                findings.warn(place, f'zerombr takes no argument: "{word}" is ignored')
            elif name == "bootloader" and word == "extlinux":
                findings.warn(place, f"bootloader extlinux: {row.options['--extlinux'].reason}")
            else:
                if _is_option(word):
                    good &= self._explain(name, word, row, known, place, findings)
                kept.append(word)
        if name == "rootpw" and used == {"--lock"} and len(kept) == 1 and self.number < versions.F18:
            findings.warn(place, f"rootpw --lock: the syntax {self.name} wants a password; root is locked")
            kept += ["--iscrypted", "!"]
        return (kept, frozenset(used), values) if good else None

    def _judge(self, name: str, option: str, row: CommandRow, place: Place, findings: Findings) -> bool:
        """Say what becomes of an option that the syntax has; False when it is refused."""
        if row.verdict is not Treatment.HONOURED:
            return True
        entry = row.options.get(option)
        if entry is None:
            findings.error(place, f"{name} {option} is not supported", "leave it out")
            return False
        if entry.verdict is Treatment.REFUSED:
            findings.error(place, f"{name} {option}: {entry.reason}", entry.hint)
            return False
        if entry.verdict is Treatment.HARMLESS:
            findings.note(place, f"{name} {option} has no effect: {entry.reason}")
        if entry.verdict is Treatment.REPLACED:
            findings.warn(place, f"{name} {option}: {entry.reason}")
        return True

    def _translate(
        self,
        name: str,
        word: str,
        option: str,
        entry: OptionRow,
        known: _Known,
        rest: Any,
        values: dict[str, str],
        place: Place,
        findings: Findings,
    ) -> list[str]:
        """Return what stands for an option that this syntax lacks: its other name, or nothing."""
        effect = f"it has no effect: {entry.reason}" if entry.reason else "it is still honoured"
        if entry.verdict is Treatment.REPLACED:
            effect = entry.reason
        findings.warn(place, f"{name} {option} is not in the syntax {self.name}; {effect}")
        _, equals, value = word.partition("=")
        harmless = entry.verdict is not Treatment.HONOURED
        if not equals and (entry.takes_value or (harmless and _takes_value(name, option))):
            value = next(rest, "")
        if entry.alias is not None and entry.alias in known.options:
            return [f"{entry.alias}={value}"] if entry.takes_value else [entry.alias]
        if entry.takes_value:
            values[option] = value
        return []

    def _explain(
        self, name: str, word: str, row: CommandRow, known: _Known, place: Place, findings: Findings
    ) -> bool:
        """Say more than pykickstart about an option that the syntax lacks; True when there is no more."""
        option = word.partition("=")[0]
        entry = row.options.get(option)
        if entry is None:
            near = complaints.near_option(option, known.options)
            findings.error(place, f"{name} has no option {option}", f"did you mean {near}?" if near else None)
        elif entry.verdict is Treatment.REFUSED:
            findings.error(place, f"{name} {option}: {entry.reason}", entry.hint)
        else:
            findings.error(
                place,
                f"{name} {option} is not in the syntax {self.name}",
                f"it is in {_span(name, option)}: see --ksversion",
            )
        return False

    def _guard(
        self,
        name: str,
        place: Place,
        findings: Findings,
        parse: Any,
        words: Sequence[str],
        options: Collection[str],
    ) -> tuple[Any] | None:
        """Call a parser of pykickstart; its errors and warnings become findings."""
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                found = (parse(),)
            except KickstartError as error:
                message = getattr(error, "message", None) or str(error)
                findings.error(place, *complaints.explain(message, words, options))
                return None
            except Exception as error:
                # pykickstart lets ValueError, IndexError and more leave its parsers: bad input all the same.
                findings.error(place, f"{name}: {complaints.one_line(str(error)) or type(error).__name__}")
                return None
        for warning in caught:
            text = complaints.one_line(str(warning.message))
            if "has already been defined" in text:
                continue  # the planner reports two partitions for one mount point, with both lines
            if issubclass(warning.category, KickstartDeprecationWarning):
                option = re.search(r"[Tt]he (--\S+) option", text)
                what = f"{name} {option[1]}" if option else name
                findings.warn(place, f"{what}: deprecated in the syntax {self.name}")
            else:
                findings.warn(place, f"{name}: {text}")
        return found


@cache
def load_syntax(name: str) -> Syntax:
    """Return the Syntax of a version: one a process, because making pykickstart's parsers takes long."""
    return Syntax(name)


def options_of(name: str, command: str) -> tuple[str, ...]:
    """Return the options that a command or section has in a syntax version."""
    found = load_syntax(name)
    if command.startswith("%"):
        section = found._parser.getSection(command)
        return tuple(_options_in(section._getParser()).options) if hasattr(section, "_getParser") else ()
    return tuple(found._options_of(command).options) if found.has(command) else ()


def commands_of(name: str) -> tuple[str, ...]:
    """Return the commands that a syntax version has, removed ones too."""
    return tuple(load_syntax(name)._handler.commands)


def _options_in(parser: Any) -> _Known:
    actions = getattr(parser, "_actions", ())
    return _Known(
        options={option: action.nargs != 0 for action in actions for option in action.option_strings},
        # argparse's and pykickstart's own actions that add up are named for it.
        single=frozenset(
            option
            for action in actions
            for option in action.option_strings
            if action.nargs != 0 and not re.search("Append|Extend", type(action).__name__)
        ),
        settings={
            option: (action.dest, action.const)
            for action in actions
            for option in action.option_strings
            if action.nargs == 0 and not re.search("Append|Extend|Count", type(action).__name__)
        },
    )


def _is_option(word: str) -> bool:
    # As argparse: a word with a blank in its name part is an argument.
    return word.startswith("--") and len(word) > 2 and " " not in word.partition("=")[0]


def _tolerated(word: str, row: CommandRow) -> tuple[str, OptionRow] | None:
    option = word.partition("=")[0]
    entry = row.options.get(option)
    return (option, entry) if entry is not None and entry.tolerated else None


@cache
def _takes_value(command: str, option: str) -> bool:
    """Say whether an option has a value, as the newest syntax that has it says."""
    for name in reversed(known_versions()):
        if load_syntax(name).has(command):
            known = load_syntax(name)._options_of(command).options
            if option in known:
                return known[option]
    return False


@cache
def _span(command: str, option: str | None = None) -> str:
    """Return in which syntaxes a command or option is: `F23 to F46, RHEL7 to RHEL11`."""
    spans = []
    for family in ("F", "RHEL"):
        names = [name for name in known_versions() if name.startswith(family)]
        having = [
            name
            for name in names
            if (option in options_of(name, command) if option else load_syntax(name).has(command))
        ]
        if having:
            spans.append(having[0] if len(having) == 1 else f"{having[0]} to {having[-1]}")
    return ", ".join(spans) or "no syntax"
