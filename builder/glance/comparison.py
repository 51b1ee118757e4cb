# SPDX-License-Identifier: MIT
"""Whether the cloud holds the bytes that were sent. Pure, but for a second reading in a rare case."""

from __future__ import annotations

from collections.abc import Mapping

from builder import files
from builder.digesting import new_digest
from builder.errors import RemoteError
from builder.glance.images import CloudImage
from builder.glance.source import LocalImage

CONVERTED = "converted by the cloud, not compared"
SAME_SOURCE = "converted from the same file"
NO_HASH = "the cloud gives no hash, not compared"


def compare(image: CloudImage, source: LocalImage, digests: Mapping[str, str], disk_format: str) -> str:
    """Compare the cloud's hash of `image` with `digests` of the bytes that were sent.

    Returns:
        what was compared, `sha512 equal` for instance, or why nothing could be: a cloud whose
        import converts images has the hash of other bytes, which shows in the disk format.

    Raises:
        RemoteError: the cloud holds other bytes.
    """
    if image.disk_format != disk_format:
        return CONVERTED
    if image.size is not None and image.size != source.size:
        raise RemoteError(
            f"image {image.id}: the cloud holds {image.size} bytes, {source.size} were sent", hint=_HINT
        )
    algorithm = image.hash_algorithm
    if algorithm and image.hash_value:
        if algorithm not in digests and _is_known(algorithm):
            digests = {algorithm: files.digests_of_file(source.path, algorithm)[0]}
        if algorithm in digests:
            return _judge(image, algorithm, image.hash_value, digests[algorithm])
    if image.checksum and "md5" in digests:
        return _judge(image, "md5", image.checksum, digests["md5"])
    return NO_HASH


def _is_known(algorithm: str) -> bool:
    """Return whether we can compute it; a SHAKE hash has a length that Glance does not state."""
    try:
        return new_digest(algorithm).digest_size > 0
    except ValueError:
        return False


_HINT = "something between here and the store changes the data: try again, or another way to the cloud"


def _judge(image: CloudImage, algorithm: str, theirs: str, ours: str) -> str:
    if theirs != ours:
        raise RemoteError(
            f"image {image.id}: the {algorithm} of the cloud is {theirs[:16]}..., "
            f"the digest of the bytes sent {ours[:16]}...",
            hint=_HINT,
        )
    return f"{algorithm} equal"
