# SPDX-License-Identifier: MIT
"""What to do about the images of this name that the cloud has already. Pure: data in, decision out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from builder.glance import uploader
from builder.glance.description import MADE_FROM, SHA256, UPLOADER
from builder.glance.images import CloudImage
from builder.glance.uploader import Life

UNFINISHED = ("queued", "saving")


@dataclass(frozen=True, kw_only=True, slots=True)
class Decision:
    """What to do; the first of these that is set counts.

    finished: an active image with these very bytes: nothing is sent.
    busy: another process uploads these bytes now: nothing is done.
    reuse: the orphan of a killed run: its id gets the data.
    discard: orphans that cannot be given data (again), to be deleted in either case.

    Besides, for a word of warning: `alike` have these bytes and cannot be used as they are (hidden,
    deactivated), `others` have the name and other bytes.
    """

    finished: CloudImage | None = None
    busy: CloudImage | None = None
    reuse: CloudImage | None = None
    discard: tuple[CloudImage, ...] = ()
    alike: tuple[CloudImage, ...] = ()
    others: tuple[CloudImage, ...] = ()


def is_same(
    image: CloudImage, size: int, digests: Mapping[str, str], disk_format: str, made_from: str | None = None
) -> bool:
    """Return whether the image has these bytes, as far as the cloud's own hash shows.

    One that we converted ourselves, from the file `made_from` (its sha256), is known by that.
    """
    if image.status not in ("active", "deactivated"):
        return False
    if made_from is not None and image.disk_format == disk_format and UPLOADER not in image.properties:
        return image.properties.get(MADE_FROM) == made_from
    if image.disk_format != disk_format:
        # Converted by the cloud: it is known only by what it was made from, once its upload was over.
        return image.properties.get(SHA256) == digests["sha256"] and UPLOADER not in image.properties
    if image.size != size:
        return False
    if image.hash_algorithm and image.hash_algorithm in digests:
        return image.hash_value == digests[image.hash_algorithm]
    # A cloud before Rocky, or one with another algorithm: md5 is what it has.
    return image.checksum is not None and image.checksum == digests.get("md5")


def decide(
    images: Sequence[CloudImage],
    *,
    size: int,
    digests: Mapping[str, str],
    disk_format: str,
    now: datetime,
    hidden: Sequence[CloudImage] = (),
    made_from: str | None = None,
    accept_hidden: bool = False,
    life_of: Callable[[str], Life] = uploader.life_of,
) -> Decision:
    """Decide about `images`, all of our name and owner, for a file of `size` with `digests`.

    Images of other bytes are none of our business: they stay. `hidden` are hidden ones that nobody asks for;
    with `accept_hidden` one of `images` is as good when it is hidden.
    """
    same = [image for image in (*images, *hidden) if is_same(image, size, digests, disk_format, made_from)]
    usable = [each for each in same if each.status == "active" and (accept_hidden or not each.hidden)]
    finished = next((each for each in usable if each in images), None)
    if finished is not None:
        return Decision(finished=finished)
    orphans: list[CloudImage] = []
    for image in images:
        if image.properties.get(SHA256) != digests["sha256"]:
            continue
        life = life_of(image.properties.get(UPLOADER, ""))
        if image.status in UNFINISHED:
            if life is Life.UNKNOWN and uploader.is_abandoned(image.status, image.updated_at, now):
                life = Life.DEAD
            if life is not Life.DEAD:
                return Decision(busy=image)
        # Any other status with the mark of a dead process: killed after the data had arrived, before
        # the hash, which differs, was compared.
        if life is Life.DEAD:
            orphans.append(image)
    reuse = next((image for image in orphans if image.status == "queued"), None)
    known = (*orphans, *same)
    return Decision(
        reuse=reuse,
        discard=tuple(image for image in orphans if image is not reuse),
        alike=tuple(image for image in same if image not in orphans),
        others=tuple(image for image in images if image not in known and image.status == "active"),
    )
