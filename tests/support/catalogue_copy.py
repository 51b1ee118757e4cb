# SPDX-License-Identifier: MIT
"""A copy of the catalogue with a mistake in it, and what is reported of that."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from builder.catalogue.load import load_catalogue
from builder.errors import InputError
from builder.places import SPECS


def spoil(folder: Path, project: str, old: str, new: str) -> list[str]:
    """Return the lines of the error when `new` stands for `old` in a project's file."""
    specs = folder / "specs"
    shutil.copytree(SPECS / "services", specs / "services")
    for name in ("releases.yaml", "supports.yaml"):
        shutil.copy(SPECS / name, specs)
    path = specs / "services" / f"{project}.yaml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    with pytest.raises(InputError) as caught:
        load_catalogue(specs)
    return caught.value.lines()
