# SPDX-License-Identifier: MIT
"""What can go wrong, as types; each carries its exit code.

Raised anywhere, shown only by `builder.__main__`. A message is one line that names the file, line,
option or object; a hint is an action; a log is the path of the whole story.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

# Of what went wrong, in one message.
_MOST_REASONS = 3


def several(reasons: Sequence[str], between: str = "; ") -> str:
    """Return reasons on one line: the first ones, and how many more there are."""
    if len(reasons) > _MOST_REASONS:
        reasons = [*reasons[:_MOST_REASONS], f"and {len(reasons) - _MOST_REASONS} more"]
    return between.join(reasons)


def listed(names: Collection[str]) -> str:
    """Return the first names in order, and how many more there are."""
    first = ", ".join(sorted(names)[:_MOST_REASONS])
    return f"{first} and {len(names) - _MOST_REASONS} more" if len(names) > _MOST_REASONS else first


class BuildError(Exception):
    """Something failed. Base of every error that is shown without a traceback.

    Args:
        message: what happened, lower case, no full stop, naming the object.
        hint: what the user can do about it.
        log: file that holds the details.
    """

    exit_code = 1

    def __init__(self, message: str, *, hint: str | None = None, log: Path | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.log = log

    def lines(self) -> list[str]:
        """Return the lines to print, `error:` first."""
        lines = [f"error: {self.message}"]
        if self.hint:
            lines.append(f"hint:  {self.hint}")
        if self.log:
            lines.append(f"log:   {self.log}")
        return lines


class CommandFailed(BuildError):
    """A program that we started ended badly."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Problem:
    """One mistake in the input: what, where (`file:line`, or the option), and a hint."""

    message: str
    where: str | None = None
    hint: str | None = None

    def __str__(self) -> str:
        return f"{self.where}: {self.message}" if self.where else self.message


class InputError(BuildError):
    """The user's input is wrong. Many problems are reported at once.

    Args:
        message: the only problem, or a summary when `problems` is given.
        problems: every mistake found, in the order of the input.
    """

    exit_code = 2

    def __init__(
        self,
        message: str | None = None,
        *,
        hint: str | None = None,
        log: Path | None = None,
        problems: Sequence[Problem] = (),
    ) -> None:
        if message is None:
            message = str(problems[0]) if problems else "bad input"
        super().__init__(message, hint=hint, log=log)
        self.problems = tuple(problems)

    def lines(self) -> list[str]:
        """Return one `error:` line (and its hint) a problem."""
        if not self.problems:
            return super().lines()
        lines: list[str] = []
        for problem in self.problems:
            lines.append(f"error: {problem}")
            if problem.hint:
                lines.append(f"hint:  {problem.hint}")
        if self.hint:
            lines.append(f"hint:  {self.hint}")
        return lines


class BuildErrors(BuildError):
    """Several things failed that ran in parallel; all are reported.

    Args:
        errors: two or more; the exit code is theirs where all have the same.
    """

    def __init__(self, errors: Sequence[BuildError]) -> None:
        super().__init__(f"{len(errors)} failed")
        self.errors = tuple(errors)
        codes = {error.exit_code for error in errors}
        self.exit_code = codes.pop() if len(codes) == 1 else 1

    def lines(self) -> list[str]:
        """Return the lines of every error; what several say in the same words is said once."""
        said = dict.fromkeys(tuple(error.lines()) for error in self.errors)
        return [line for lines in said for line in lines]


def joined(errors: Sequence[BuildError]) -> BuildError:
    """Return one or more errors as one to raise."""
    return errors[0] if len(errors) == 1 else BuildErrors(errors)


class Declined(BuildError):
    """The user said no."""

    exit_code = 3


class ToolMissing(BuildError):
    """A program is not installed."""

    exit_code = 4


class PermissionMissing(BuildError):
    """The user may not do this on this host."""

    exit_code = 4


class RemoteError(BuildError):
    """The other side (a mirror, Keystone, Glance, Koji) failed."""

    exit_code = 5
