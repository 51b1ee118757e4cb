# SPDX-License-Identifier: MIT
"""The option --output of commands that print text."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_output(parser: argparse._ActionsContainer, what: str) -> None:
    """Add -o and --output; the value is None for stdout, which `-` names too.

    Args:
        what: the help.
    """
    parser.add_argument("-o", "--output", type=_output, metavar="FILE", help=what)


def _output(text: str) -> Path | None:
    return None if text == "-" else Path(text)
