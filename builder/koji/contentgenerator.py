# SPDX-License-Identifier: MIT
"""Our own images as builds of a hub: content generator metadata, version 0, and its import.

Source: docs/source/content_generator_metadata.rst of Koji. A hub knows which content generators there are
and who may import for each (`koji grant-cg-access`); ours is called openstack-builder.
"""

from __future__ import annotations

import dataclasses
import json
import platform
import re
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from builder import __version__
from builder.errors import BuildError, InputError, RemoteError
from builder.files import sha256_file
from builder.koji.faults import Lost
from builder.koji.hub import Call, Hub
from builder.manifest import ImageManifest

GENERATOR = "openstack-builder"
BUILDROOT = 1


@dataclass(frozen=True, kw_only=True, slots=True)
class Component:
    """One package of the image; `signature` is the id of the key that signed it, where it is signed."""

    name: str
    epoch: int | None
    version: str
    release: str
    arch: str
    sigmd5: str | None
    signature: str | None

    def as_data(self) -> dict[str, Any]:
        """Return it as the metadata holds it."""
        return {
            "type": "rpm",
            "name": self.name,
            "version": self.version,
            "release": self.release,
            "epoch": self.epoch,
            "arch": self.arch,
            "sigmd5": self.sigmd5,
            "signature": self.signature,
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class Import:
    """An image to import.

    `images` are the files of the disk, in one format each; `companions` what is said of them: manifest,
    checksums. `tools` are name and version of the programs that made it;
    `started` and `ended` are seconds since the epoch.
    """

    name: str
    version: str
    release: str
    source: str
    images: tuple[Path, ...]
    companions: tuple[Path, ...]
    manifest: ImageManifest
    components: tuple[Component, ...]
    host_os: str
    started: int
    ended: int
    tools: tuple[tuple[str, str], ...] = ()
    owner: str | None = None

    @property
    def files(self) -> tuple[Path, ...]:
        """All that is uploaded."""
        return (*self.images, *self.companions)

    @property
    def nvr(self) -> str:
        """Name, version and release."""
        return f"{self.name}-{self.version}-{self.release}"


def check(wanted: Import) -> None:
    """Refuse what the hub would refuse, before anything is uploaded.

    Raises:
        InputError: a name that cannot be taken apart again, a file that is missing or not what the
            manifest says.
    """
    if not re.fullmatch(r"[A-Za-z0-9_.+-]+", wanted.name):
        raise InputError(f"--name {wanted.name}: a build's name has letters, digits and _ . + - only")
    for option, value in (("--version", wanted.version), ("--release", wanted.release)):
        if not re.fullmatch(r"[A-Za-z0-9_.+~^]+", value):
            raise InputError(f"{option} {value}: letters, digits and _ . + ~ ^ only")
    for path in wanted.files:
        if path.is_symlink() or not path.is_file():
            raise InputError(f"{path} is not a regular file")
    names = [path.name for path in wanted.images]
    for path in wanted.images:
        if names.count(path.name) > 1:
            raise InputError(f"{path.name} is named twice")
        described = wanted.manifest.file_of(path.name)
        if described is None:
            raise InputError(f"{path} is not in the manifest of {wanted.manifest.name}")
        if (path.stat().st_size, sha256_file(path)) != (described.size, described.sha256):
            raise InputError(
                f"{path} is not the image that its manifest describes", hint="build it again, then import it"
            )


def require_archive_types(hub: Hub, images: Sequence[Path]) -> None:
    """Refuse images of a format that the hub does not know, which it would say after the upload.

    Koji finds an archive's type by the longest end of its name (get_archive_type).

    Raises:
        RemoteError: names each file.
    """
    known = {end for row in hub.ask("getArchiveTypes") for end in row["extensions"].split()}
    unknown = [path.name for path in images if not any(path.name.endswith(f".{end}") for end in known)]
    if unknown:
        raise RemoteError(
            f"{hub.profile.server} has no archive type for {', '.join(unknown)}",
            hint="import other formats, or have an administrator add it: koji call addArchiveType",
        )


def describe(wanted: Import, *, build_id: int | None = None) -> dict[str, Any]:
    """Return the metadata of an import, version 0 of the format.

    Args:
        build_id: the build that was reserved for it.
    """
    arch = wanted.manifest.architecture
    build: dict[str, Any] = {
        "name": wanted.name,
        "version": wanted.version,
        "release": wanted.release,
        "source": wanted.source,
        "start_time": wanted.started,
        "end_time": wanted.ended,
        "extra": {"typeinfo": {"image": {"target": wanted.manifest.target, "arch": arch}}},
    }
    if wanted.owner:
        build["owner"] = wanted.owner
    if build_id is not None:
        build["build_id"] = build_id
    components = [component.as_data() for component in wanted.components]
    return {
        "metadata_version": 0,
        "build": build,
        "buildroots": [
            {
                "id": BUILDROOT,
                "host": {"os": wanted.host_os, "arch": platform.machine()},
                "content_generator": {"name": GENERATOR, "version": __version__},
                "container": {"type": "none", "arch": arch},
                "tools": [{"name": name, "version": version} for name, version in wanted.tools],
                "components": [],
                "extra": {
                    GENERATOR: {
                        "fingerprint": wanted.manifest.inputs.fingerprint,
                        "repositories": [
                            dataclasses.asdict(repository)
                            for repository in wanted.manifest.inputs.repositories
                        ],
                    }
                },
            }
        ],
        "output": [
            *(_image_output(path, arch, components) for path in wanted.images),
            *(_output(path) for path in wanted.companions),
        ],
    }


def _output(path: Path) -> dict[str, Any]:
    return {
        "buildroot_id": BUILDROOT,
        "filename": path.name,
        "filesize": path.stat().st_size,
        "arch": "noarch",
        "checksum_type": "sha256",
        "checksum": sha256_file(path),
        "type": "log",
        "extra": {},
    }


def _image_output(path: Path, arch: str, components: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    # The type by which hub and Brew know image files; the archive type follows from the file's name.
    return _output(path) | {
        "type": "image",
        "arch": arch,
        "components": list(components),
        "extra": {"image": {"arch": arch}},
    }


def import_image(
    hub: Hub, wanted: Import, progress: Callable[[str, int, int], None] | None = None
) -> dict[str, Any]:
    """Reserve a build, upload its files, import it; return the hub's row of the build.

    Where anything fails after the reservation, it is given back, so that the same name can be imported
    again. Nothing is imported twice: where the answer to the import is lost, the hub is asked for the build.

    Raises:
        RemoteError: the hub refused, or is gone.
    """
    require_archive_types(hub, wanted.images)
    reserved = _reserve(hub, wanted)
    build_id, token = int(reserved["build_id"]), reserved["token"]
    folder = f"{GENERATOR}/{secrets.token_hex(8)}"
    try:
        metadata = describe(wanted, build_id=build_id)
        for path in wanted.files:
            hub.upload(path, folder, partial(progress, path.name) if progress else None)
        build = _import(hub, metadata, folder, token, build_id)
    except BaseException as error:
        _refund(hub, build_id, token, error)
        raise
    return build


def _reserve(hub: Hub, wanted: Import) -> dict[str, Any]:
    data = {"name": wanted.name, "version": wanted.version, "release": wanted.release, "epoch": None}
    there = hub.ask("getBuild", data)
    # koji.BUILD_STATES: FAILED 3 and CANCELED 4 may be used again.
    if there and there["state"] not in (3, 4):
        raise RemoteError(
            f"{hub.profile.server}: {wanted.nvr} exists already (build {there['build_id']})",
            hint="choose another --release",
        )
    try:
        reserved: dict[str, Any] = hub.submit(Call("CGInitBuild", (GENERATOR, data)))
        return reserved
    except Lost as error:
        raise RemoteError(
            f"{hub.profile.server}: CGInitBuild: {error}",
            hint=f"if {wanted.nvr} is reserved now, an administrator can cancel it: koji cancel {wanted.nvr}",
        ) from error


def _import(hub: Hub, metadata: dict[str, Any], folder: str, token: str, build_id: int) -> dict[str, Any]:
    try:
        build: dict[str, Any] = hub.submit(Call("CGImport", (metadata, folder, token)))
        return build
    except Lost as error:
        row: dict[str, Any] | None = hub.ask("getBuild", build_id)
        if row and row["state"] == 1:  # COMPLETE
            return row
        raise RemoteError(f"{hub.profile.server}: CGImport: {error}", hint="import it again") from error


def _refund(hub: Hub, build_id: int, token: str, error: BaseException) -> None:
    """Give a reservation back; where even that fails, say so with the first error."""
    try:
        hub.submit(Call("CGRefundBuild", (GENERATOR, build_id, token)))
    except (RemoteError, Lost) as second:
        if isinstance(error, BuildError):
            error.hint = (
                f"build {build_id} is still reserved ({second}); an administrator can cancel it: "
                f"koji cancel {build_id}"
            )


def as_json(metadata: Mapping[str, Any]) -> str:
    """Return the metadata as the text that `--dry-run` prints."""
    return json.dumps(metadata, indent=2)
