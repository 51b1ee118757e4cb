# SPDX-License-Identifier: MIT
"""The %packages section: which packages and groups, and what of them."""

from __future__ import annotations

import re
import shlex

from pykickstart import version as versions

from builder.kickstart import names as known_names
from builder.kickstart.parsed import Kickstart, Line, ParsedCommand
from builder.kickstart.place import Place
from builder.kickstart.placeholders import TEMPLATE_MARKS
from builder.kickstart.plan import Packages
from builder.kickstart.values import LANG

_NAME = re.compile(r"[A-Za-z0-9_+.*?\[\]!^:/()=-]+")

_KINDS = {"--optional": "optional", "--nodefaults": "mandatory"}

# Syntaxes before this one install @base unless --nobase says no.
_LAST_WITH_BASE = versions.F18


class _Selection:
    """What is chosen so far; later lines undo earlier ones, as in pykickstart and Anaconda."""

    def __init__(self) -> None:
        self.names: dict[str, Place] = {}
        self.excluded: dict[str, Place] = {}
        self.groups: dict[str, tuple[str, Place]] = {}  # name -> (default, optional or mandatory; place)
        self.excluded_groups: dict[str, Place] = {}
        self.environment: tuple[str, Place] | None = None

    def places(self) -> dict[str, Place]:
        """Return each word as written in the kickstart -> its place."""
        found = dict(self.names)
        found |= {f"-{name}": place for name, place in self.excluded.items()}
        found |= {f"@{name}": place for name, (_, place) in self.groups.items()}
        found |= {f"-@{name}": place for name, place in self.excluded_groups.items()}
        if self.environment:
            found[f"@^{self.environment[0]}"] = self.environment[1]
        return found


def plan_packages(ks: Kickstart) -> Packages:
    """Return what to install; several %packages sections add up."""
    selection = _Selection()
    read = ks.all_sections("%packages")
    for section in read:
        for line in section.section.lines:
            text = line.text.partition("#")[0].strip()
            if text:
                _take(ks, selection, text, line)
    headers = [section.header for section in read]
    options = frozenset().union(*(header.options for header in headers))
    if not read and ks.complete and not ks.unresolved:
        ks.findings.warn(None, f"{ks.path}: no %packages section: only @core is installed")
    base = versions.versionMap[ks.version] < _LAST_WITH_BASE and "--nobase" not in options and bool(read)
    if base and "base" not in selection.excluded_groups and "base" not in selection.groups:
        selection.groups["base"] = ("default", headers[0].place)
    return _packages(ks, selection, options, headers)


def _judge_languages(ks: Kickstart, header: ParsedCommand, languages: tuple[str, ...]) -> None:
    """Warn of languages that no package can have files of; rpm compares them with those of %lang()."""
    for name in languages:
        verdict = known_names.judge_locale(name) if LANG.fullmatch(name) else known_names.Verdict.UNKNOWN
        if verdict is known_names.Verdict.UNKNOWN and name not in ("all", "none"):
            ks.findings.warn(header.place, f"%packages --inst-langs: there is no locale {name}")


def _packages(
    ks: Kickstart, selection: _Selection, options: frozenset[str], headers: list[ParsedCommand]
) -> Packages:
    languages = None
    for header in headers:
        value = header.get("instLangs", _value(header, "--inst-langs", "--instLangs"))
        if value is not None:
            languages = tuple(filter(None, re.split(r"[:,]", str(value))))
            _judge_languages(ks, header, languages)
    groups = selection.groups
    return Packages(
        names=tuple(selection.names),
        groups=tuple(name for name, (kind, _) in groups.items() if kind == "default"),
        optional_groups=tuple(name for name, (kind, _) in groups.items() if kind == "optional"),
        mandatory_groups=tuple(name for name, (kind, _) in groups.items() if kind == "mandatory"),
        environment=selection.environment[0] if selection.environment else None,
        excluded=tuple(selection.excluded),
        excluded_groups=tuple(name for name in selection.excluded_groups if name.lower() != "core"),
        core="--nocore" not in options and "core" not in map(str.lower, selection.excluded_groups),
        docs="--excludedocs" not in options,
        weak=not {"--exclude-weakdeps", "--excludeWeakdeps"} & options,
        languages=languages,
        ignore_missing="--ignoremissing" in options,
        places=selection.places(),
    )


def _value(header: ParsedCommand, *names: str) -> str | None:
    return next((header.values[name] for name in names if name in header.values), None)


def _take(ks: Kickstart, selection: _Selection, text: str, line: Line) -> None:
    """Add one line of %packages."""
    if "\\*" in text:
        # Seen in published kickstarts, by authors who thought of a shell.
        text = text.replace("\\*", "*")
        ks.findings.warn(line.place, f"package {text}: the backslash is not needed, and is ignored")
    exclude = text.startswith("-")
    word = text[1:] if exclude else text
    if word.startswith("@^"):
        _take_environment(ks, selection, word[2:].strip(), line, exclude=exclude)
    elif word.startswith("@"):
        _take_group(ks, selection, word[1:].strip(), line, exclude=exclude)
    elif re.search(r"\s", word):
        ks.findings.error(
            line.place,
            f'package "{word}": a name must not contain blanks',
            "the file is a template: fill it in first"
            if text.startswith(TEMPLATE_MARKS)
            else "write each name on a line of its own",
        )
    elif not _NAME.fullmatch(word):
        ks.findings.error(line.place, f'package "{text}": not a name or glob', "write one name a line")
    elif exclude:
        selection.names.pop(word, None)
        selection.excluded[word] = line.place
    else:
        selection.excluded.pop(word, None)
        selection.names.setdefault(word, line.place)


def _take_environment(ks: Kickstart, selection: _Selection, name: str, line: Line, *, exclude: bool) -> None:
    if not name:
        ks.findings.error(line.place, "@^ without the name of an environment")
    elif exclude:
        if selection.environment and selection.environment[0] == name:
            selection.environment = None
        else:
            ks.findings.warn(line.place, f"-@^{name}: the environment is not chosen, nothing to exclude")
    else:
        if selection.environment and selection.environment[0] != name:
            ks.findings.warn(line.place, f"@^{name} replaces @^{selection.environment[0]}: one can be chosen")
        selection.environment = (name, line.place)


def _take_group(ks: Kickstart, selection: _Selection, text: str, line: Line, *, exclude: bool) -> None:
    try:
        words = shlex.split(text)
    except ValueError:
        words = text.split()  # a group may be called "Author's tools"
    options = [word for word in words if word.startswith("--")]
    name = " ".join(word for word in words if not word.startswith("--"))
    unknown = [option for option in options if option not in _KINDS]
    if not name:
        ks.findings.error(line.place, f'"{line.text.strip()}": no name of a group')
    elif unknown:
        ks.findings.error(line.place, f"@{name} {unknown[0]}: unknown", "write --optional or --nodefaults")
    elif len(set(options)) > 1:
        ks.findings.error(
            line.place, f"@{name}: --optional and --nodefaults exclude each other", "choose one"
        )
    elif ":" in name:
        ks.findings.error(
            line.place, f"@{name}: module streams are not supported", "name packages of the default stream"
        )
    elif exclude:
        selection.groups.pop(name, None)
        selection.excluded_groups[name] = line.place
    else:
        kind = _KINDS[options[0]] if options else "default"
        selection.excluded_groups.pop(name, None)
        selection.groups.setdefault(name, (kind, line.place))
