# SPDX-License-Identifier: MIT
"""Answers of rpm: what is in a name does not move what is after it."""

from __future__ import annotations

import pytest

from builder.errors import BuildError
from builder.formats.rpmquery import other, row, rows, tag

NAMES = ["plain", "a|b", "with 'quotes'", "two\nlines", "'", "' '0' '", "", "\u202ename"]


def as_rpm_quotes(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"


def test_names_of_any_kind_come_back() -> None:
    text = "".join(f"{as_rpm_quotes(name)} '12' {as_rpm_quotes(name[::-1])}\n" for name in NAMES)

    assert list(rows(text, 3)) == [(name, "12", name[::-1]) for name in NAMES]


def test_a_tag_that_is_missing_is_empty() -> None:
    assert list(rows("'gpg-pubkey' (none) '0'\n(none) (none) '1'\n", 3)) == [
        ("gpg-pubkey", "", "0"),
        ("", "", "1"),
    ]


def test_a_package_without_files_has_no_row() -> None:
    assert list(rows("(none)\n'/a' '0'\n(none)'/b' '1'\n", 2)) == [("/a", "0"), ("/b", "1")]


@pytest.mark.parametrize("text", ["'a' 'b'\n", "'a'\n", "'a' 'b' 'c", "a b c\n", "'a' 'b' 'c' 'd'\n"])
def test_what_is_not_of_the_form_is_an_error(text: str) -> None:
    with pytest.raises(BuildError, match="cannot be read"):
        list(rows(text, 3))


def test_the_form_is_what_rpm_reads() -> None:
    assert row(tag("NAME"), other("%{SIZE}")) == "%{NAME:shescape} '%{SIZE}'\\n"
    assert row(tag("NAME"), each=True) == "[%{NAME:shescape}\\n]"
