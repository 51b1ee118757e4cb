# SPDX-License-Identifier: MIT
"""What ran when, as a trace for a browser's viewer: chrome://tracing, ui.perfetto.dev.

The form is that of Chrome's trace events: complete events (`ph` X) in microseconds.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from builder.files import write_atomic


@dataclass(frozen=True, kw_only=True, slots=True)
class Span:
    """Something that ran: where (`host`, `inside`), from when (seconds of the monotonic clock), how long."""

    name: str
    kind: str
    where: str
    began: float
    seconds: float


def write_trace(path: Path, spans: Iterable[Span]) -> None:
    """Write the spans: a process for each place, a thread for each kind and for what ran next to it.

    Raises:
        BuildError: the file cannot be written.
    """
    rows = sorted(spans, key=lambda span: (span.began, -span.seconds))
    first = min((span.began for span in rows), default=0.0)
    places: dict[str, int] = {}
    lanes: dict[tuple[str, str, int], float] = {}
    numbers: dict[tuple[str, str, int], int] = {}
    events: list[dict[str, object]] = []
    for span in rows:
        if span.where not in places:
            places[span.where] = len(places) + 1
            events.append(_name("process_name", span.where, places[span.where], 0))
        lane = _lane(span, lanes)
        if lane not in numbers:
            numbers[lane] = len(numbers) + 1
            events.append(_name("thread_name", f"{span.kind}s", places[span.where], numbers[lane]))
        events.append(
            {
                "name": span.name,
                "cat": span.kind,
                "ph": "X",
                "ts": round((span.began - first) * 1e6),
                "dur": round(span.seconds * 1e6),
                "pid": places[span.where],
                "tid": numbers[lane],
            }
        )
    write_atomic(path, json.dumps({"traceEvents": events, "displayTimeUnit": "ms"}, indent=1) + "\n")


def _lane(span: Span, lanes: dict[tuple[str, str, int], float]) -> tuple[str, str, int]:
    """Return the first lane of the kind that is free by then; occupy it."""
    number = 0
    while lanes.get((span.where, span.kind, number), float("-inf")) > span.began:
        number += 1
    lane = (span.where, span.kind, number)
    lanes[lane] = span.began + span.seconds
    return lane


def _name(what: str, name: str, process: int, thread: int) -> dict[str, object]:
    return {"name": what, "ph": "M", "pid": process, "tid": thread, "args": {"name": name}}
