# SPDX-License-Identifier: MIT
"""The file to upload: its size, what its manifest says, its digests, and its bytes as a request's body."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from builder import files
from builder.errors import InputError
from builder.formats.diskimage import FORMATS, UNPACK, DiskImage, read_header
from builder.manifest import ImageManifest, find_manifest, manifest_path

ALGORITHMS = ("md5", "sha256", "sha512")
CHUNK = 1 << 20
# The digest that is computed while sending: Glance's own default. So many chunks may wait for it.
SENT = "sha512"
BEHIND = 8


@dataclass(frozen=True, kw_only=True, slots=True)
class LocalImage:
    """A file of a disk in `format`, one of builder.formats.diskimage.

    `digests` are what it ought to have by its manifest, or was found to have; `manifest` is None
    where there is none. A converted copy knows the sha256 of the file that it was `made_from`.
    """

    path: Path
    format: str = "qcow2"
    size: int
    virtual_size: int
    manifest: ImageManifest | None = None
    digests: Mapping[str, str] = field(default_factory=dict)
    made_from: str | None = None

    @property
    def has_manifest(self) -> bool:
        """Return whether there was a manifest next to the file."""
        return self.manifest is not None


def read(path: Path) -> LocalImage:
    """Return what is known of the image `path` without reading it whole.

    Raises:
        InputError: no such file, not a disk image that stands alone, or a manifest about other files.
    """
    header = _read_header(path)
    size = path.stat().st_size
    manifest = find_manifest(path)
    digests = _digests(manifest, path, size) if manifest else {}
    return LocalImage(
        path=path,
        format=header.format,
        size=size,
        virtual_size=header.size,
        manifest=manifest,
        digests=digests,
    )


def compute_digests(path: Path, *algorithms: str) -> dict[str, str]:
    """Return the digests of the file: those of ALGORITHMS, unless others are named."""
    names = algorithms or ALGORITHMS
    return dict(zip(names, files.digests_of_file(path, *names), strict=True))


def check_digests(source: LocalImage, found: Mapping[str, str]) -> None:
    """Compare what was read with what the file ought to be.

    Args:
        found: the digests of its bytes; one that has no equal among those known is passed over.

    Raises:
        InputError: it is another file.
    """
    for name, digest in found.items():
        if digest != source.digests.get(name, digest):
            raise InputError(
                f"{source.path}: its {name} differs from the manifest's"
                if source.has_manifest
                else f"{source.path}: changed while it was read",
                hint="build the image again, or remove its manifest if you changed the file"
                if source.has_manifest
                else "upload it when no program writes to it",
            )


class Body:
    """The file's bytes for one PUT: hashed while they are sent, and never sent whole when they are wrong.

    The last chunk goes out only when the digest of all is the one expected, so that an image that is not
    what its manifest says never becomes active. One strong digest is enough: whoever knows it of a file knows
    the others. Each iteration starts again (keystoneauth sends again after a 401).

    Args:
        source: the file.
        progress: called with the number of bytes sent so far.
    """

    def __init__(self, source: LocalImage, progress: Callable[[int], None]) -> None:
        self.source = source
        self.sent = 0
        self.digests: Mapping[str, str] = {}
        self._progress = progress

    def __len__(self) -> int:
        return self.source.size

    def __iter__(self) -> Iterator[bytes]:
        self.sent = 0
        digest = hashlib.new(SENT)
        left = self.source.size
        waiting: deque[Future[None]] = deque()
        # Hashing releases the interpreter's lock: a thread hashes, in order, and the network need not wait.
        with ThreadPoolExecutor(1) as pool, self.source.path.open("rb") as file:
            while left > 0:
                try:
                    chunk = file.read(min(CHUNK, left))
                except OSError as error:
                    # Left alone it would pass for a failure of the network.
                    raise files.explain(error, self.source.path) from error
                if not chunk:
                    raise InputError(f"{self.source.path}: shorter than it was a moment ago")
                left -= len(chunk)
                waiting.append(pool.submit(digest.update, chunk))
                while len(waiting) > (BEHIND if left else 0):
                    waiting.popleft().result()
                if left == 0:
                    check_digests(self.source, {SENT: digest.hexdigest()})
                    self.digests = {**self.source.digests, SENT: digest.hexdigest()}
                yield chunk
                self.sent += len(chunk)
                self._progress(self.sent)


def _read_header(path: Path) -> DiskImage:
    """Return what the file's own header says.

    Raises:
        InputError: it is not a disk image that a cloud could use alone.
    """
    header = read_header(path)
    hint = f"qemu-img convert -O qcow2 {path} NEW.qcow2"
    if header.format in UNPACK:
        raise InputError(f"{path}: compressed with {header.format}", hint=f"{UNPACK[header.format]} {path}")
    if header.format not in FORMATS:
        raise InputError(f"{path}: its format is {header.format}, not {', '.join(FORMATS)}", hint=hint)
    header.require_disk(path)
    if header.format == "qcow2" and header.version not in (2, 3):
        raise InputError(f"{path}: qcow2 version {header.version} is not known")
    if header.has_data_file:
        raise InputError(f"{path}: its data is in another file, which the cloud would not have", hint=hint)
    if header.backing is not None:
        raise InputError(f"{path}: has a backing file, which the cloud would not have", hint=hint)
    return header


def _digests(manifest: ImageManifest, path: Path, size: int) -> dict[str, str]:
    """Return the digests that the manifest has of this file."""
    known = manifest.file_of(path.name)
    if known is None:
        named = ", ".join(each.path for each in manifest.files)
        raise InputError(f"{manifest_path(path)}: describes {named}, not {path.name}")
    if known.size != size:
        raise InputError(
            f"{path}: {size} bytes, {known.size} by its manifest",
            hint="build the image again, or remove its manifest if you changed the file",
        )
    return {name: getattr(known, name) for name in ALGORITHMS}
