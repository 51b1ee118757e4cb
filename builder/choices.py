# SPDX-License-Identifier: MIT
"""What argparse says of a word that is not one of the choices, read apart for a message of ours."""

from __future__ import annotations

import difflib
import re
from typing import NamedTuple


class RefusedChoice(NamedTuple):
    """The word, the choices, and the hint that names the nearest of them (None: none is near)."""

    value: str
    choices: tuple[str, ...]
    hint: str | None


def read_refused_choice(text: str) -> RefusedChoice | None:
    """Return what `invalid choice: …` says; None for another text.

    Before Python 3.12 the choices are quoted; from 3.15 on argparse names the nearest of them too.
    """
    found = re.fullmatch(
        r"invalid choice: '(.*?)'(?:, maybe you meant '[^']*'\?)? \(choose from (.*)\)", text
    )
    if found is None:
        return None
    choices = tuple(choice.strip("' ") for choice in found[2].split(","))
    near = difflib.get_close_matches(found[1], choices, n=1)
    return RefusedChoice(found[1], choices, f"did you mean {near[0]}?" if near else None)
