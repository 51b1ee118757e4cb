# SPDX-License-Identifier: MIT
"""What becomes of a kickstart command or option: honoured, replaced, harmless, or refused.

These are the types of the table, which is `builder.kickstart.commands`. A word without a row there is
refused, and a test walks over every command and option that pykickstart knows in any syntax: nothing is
silently ignored.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from builder.kickstart.plan import Setting


class Treatment(StrEnum):
    """What happens to a command, an option or a section."""

    HONOURED = "honoured"
    REPLACED = "replaced"  # something else is done, plainly as good: a warning says what
    HARMLESS = "harmless"  # no effect on an image; said under -v
    REFUSED = "refused"


@dataclass(frozen=True, kw_only=True, slots=True)
class OptionRow:
    """The row of one option.

    `reason` says why it is harmless or refused, or what is done instead; `hint` what to write. `alias`
    is the name of the same option in other syntaxes. `tolerated`: a syntax without it gets a warning in place
    of an error. `takes_value` is needed where a syntax does not know the option.
    """

    verdict: Treatment
    reason: str = ""
    hint: str = ""
    alias: str | None = None
    tolerated: bool = False
    takes_value: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class CommandRow:
    """The row of one command or section; `options` matters for honoured ones only.

    `tolerated`: a syntax that has removed the command gets a warning in place of an error.
    `free`: its arguments are another program's, and kept as they are.
    `repeatable`: each line adds to the others; of any other command the last line wins.
    `sets` is the kind of settings that reads it; None: the disk, the packages, their sources or the scripts.
    """

    verdict: Treatment
    reason: str = ""
    hint: str = ""
    options: Mapping[str, OptionRow] = field(default_factory=dict)
    tolerated: bool = False
    repeatable: bool = False
    free: bool = False
    sets: type[Setting] | None = None


Words = Mapping[str, str]


def honoured(
    options: str = "",
    *,
    harmless: Words | None = None,
    replaced: Words | None = None,
    refused: Mapping[str, tuple[str, str]] | None = None,
    tolerated: Mapping[str, str] | None = None,
    repeatable: bool = False,
    removed: bool = False,
    free: bool = False,
    sets: type[Setting] | None = None,
) -> CommandRow:
    """Return the row of an honoured command.

    Args:
        options: names of the honoured options, blank between.
        harmless: option(s) -> why they have no effect; several names in one key, blank between.
        replaced: option(s) -> what is done in its place; a warning says so.
        refused: option(s) -> (why, hint).
        tolerated: honoured options that some syntaxes lack -> their name there ("" for none; a leading
            "=" says that the option takes a value).
        repeatable: lines add up.
        free: the arguments belong to a program; pykickstart keeps them as they are.
        removed: newer syntaxes have removed the command; it is still honoured.
        sets: the kind of settings that reads it.
    """
    rows: dict[str, OptionRow] = {name: OptionRow(verdict=Treatment.HONOURED) for name in options.split()}
    for names, reason in (harmless or {}).items():
        for name in names.split():
            rows[name] = OptionRow(verdict=Treatment.HARMLESS, reason=reason, tolerated=True)
    for names, reason in (replaced or {}).items():
        for name in names.split():
            rows[name] = OptionRow(verdict=Treatment.REPLACED, reason=reason, tolerated=True)
    for names, (reason, hint) in (refused or {}).items():
        for name in names.split():
            rows[name] = OptionRow(verdict=Treatment.REFUSED, reason=reason, hint=hint)
    for name, alias in (tolerated or {}).items():
        rows[name] = OptionRow(
            verdict=Treatment.HONOURED,
            alias=alias.removeprefix("=") or None,
            tolerated=True,
            takes_value=alias.startswith("="),
        )
    return CommandRow(
        verdict=Treatment.HONOURED,
        options=rows,
        repeatable=repeatable,
        tolerated=removed,
        free=free,
        sets=sets,
    )


def harmless(reason: str, *, sets: type[Setting] | None = None) -> CommandRow:
    """Return the row of a command that has no effect on an image.

    Args:
        sets: the kind of settings for which it matters all the same that the command is there; `reason` then
            says how. Where a syntax has deprecated or removed the command, the installer passes it over.
    """
    return CommandRow(verdict=Treatment.HARMLESS, reason=reason, tolerated=True, repeatable=True, sets=sets)


def refused(reason: str, hint: str) -> CommandRow:
    """Return the row of a command that is refused."""
    return CommandRow(verdict=Treatment.REFUSED, reason=reason, hint=hint, repeatable=True)
