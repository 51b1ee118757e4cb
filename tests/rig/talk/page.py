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
    """A step: what it was, the command, what it printed, its seconds; `failed` where it ended the talk.

    `picture` is a file next to the page.
    """

    title: str
    command: str
    output: str
    seconds: float
    failed: bool = False
    picture: str = ""


def write_page(path: Path, steps: Sequence[Done], notes: Sequence[str], memory: str) -> None:
    """Write the page; `notes` say what took the place of what, `memory` is the machine's at rest."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined
    )
    total = sum(step.seconds for step in steps)
    text = environment.get_template("page.html.j2").render(
        steps=steps, notes=notes, memory=memory, total=total
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, text)
