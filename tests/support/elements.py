# SPDX-License-Identifier: MIT
"""Elements of diskimage-builder, as the tests write them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path


def write_element(folder: Path, name: str, files: Mapping[str, str]) -> Path:
    """Write an element into `folder`; files that begin as scripts are executable. Return the folder."""
    (folder / name).mkdir(parents=True, exist_ok=True)
    for path, text in files.items():
        file = folder / name / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        file.chmod(0o755 if text.startswith("#!") else 0o644)
    return folder
