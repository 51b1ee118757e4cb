# SPDX-License-Identifier: MIT
"""Where elements are: ours first, then ELEMENTS_PATH, then an installed diskimage-builder."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from builder.kickstart.plan import Element, ElementFile
from builder.schema import load

OWN = Path(__file__).with_name("own.yaml")
# What every user of diskimage-builder knows it by.
PATH_VARIABLE = "ELEMENTS_PATH"


@dataclass(frozen=True, kw_only=True, slots=True)
class OwnElement:
    """An element of own.yaml. `does` says in what it differs from the one that it stands for."""

    does: str
    files: Mapping[str, str] | None = None


@cache
def load_own() -> dict[str, Element]:
    """Return the elements of ours, by name: those on which nearly all others are built."""
    found = {}
    for name, own in load(OWN, dict[str, OwnElement]).items():
        files = [ElementFile(path="README.rst", content=f"{own.does}\n".encode())]
        for path, text in (own.files or {}).items():
            mode = 0o755 if "/" in path else 0o644
            files.append(ElementFile(path=path, content=text.encode(), mode=mode))
        found[name] = Element(name=name, folder=None, files=tuple(files))
    return found


def installed_folders() -> Iterator[Path]:
    """Yield where the elements of an installed diskimage-builder may be: our environment's, the host's."""
    for entry in sys.path:
        if entry:
            yield Path(entry, "diskimage_builder/elements")
    yield from sorted(Path("/usr/lib").glob("python3*/*-packages/diskimage_builder/elements"))


def search_path(text: str | None) -> tuple[Path, ...]:
    """Return the folders of `text` (as ELEMENTS_PATH: colons between), and that of diskimage-builder."""
    given = [Path(part) for part in (text or "").split(":") if part]
    installed = next((folder for folder in installed_folders() if folder.is_dir()), None)
    return (*given, *([installed] if installed else []))


def names_in(path: tuple[Path, ...]) -> list[str]:
    """Return the names of all elements that there are, for a hint."""
    found = set(load_own())
    for folder in path:
        if folder.is_dir():
            found |= {one.name for one in folder.iterdir() if one.is_dir() and one.name[:1] not in "_."}
    return sorted(found)


def find_folder(name: str, path: tuple[Path, ...]) -> Path | None:
    """Return the folder of the element `name`: the first of `path` has it."""
    for folder in path:
        if (folder / name).is_dir():
            return folder / name
    return None
