# SPDX-License-Identifier: MIT
"""Versions are compared as rpm compares them."""

from __future__ import annotations

import pytest

from builder.versions import compare_versions, version_key


@pytest.mark.parametrize(
    ("newer", "older"),
    [
        pytest.param("6.10.0", "6.9.0", id="by value, not by text"),
        pytest.param("6.1.0-2", "6.1.0-1", id="release"),
        pytest.param("6.9.2-1", "6.9-10", id="version before release"),
        pytest.param("6.1.0", "6.1.0~rc1", id="tilde"),
        pytest.param("6.1.0^git1", "6.1.0", id="caret"),
        pytest.param("6.1.0.1", "6.1.0", id="longer"),
        pytest.param("5.14.0-427.el9", "5.14.0-362.el9", id="kernels of EL 9"),
        pytest.param("6.12.0-55.el10.x86_64", "6.12.0-55.el9.x86_64", id="el10 after el9"),
        pytest.param("6.1a1", "6.1", id="letters after the end"),
        pytest.param("6.1.1", "6.1.a", id="digits before letters"),
    ],
)
def test_versions_compare_as_in_rpm(newer: str, older: str) -> None:
    assert compare_versions(newer, older) == 1
    assert compare_versions(older, newer) == -1
    assert compare_versions(newer, newer) == 0


def test_versions_are_sorted_from_the_oldest() -> None:
    assert sorted(["6.10-1", "6.9-1", "6.9-1.fc44"], key=version_key) == ["6.9-1", "6.9-1.fc44", "6.10-1"]
