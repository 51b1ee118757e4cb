# SPDX-License-Identifier: MIT
"""Reads the licence of a distribution in its metadata."""

from __future__ import annotations

import tarfile
import zipfile
from email.message import Message
from email.parser import HeaderParser
from pathlib import Path

from builder.rpm.bundle.parts import PartsTable, spdx_expression

# Bytes that are read of it: the largest have a long description below what is looked for.
LARGEST = 16 << 20


def find_license(name: str, file: Path, table: PartsTable) -> str:
    """Return the licence of a distribution: what the table says, else what its metadata says.

    Args:
        name: its normalized name.
        file: its wheel, or its source archive.

    Raises:
        ValueError: neither says one that SPDX has.
    """
    if name in table.licenses:
        return table.licenses[name]
    metadata = _read_metadata(file)
    for text in (*metadata.get_all("License-Expression", ()), *metadata.get_all("License", ())):
        if license := spdx_expression(text):
            return license
    classifiers = metadata.get_all("Classifier", ())
    named = {table.classifiers[text] for text in classifiers if text in table.classifiers}
    if len(named) != 1:
        said = metadata.get("License") or "; ".join(
            text for text in classifiers if text.startswith("License")
        )
        first = (said or "nothing").splitlines()[0]
        raise ValueError(f'{name}: of its licence the metadata says "{first}", which is not one of SPDX')
    return named.pop()


def _read_metadata(file: Path) -> Message:
    """Return METADATA of a wheel (`*.dist-info/METADATA`), or PKG-INFO of a source archive (`*/PKG-INFO`)."""
    if file.name.endswith((".whl", ".zip")):
        with zipfile.ZipFile(file) as archive:
            wanted = ".dist-info/METADATA" if file.name.endswith(".whl") else "/PKG-INFO"
            with archive.open(_nearest(archive.namelist(), wanted, file)) as member:
                return HeaderParser().parsestr(member.read(LARGEST).decode(errors="replace"))
    with tarfile.open(file) as archive:
        name = _nearest(archive.getnames(), "/PKG-INFO", file)
        inner = archive.extractfile(name)
        return HeaderParser().parsestr(inner.read(LARGEST).decode(errors="replace") if inner else "")


def _nearest(names: list[str], end: str, file: Path) -> str:
    """Return the name that ends so and has but one folder."""
    for name in names:
        if name.endswith(end) and name.count("/") == 1:
            return name
    raise ValueError(f"{file.name}: it has no {end.lstrip('/')}")
