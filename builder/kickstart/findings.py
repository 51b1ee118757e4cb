# SPDX-License-Identifier: MIT
"""What a reading of kickstarts finds: errors, warnings, and things that need no action.

All are collected, none stops the reading: a user sees every mistake at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from builder.errors import InputError, Problem
from builder.kickstart.place import Place


@dataclass(slots=True)
class Findings:
    """Errors stop a build, warnings do not, notes are said under -v only."""

    errors: list[Problem] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)
    notes: list[Problem] = field(default_factory=list)
    _places: dict[str, Place] = field(default_factory=dict)

    def error(self, place: Place | None, message: str, hint: str | None = None) -> None:
        """Note a mistake at `place` with its hint."""
        self._add(self.errors, place, message, hint)

    def warn(self, place: Place | None, message: str, hint: str | None = None) -> None:
        """Note something that works, but hardly as its author expects."""
        self._add(self.warnings, place, message, hint)

    def note(self, place: Place | None, message: str) -> None:
        """Note that something has no effect on an image; the same thing is said once."""
        if all(message != note.message for note in self.notes):
            self._add(self.notes, place, message, None)

    def take(self, other: Findings) -> None:
        """Add what another reading found."""
        self.errors += other.errors
        self.warnings += other.warnings
        self.notes += other.notes
        self._places |= other._places

    def sort(self, files: Sequence[str]) -> None:
        """Bring all into the order of the lines, of `files` one after the other."""

        def position(problem: Problem) -> tuple[int, str, int]:
            place = self._places.get(problem.where or "")
            if place is None:
                return len(files) + 1, "", 0
            if place.file in files:
                return files.index(place.file), "", place.line
            return len(files), place.file, place.line

        for found in (self.errors, self.warnings, self.notes):
            found.sort(key=position)

    def check(self) -> None:
        """Raise InputError with all errors, if there are any."""
        if self.errors:
            raise InputError(problems=self.errors)

    def _add(self, found: list[Problem], place: Place | None, message: str, hint: str | None) -> None:
        problem = Problem(message=message, where=str(place) if place else None, hint=hint)
        if place is not None:
            self._places[str(place)] = place
        if problem not in found:
            found.append(problem)
