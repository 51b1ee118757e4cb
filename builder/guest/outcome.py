# SPDX-License-Identifier: MIT
"""What a check can come to, and what a check is.

A check that could not be done is `not-done`, which counts as a failure: it is never taken for a pass.
`not-applicable` is for what this image cannot be held to, with the reason.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, TypeVar

from builder.errors import CommandFailed

Evidence = TypeVar("Evidence")

# What an image or a guest says is anybody's: no number where one is expected, a list for a name.
NO_SENSE = (ValueError, TypeError, LookupError, ArithmeticError, AttributeError, RecursionError)
# Characters of a reason: it may quote the image.
LONGEST_REASON = 4000


class CheckState(StrEnum):
    """What came out."""

    PASS = "pass"
    FAIL = "fail"
    NOT_APPLICABLE = "not-applicable"
    NOT_DONE = "not-done"


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """A state and the reason for it: what was seen, or what is wrong."""

    state: CheckState
    reason: str


class CannotCheck(Exception):
    """Raised inside a check, or by the evidence it reads: the check ends with `outcome`."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(outcome.reason)
        self.outcome = outcome


def passed(reason: str) -> Outcome:
    """The property holds; `reason` is what was seen."""
    return Outcome(state=CheckState.PASS, reason=reason)


def failed(reason: str) -> Outcome:
    """The property does not hold; `reason` says where."""
    return Outcome(state=CheckState.FAIL, reason=reason)


def not_applicable(reason: str) -> CannotCheck:
    """Return what to raise when this image cannot be held to the property."""
    return CannotCheck(Outcome(state=CheckState.NOT_APPLICABLE, reason=reason))


def not_done(reason: str) -> CannotCheck:
    """Return what to raise when the property could not be looked at."""
    return CannotCheck(Outcome(state=CheckState.NOT_DONE, reason=reason))


def judge_all(problems: Iterable[str], good: str) -> Outcome:
    """Fail with every problem, up to eight, or pass with `good`."""
    found = list(problems)
    if not found:
        return passed(good)
    more = f" (and {len(found) - 8} more)" if len(found) > 8 else ""
    return failed("; ".join(found[:8]) + more)


@dataclass(frozen=True, kw_only=True, slots=True)
class Check(Generic[Evidence]):
    """One property of a good image.

    Args:
        id: kebab-case name; `--checks` takes it, scripts rely on it.
        rows: the rows of the checklist (builder/guest/checks/README.md) it belongs to.
        explanation: what is looked at and why it matters, in a sentence.
        judge: looks at the evidence.
    """

    id: str
    rows: tuple[int, ...]
    explanation: str
    judge: Callable[[Evidence], Outcome]


@dataclass(frozen=True, kw_only=True, slots=True)
class CheckResult:
    """What a check came to; `boot` names the boot it was run in, None for a check from outside."""

    check: str
    rows: tuple[int, ...]
    state: CheckState
    reason: str
    boot: str | None = None

    @property
    def is_good(self) -> bool:
        """Pass, or nothing that this image could be held to."""
        return self.state in (CheckState.PASS, CheckState.NOT_APPLICABLE)


def run_checks(
    checks: Iterable[Check[Evidence]],
    evidence: Evidence,
    *,
    boot: str | None = None,
    look: Callable[[], AbstractContextManager[None]] = nullcontext,
) -> tuple[CheckResult, ...]:
    """Run `checks` on `evidence`, in their order; each in the context of a `look`, which may end it."""
    results = []
    for check in checks:
        try:
            with look():
                outcome = check.judge(evidence)
        except CannotCheck as stop:
            outcome = stop.outcome
        except (CommandFailed, OSError) as error:
            # The image made a program fail, or holds what cannot be read: names of 5000 bytes, say.
            outcome = not_done(str(error)).outcome
        except MemoryError:
            outcome = not_done("it takes more memory than a look at an image may").outcome
        except NO_SENSE as error:
            outcome = not_done(f"its content cannot be read: {error!r}").outcome
        results.append(
            CheckResult(
                check=check.id,
                rows=check.rows,
                state=outcome.state,
                reason=outcome.reason[:LONGEST_REASON],
                boot=boot,
            )
        )
    return tuple(results)


def leave_undone(
    checks: Iterable[Check[Evidence]], reason: str, *, boot: str | None = None
) -> tuple[CheckResult, ...]:
    """Return `not-done` for every one of `checks`."""
    return tuple(
        CheckResult(check=check.id, rows=check.rows, state=CheckState.NOT_DONE, reason=reason, boot=boot)
        for check in checks
    )
