# SPDX-License-Identifier: MIT
"""Clusters compressed once: those that the image which is replaced has too, or one of the same packages, are
copied from it.

An index says by the digest of a cluster's content where in an image it lies compressed, and the digest of
that. The image is nobody's but the user's, and still nothing of it is believed: what does not have the digest
is compressed anew. The bytes of the new image are the same without.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
import struct
from pathlib import Path

from builder import entries
from builder.files import cache_folder, digest_of
from builder.image.disk.qcow2 import Anew, Format

# So many indexes are kept, of some 100 kB a GB of image.
MOST = 100
# sha256 of the content; start and length in the image, 0 where it is not compressed there; sha256 of that.
_ROW = struct.Struct(">32sQI32s")


class Clusters:
    """Compresses the clusters of one image (`builder.image.disk.qcow2.Compressor`).

    Args:
        image: where the image will stand, and where the one that it replaces does.
        format: how clusters are stored.
        family: what images of the same packages have in common; None: nothing is known of any.
    """

    def __init__(self, image: Path, format: Format, family: str | None = None) -> None:
        self._anew = Anew(format)
        self._folder = cache_folder("clusters")
        self._image = image
        names = [str(image), *([family] if family else [])]
        self._keys = [digest_of([name, format.version, format.cluster]) for name in names]
        self._known: dict[bytes, tuple[int, int, int, bytes]] = {}
        self._rows: list[bytes] = []
        self._old: dict[Path, int] = {}
        for key in self._keys:
            self._learn(key)

    def _learn(self, key: str) -> None:
        """Read an index: the path of its image, a zero byte, rows."""
        index = entries.load(self._folder, key)
        if index is None:
            return
        path, _, rows = index.partition(b"\0")
        old = Path(os.fsdecode(path))
        if old in self._old or len(rows) % _ROW.size:
            return
        with contextlib.suppress(OSError):
            file = os.open(old, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
            if not stat.S_ISREG(os.fstat(file).st_mode):
                os.close(file)
                return
            self._old[old] = file
            for name, start, length, digest in _ROW.iter_unpack(rows):
                self._known.setdefault(name, (file, start, length, digest))

    def compress(self, data: bytes) -> tuple[bytes, bytes]:
        """Return the digests of a cluster and of what it is compressed to, and that."""
        name = hashlib.sha256(data).digest()
        file, start, length, digest = self._known.get(name, (-1, 0, 0, b""))
        if digest:
            packed = os.pread(file, length, start)
            if hashlib.sha256(packed).digest() == digest:
                return name + digest, packed
        packed = self._anew.compress(data)[1]
        return name + hashlib.sha256(packed).digest(), packed

    def placed(self, name: bytes, start: int, packed: bytes) -> None:
        """Put a row into the index."""
        content, digest = name[:32], name[32:]
        self._rows.append(_ROW.pack(content, start, len(packed), digest))

    def keep(self) -> None:
        """Keep the index: the image has its place."""
        for file in self._old.values():
            os.close(file)
        self._old.clear()
        content = os.fsencode(self._image) + b"\0" + b"".join(self._rows)
        for key in self._keys:
            entries.store(content, self._folder, key, files=MOST)
