# SPDX-License-Identifier: MIT
"""out/talk/index.html: the steps of a talk with their times and what they printed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from builder.files import write_atomic


@dataclass(frozen=True, kw_only=True, slots=True)
class Done:
    """A step: what it was, the command, what it printed, when it began, its seconds; `failed` where it did.

    `begun` counts from the begin of the talk; `picture` is a file next to the page.
    """

    title: str
    command: str
    output: str
    begun: float
    seconds: float
    failed: bool = False
    picture: str = ""


def write_page(path: Path, steps: Sequence[Done], total: float, notes: Sequence[str], memory: str) -> None:
    """Write the page.

    Args:
        total: seconds of the whole; some steps are done beside others.
        notes: what took the place of what.
        memory: what the controller takes at rest; empty: it was not measured.
    """
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined
    )
    text = environment.get_template("page.html.j2").render(
        steps=sorted(steps, key=lambda step: step.begun), notes=notes, memory=memory, total=total
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, text)
