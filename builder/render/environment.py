# SPDX-License-Identifier: MIT
"""The templates of specs/templates: Jinja2, where a name that nobody gave is an error.

A block mark on a line of its own leaves no empty line. Comments are {## like this ##}, because the
usual mark is part of shell's ${#variable}.
"""

from __future__ import annotations

from functools import cache

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from builder.places import SPECS
from builder.render import escapes

TEMPLATES = SPECS / "templates"


def render(template: str, **values: object) -> str:
    """Return the text of specs/templates/`template`.j2 with `values` in it."""
    return _environment().get_template(f"{template}.j2").render(**values)


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        comment_start_string="{##",
        comment_end_string="##}",
        autoescape=False,
    )
    # Named by format: {{ project.title | spec }}. Which of them a place needs, its template says.
    environment.filters |= {
        "spec": escapes.spec,
        "shell": escapes.shell,
        "unit": escapes.unit,
        "ini": escapes.ini,
        "roff": escapes.roff,
    }
    return environment
