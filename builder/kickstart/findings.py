# SPDX-License-Identifier: MIT
"""What a reading of kickstarts brings to light: errors, warnings, and things that need no action.

All are collected, none stops the reading: a user sees every mistake at once.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from builder.errors import InputError, Problem
from builder.kickstart.plan import Place


@dataclass(slots=True)
class Findings:
    """Errors stop a build, warnings do not, notes are said under -v only."""

    errors: list[Problem] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)
    notes: list[Problem] = field(default_factory=list)

    def error(self, place: Place | None, message: str, hint: str | None = None) -> None:
        """Note a mistake at `place` with its way out."""
        self._add(self.errors, place, message, hint)

    def warn(self, place: Place | None, message: str, hint: str | None = None) -> None:
        """Note something that works, but hardly as its author expects."""
        self._add(self.warnings, place, message, hint)

    def note(self, place: Place | None, message: str) -> None:
        """Note that something has no effect on an image; the same thing is said once."""
        if all(message != note.message for note in self.notes):
            self._add(self.notes, place, message, None)

    def check(self) -> None:
        """Raise InputError with all errors, if there are any."""
        if self.errors:
            raise InputError(problems=self.errors)

    @staticmethod
    def _add(found: list[Problem], place: Place | None, message: str, hint: str | None) -> None:
        problem = Problem(message=message, where=str(place) if place else None, hint=hint)
        if problem not in found:
            found.append(problem)
