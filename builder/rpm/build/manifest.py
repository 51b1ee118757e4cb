# SPDX-License-Identifier: MIT
"""The manifest of a build: what came out, from which input; so also whether it must be built again."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from builder import json_text
from builder.files import sha256_file, write_atomic

FORMAT = 1


@dataclass(frozen=True, kw_only=True, slots=True)
class Artifact:
    """One file that was built; `path` is relative to the manifest."""

    path: str
    source: bool
    size: int
    sha256: str

    @property
    def nevra(self) -> str:
        """Name, version, release and architecture, as the file name has them."""
        return self.path.removesuffix(".rpm")


@dataclass(frozen=True, kw_only=True, slots=True)
class BuildManifest:
    """What one build of one package for one target made.

    `inputs` is the digest of everything that decides the bytes; two builds with equal inputs are equal.
    """

    package: str
    target: str
    version: str
    source_date_epoch: int
    rpm: str
    inputs: str
    artifacts: tuple[Artifact, ...]

    def binaries(self) -> tuple[Artifact, ...]:
        """Return the binary RPMs."""
        return tuple(artifact for artifact in self.artifacts if not artifact.source)


def manifest_path(folder: Path, package: str) -> Path:
    """Return where the manifest of a package stands."""
    return folder / f"{package}.manifest.json"


def describe(path: Path) -> Artifact:
    """Return what is to be said of a built file."""
    return Artifact(
        path=path.name,
        source=path.name.endswith(".src.rpm"),
        size=path.stat().st_size,
        sha256=sha256_file(path),
    )


def as_data(manifest: BuildManifest) -> dict[str, object]:
    """Return a manifest as JSON has it."""
    return {"format": FORMAT, **dataclasses.asdict(manifest)}


def write_manifest(folder: Path, manifest: BuildManifest) -> None:
    """Write a manifest into `folder`."""
    text = json.dumps(as_data(manifest), indent=2) + "\n"
    write_atomic(manifest_path(folder, manifest.package), text)


def read_manifest(folder: Path, package: str) -> BuildManifest | None:
    """Return the manifest of an earlier build; None when there is none that we can read."""
    try:
        data = json_text.parse(manifest_path(folder, package).read_text(encoding="utf-8"))
        if data.pop("format") != FORMAT:
            return None
        artifacts = tuple(Artifact(**artifact) for artifact in data.pop("artifacts"))
        return BuildManifest(artifacts=artifacts, **data)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def are_intact(folder: Path, artifacts: Iterable[Artifact]) -> bool:
    """Return whether every artifact exists with the digest in the manifest."""
    for artifact in artifacts:
        path = folder / artifact.path
        if not path.is_file() or path.stat().st_size != artifact.size:
            return False
        if sha256_file(path) != artifact.sha256:
            return False
    return True
