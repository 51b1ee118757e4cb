# SPDX-License-Identifier: MIT
"""The parts of openstack-python-bundled, and what parts.yaml adds to the package index."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression

from builder.places import SPECS
from builder.rpm.spec.packages import ENVIRONMENT
from builder.schema import FROM_KEY, load

SPEC = SPECS / f"{ENVIRONMENT}.spec"
FOLDER = SPECS / ENVIRONMENT
TABLE = FOLDER / "parts.yaml"
SPDX = FOLDER / "parts.spdx.json"


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """A Python distribution that is bundled: normalized name, version, the file that holds it.

    `license` is an expression of SPDX.
    """

    name: str
    version: str
    file: str
    sha256: str
    license: str


@dataclass(frozen=True, kw_only=True, slots=True)
class NotBundled:
    """A distribution that is asked for and not bundled, for which Pythons (none named: all)."""

    name: str = field(metadata=FROM_KEY)
    pythons: tuple[str, ...] = ()

    def concerns(self, python: str) -> bool:
        """Say whether it is not bundled for a Python (`3.12`)."""
        return not self.pythons or python in self.pythons


@dataclass(frozen=True, kw_only=True, slots=True)
class LeftOut(NotBundled):
    """A distribution that is not there at all, and what is lost."""

    lost: str


@dataclass(frozen=True, kw_only=True, slots=True)
class OfTheSystem(NotBundled):
    """A distribution that a package of the target brings."""

    package: str
    files: tuple[str, ...]
    required: bool = False

    def files_for(self, python: str) -> list[str]:
        """Return the names of its files."""
        return [file.format(abi=f"cpython-{python.replace('.', '')}") for file in self.files]


@dataclass(frozen=True, kw_only=True, slots=True)
class PartsTable:
    """parts.yaml: its own comments say what the keys mean."""

    left_out: Mapping[str, LeftOut]
    system: Mapping[str, OfTheSystem]
    licenses: Mapping[str, str]
    classifiers: Mapping[str, str]

    def __post_init__(self) -> None:
        for name, license in (*self.licenses.items(), *self.classifiers.items()):
            if spdx_expression(license) != license:
                raise ValueError(f"{name}: {license} is not an expression of SPDX in its usual form")

    def left_out_of(self, python: str) -> list[str]:
        """Return the names of what is left out for a Python, or the system's."""
        rows: list[NotBundled] = [*self.left_out.values(), *self.system.values()]
        return [row.name for row in rows if row.concerns(python)]


def read_table(path: Path = TABLE) -> PartsTable:
    """Return parts.yaml.

    Raises:
        InputError: it does not fit, with file and line.
    """
    return load(path, PartsTable)


def spdx_expression(text: str) -> str | None:
    """Return an expression of SPDX in its usual form; None for what is not one."""
    try:
        return canonicalize_license_expression(text)
    except InvalidLicenseExpression:
        return None


def normalize(name: str) -> str:
    """Return the name of a distribution as the index normalizes it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()
