# SPDX-License-Identifier: MIT
"""Several images in one `openstack-builder image`: a live table while they are built, and a table of them."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from builder.errors import BuildError, joined
from builder.image.build import BuildOptions
from builder.image.engine import check_host
from builder.image.finished import FinishedImage, expect, log_of, place_of
from builder.image.isolation.wire import pack, unpack
from builder.image.together import Task, run_together
from builder.image.turns import Turn
from builder.kickstart.plan import ImagePlan
from builder.memory import available_memory
from builder.report import Report, Step, format_table, step_label
from builder.timeline import Span

HEADER = ("image", "state", "seconds")
WAITING = "waits for its turn"


@dataclass(frozen=True, kw_only=True, slots=True)
class Order:
    """An image that is asked for, and what builds it; `is_final`: no %pre has a say in the plan."""

    plan: ImagePlan
    is_final: bool
    build: Callable[[Report, Turn], FinishedImage]


@dataclass(frozen=True, kw_only=True, slots=True)
class _Made:
    """What a build reports about its image, besides the files."""

    unchanged: bool
    failed_scripts: tuple[str, ...] = ()
    spans: tuple[Span, ...] = ()


@dataclass(kw_only=True)
class _Progress:
    """How far an image is: the stage that runs, and the seconds that those before it took."""

    name: str
    state: str = WAITING
    over: bool = False
    stage: Step | None = None
    spent: float = 0.0

    @property
    def seconds(self) -> float:
        """Seconds that it has taken, without those in which it waited for others."""
        return self.spent + (self.stage.seconds if self.stage else 0.0)


@dataclass
class _Table:
    """The live table: a line for each image."""

    report: Report
    rows: list[_Progress] = field(default_factory=list)

    def show(self) -> None:
        """Draw it as it is now."""
        lines = [(row.name, row.state, f"{row.seconds:7.1f}") for row in self.rows]
        over = sum(row.over for row in self.rows)
        self.report.live([*format_table(HEADER, lines), f"{over} of {len(lines)} done"])

    @contextlib.contextmanager
    def shown(self) -> Iterator[None]:
        """Show it meanwhile."""
        self.show()
        try:
            yield
        finally:
            self.report.live([])


class _Row(Report):
    """What one build reports: its progress goes into its line of the table, all else gets its name."""

    def __init__(self, table: _Table, progress: _Progress) -> None:
        report = table.report
        super().__init__(quiet=report.quiet, verbose=report.is_verbose, debug=report.is_debug)
        self._rows, self._progress = table, progress

    def note(self, text: str) -> None:
        self._rows.report.verbose(f"{self._progress.name}: {text}")

    def verbose(self, text: str) -> None:
        self._rows.report.verbose(f"{self._progress.name}: {text}")

    def debug(self, text: str) -> None:
        self._rows.report.debug(f"{self._progress.name}: {text}")

    def warn(self, text: str) -> None:
        self._rows.report.warn(f"{self._progress.name}: {text}")

    def transient(self, text: str) -> None:
        self._progress.state = text
        self._rows.show()

    @contextlib.contextmanager
    def step(self, name: str, detail: str = "", *, count: tuple[int, int] | None = None) -> Iterator[Step]:
        label = step_label(name, count)
        step = Step(self, label, detail)
        self._progress.stage = step
        self.transient(f"{label} {detail}".rstrip())
        try:
            yield step
        finally:
            self._progress.stage = None
            self._progress.spent += step.seconds
        self.verbose(f"{label} {step.detail}  {step.seconds:.1f}s")
        self.transient(WAITING)


def build_several(
    orders: Sequence[Order], options: BuildOptions, *, jobs: int, report: Report
) -> tuple[list[FinishedImage], list[BuildError]]:
    """Build all, side by side; return what came out, in their order, and what went wrong.

    Raises:
        BuildError: what this host cannot build, before anything is.
    """
    _check(orders, options)
    table = _Table(report, [_Progress(name=order.plan.name) for order in orders])
    tasks = [
        Task(
            name=order.plan.name,
            log=log_of(order.plan, options),
            report=_Row(table, progress),
            run=partial(_run, order),
        )
        for order, progress in zip(orders, table.rows, strict=True)
    ]
    results: dict[int, FinishedImage] = {}
    failures: dict[int, BuildError] = {}
    memory = available_memory() * options.memory_share // 100
    running = run_together(tasks, jobs=jobs, memory=memory)
    # Closed whatever happens here: builds do not go on without us.
    with contextlib.closing(running), table.shown():
        for number, outcome in running:
            row = table.rows[number]
            row.over = True
            if isinstance(outcome, BuildError):
                failures[number] = _named(outcome, row.name)
                row.state = "failed"
            else:
                results[number] = _result(orders[number], options, outcome)
                row.state = _describe(results[number])
            table.show()
            report.ended(
                "image",
                row.name if number in failures else f"{row.name}  {row.state}",
                seconds=row.seconds,
                count=(len(results) + len(failures), len(orders)),
                failed=number in failures,
            )
    return [results[number] for number in sorted(results)], [failures[number] for number in sorted(failures)]


def _check(orders: Sequence[Order], options: BuildOptions) -> None:
    """Refuse what cannot be built here, of all images, before any is begun; %pre may change the rest."""
    failures = []
    for order in orders:
        try:
            if order.is_final:
                check_host(order.plan, options)
            expect(order.plan, options)
        except BuildError as error:
            failures.append(error)
    if failures:
        raise joined(failures)


def _run(order: Order, report: Report, turn: Turn) -> Any:
    result = order.build(report, turn)
    made = _Made(unchanged=result.unchanged, failed_scripts=result.failed_scripts, spans=result.spans)
    return pack(made)


def _result(order: Order, options: BuildOptions, data: Any) -> FinishedImage:
    made = unpack(data, _Made)
    # Whose they are, on the common clock.
    spans = tuple(replace(span, where=f"{order.plan.name}, {span.where}") for span in made.spans)
    return replace(
        place_of(order.plan, options),
        unchanged=made.unchanged,
        failed_scripts=made.failed_scripts,
        spans=spans,
    )


def _describe(result: FinishedImage) -> str:
    if result.unchanged:
        return "unchanged"
    # What it takes: a raw file is mostly holes.
    sizes = (f"{path.suffix[1:]} {path.stat().st_blocks * 512 / 1e6:.0f} MB" for path in result.files)
    return ", ".join(sizes)


def _named(error: BuildError, name: str) -> BuildError:
    """Return the error, its message with the image's name where it does not say whose it is."""
    if name not in error.message:
        error.message = f"{name}: {error.message}"
    return error
