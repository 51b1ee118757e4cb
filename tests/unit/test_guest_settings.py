# SPDX-License-Identifier: MIT
"""YAML of an image is read with bounds."""

from __future__ import annotations

import time

import pytest

from builder.guest.outcome import CannotCheck
from builder.guest.settings import read_yaml

BOMB = "a0: &a0 [x, x]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 14))


@pytest.mark.parametrize(
    "text",
    [BOMB, "a: &a {b: *a}\n", "[" * 100_000, "a: b\n" * 1_000_000, "a: 2026-99-99\n", "a: [\n"],
    ids=["aliases of aliases", "an alias of itself", "deep", "large", "no such day", "not YAML"],
)
def test_what_nobody_writes_is_not_read(text: str) -> None:
    started = time.process_time()

    with pytest.raises(CannotCheck):
        read_yaml(text, "/etc/cloud/cloud.cfg")

    # Whoever reads the bomb takes all memory first, and hours.
    assert time.process_time() - started < 60


def test_aliases_are_read() -> None:
    assert read_yaml("a: &a [1, 2]\nb: *a\n", "/etc/cloud/cloud.cfg") == {"a": [1, 2], "b": [1, 2]}
