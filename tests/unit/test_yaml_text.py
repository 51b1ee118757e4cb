# SPDX-License-Identifier: MIT
"""YAML that people wrote is read, or is one kind of error; nothing ends the process."""

from __future__ import annotations

import pytest
import yaml

from builder import yaml_text

DEEP = {
    "sequences": "[" * 100_000,
    "closed": "[" * 500 + "]" * 500,
    "mappings": "{a: " * 500 + "}" * 500,
    "on one line": "- " * 500 + "a",
    "by columns": "".join(f"{' ' * depth}a:\n" for depth in range(500)),
}
WRONG = {
    "no end": "a: [",
    "month": "a: 2026-13-01",
    "number": "!!int x",
    "truth": "!!bool maybe",
    "time": "!!timestamp soon",
    "key": "? [a]\n: b",
}


@pytest.mark.parametrize("text", DEEP.values(), ids=DEEP)
def test_a_text_that_is_nested_too_deeply_is_an_error(text: str) -> None:
    for read in (yaml_text.compose, yaml_text.load):
        with pytest.raises(yaml.YAMLError, match="nest"):
            read(text)


@pytest.mark.parametrize("text", WRONG.values(), ids=WRONG)
def test_a_value_that_is_not_what_it_claims_to_be_is_an_error(text: str) -> None:
    with pytest.raises(yaml.YAMLError):
        yaml_text.load(text)


def test_what_people_write_is_read_whatever_its_length() -> None:
    wide = {"a": [[number] for number in range(1000)], "b": "x" * 1000}

    assert yaml_text.load(yaml.safe_dump(wide)) == wide
    assert yaml_text.load(yaml.safe_dump(wide, default_flow_style=True)) == wide
    assert yaml_text.compose("") is yaml_text.load("") is None
