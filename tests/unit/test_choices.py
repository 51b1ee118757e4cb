# SPDX-License-Identifier: MIT
"""What argparse of each Python says of a word that is not one of the choices."""

from __future__ import annotations

import pytest

from builder.choices import read_refused_choice


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("invalid choice: 'wach' (choose from 'build', 'watch')", id="3.11"),
        pytest.param("invalid choice: 'wach' (choose from build, watch)", id="3.12"),
        pytest.param(
            "invalid choice: 'wach', maybe you meant 'watch'? (choose from build, watch)", id="3.15"
        ),
        pytest.param(
            "invalid choice: 'wach', maybe you meant 'watch'? (choose from 'build', 'watch')",
            id="3.15, quoted",
        ),
    ],
)
def test_the_word_and_the_choices_are_found(text: str) -> None:
    found = read_refused_choice(text)

    assert found is not None
    assert (found.value, found.choices) == ("wach", ("build", "watch"))
    assert found.hint == "did you mean watch?"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("invalid choice: 'it's' (choose from a, b)", "it's"),
        ("invalid choice: '' (choose from a, b)", ""),
        ("invalid choice: 'x (choose from y)' (choose from a, b)", "x (choose from y)"),
    ],
)
def test_odd_words(text: str, value: str) -> None:
    found = read_refused_choice(text)

    assert found is not None
    assert (found.value, found.choices, found.hint) == (value, ("a", "b"), None)


def test_another_text_is_none() -> None:
    assert read_refused_choice("expected one argument") is None
