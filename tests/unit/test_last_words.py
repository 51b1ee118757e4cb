# SPDX-License-Identifier: MIT
"""The line of a program's output that says why it failed."""

from __future__ import annotations

import pytest

from builder.runner import last_words

SAID = {
    "nothing": ("", ""),
    "the last line": ("one\ntwo\n\n", "two"),
    "the last that says error": ("error: a\nerror: b\nto clean up, do this\n", "error: b"),
    "what is below it": (
        "Repositories loaded.\nError: \n Problem: conflicting requests\n  - nothing provides b needed by a\n",
        "Error: Problem: conflicting requests - nothing provides b needed by a",
    ),
    "not without end": ("Error: " + "x" * 1000, "Error: " + "x" * 393),
}


@pytest.mark.parametrize(("text", "expected"), SAID.values(), ids=SAID.keys())
def test_last_words(text: str, expected: str) -> None:
    assert last_words(text) == expected
