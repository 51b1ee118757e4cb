# SPDX-License-Identifier: MIT
"""Clusters compressed once: those that the image which is replaced has too are copied from it.

An index says by the digest of a cluster's content where in that image it lies compressed, and the digest of
that. The image is nobody's but the user's, and still nothing of it is believed: what does not have the digest
is compressed anew. The bytes of the new image are the same without.
"""

from __future__ import annotations

import hashlib
import os
import struct
from pathlib import Path

from builder.files import cache_folder, digest_of
from builder.image.cache import entries
from builder.image.disk.qcow2 import Anew, Format

# So many indexes are kept, of some 100 kB a GB of image.
MOST = 50
# sha256 of the content; start and length in the image, 0 where it is not compressed there; sha256 of that.
_ROW = struct.Struct(">32sQI32s")


class Clusters:
    """Compresses the clusters of one image (`builder.image.disk.qcow2.Compressor`).

    Args:
        image: where the image will stand, and where the one that it replaces does.
        format: how clusters are stored.
    """

    def __init__(self, image: Path, format: Format) -> None:
        self._anew = Anew(format)
        self._folder = cache_folder("clusters")
        self._key = digest_of([str(image), format.version, format.cluster])
        self._known: dict[bytes, tuple[int, int, bytes]] = {}
        self._rows: list[bytes] = []
        self._old = -1
        index = entries.load(self._folder, self._key)
        if index is not None and image.is_file():
            self._known = {row[0]: row[1:] for row in _ROW.iter_unpack(index)}
            self._old = os.open(image, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)

    def compress(self, data: bytes) -> tuple[bytes, bytes]:
        """Return the digests of a cluster and of what it is compressed to, and that."""
        name = hashlib.sha256(data).digest()
        start, length, digest = self._known.get(name, (0, 0, b""))
        if digest:
            packed = os.pread(self._old, length, start)
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
        if self._old >= 0:
            os.close(self._old)
            self._old = -1
        entries.store(b"".join(self._rows), self._folder, self._key, files=MOST)
