# SPDX-License-Identifier: MIT
"""Rotation: a new image takes the name of the one before, which is renamed with its date and hidden.

The new image arrives under a name of its own, hidden, and is compared. Then come two changes that belong
together: the old image gives its name up, the new one takes it. They are made by a process that outlives us,
so that nothing but a crash of the machine comes between; if the second fails, the first is undone. Properties
of ours show the next run which is which:

- `openstack_utils_incoming`: the name that a hidden, new image is going to take;
- `openstack_utils_rotated`: the name that a hidden, old image once had.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from builder.errors import RemoteError
from builder.glance import uploader
from builder.glance.description import OURS, UPLOADER, Description
from builder.glance.images import CloudImage, Images
from builder.glance.patches import remove_properties, set_fields, set_property
from builder.outliving import outlive
from builder.report import Report

INCOMING = OURS + "incoming"
ROTATED = OURS + "rotated"
FINISHED = ("active", "deactivated")


@dataclass(frozen=True, kw_only=True, slots=True)
class Namesakes:
    """The images of one name: those that have it, those that are to take it, those that had it."""

    name: str
    current: tuple[CloudImage, ...]
    incoming: tuple[CloudImage, ...]
    rotated: tuple[CloudImage, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class KeptImage:
    """An old image beyond the number to keep that is still there, and why."""

    image: CloudImage
    reason: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Rotated:
    """What became of the old images."""

    renamed: tuple[CloudImage, ...] = ()
    deleted: tuple[CloudImage, ...] = ()
    kept: tuple[KeptImage, ...] = ()


def find_family(name: str, images: Images, *, owner: str | None = None) -> Namesakes:
    """Return the images of a name, as the cloud has them now."""
    return Namesakes(
        name=name,
        current=images.find(name, owner=owner),
        incoming=images.find_marked(INCOMING, name, owner=owner),
        rotated=images.find_marked(ROTATED, name, owner=owner),
    )


def arriving(description: Description) -> Description:
    """Return how the new image is described until it takes the name."""
    return replace(
        description,
        name=f"{description.name} (incoming)",
        hidden=True,
        # A member or an administrator must be able to delete it again.
        protected=False,
        properties={**description.properties, INCOMING: description.name},
    )


def beyond(images: Sequence[CloudImage], keep: int) -> tuple[CloudImage, ...]:
    """Return the old images beyond the newest `keep`, the oldest first."""
    ordered = sorted(images, key=lambda image: (image.created_at, image.id), reverse=True)
    return tuple(reversed(ordered[keep:]))


def dated(image: CloudImage, name: str) -> str:
    """Return what an old image is called: its name, and when it was made."""
    day, _, clock = image.created_at.removesuffix("Z").partition("T")
    return f"{name} ({' '.join(filter(None, (day, clock))) or image.id})"


def complete(family: Namesakes, images: Images, report: Report) -> Namesakes:
    """Give the name to the image that was to take it when a run was killed between the two changes.

    Only a machine that crashed leaves that: no image has the name, and an old one has given it up.
    """
    waiting = [image for image in family.incoming if image.status == "active"]
    if family.current or not family.rotated or not waiting:
        return family
    newest = max(waiting, key=lambda image: image.created_at)
    report.note(f"image {newest.id} takes the name {family.name}: an interrupted run left it without")
    _take_name(newest, family.name, images, hidden=False, protected=False)
    return find_family(family.name, images)


def rotate(
    new: CloudImage, description: Description, family: Namesakes, keep: int, images: Images, report: Report
) -> Rotated:
    """Let `new` take the name, rename and hide whoever bore it, delete the oldest beyond `keep`.

    Raises:
        RemoteError: the name could not be handed over; the image before still has it.
    """
    # One that is queued or saving is somebody's upload, under way.
    others = [each for each in family.current if each.id != new.id and each.status in FINISHED]
    old = sorted(others, key=lambda image: image.created_at)
    # All but the newest are none that anybody means by the name: they can go one by one.
    for image in old[:-1]:
        _give_name_up(image, family.name, images)
    if new.name != family.name or new.hidden or old:
        _hand_over(old[-1:], new, description, images)
    for image in old:
        report.note(f"image {image.id} is {dated(image, family.name)} now, and hidden")
    for image in family.incoming:
        if image.id == new.id or not uploader.is_dead(
            image.properties.get(UPLOADER, ""), image.status, image.updated_at
        ):
            continue
        report.note(f"deleting image {image.id}: an upload that was killed left it")
        images.delete(image.id)
    deleted, kept = _prune((*family.rotated, *old), keep, images, report)
    return Rotated(renamed=tuple(old), deleted=deleted, kept=kept)


def _hand_over(old: Sequence[CloudImage], new: CloudImage, description: Description, images: Images) -> None:
    def work() -> None:
        # A connection has two ends and one owner: the child makes its own.
        images.cloud.forget_connections()
        for image in old:
            _give_name_up(image, description.name, images)
        _take_name(new, description.name, images, hidden=description.hidden, protected=description.protected)

    if outlive(work):
        return
    # What went wrong is found out by doing the rest here: each step may be done twice.
    try:
        for image in old:
            _give_name_up(_now(image, images), description.name, images)
        _take_name(
            _now(new, images), description.name, images, hidden=description.hidden,
            protected=description.protected,
        )  # fmt: skip
    except RemoteError:
        for image in old:
            again = _now(image, images)
            images.patch(
                image.id,
                [*set_fields(name=description.name, os_hidden=False), *remove_properties(again, ROTATED)],
            )
        raise


def _now(image: CloudImage, images: Images) -> CloudImage:
    return images.show(image.id) or image


def _give_name_up(image: CloudImage, name: str, images: Images) -> None:
    patch = [*set_fields(name=dated(image, name), os_hidden=True), set_property(image, ROTATED, name)]
    images.patch(image.id, patch)


def _take_name(image: CloudImage, name: str, images: Images, *, hidden: bool, protected: bool) -> None:
    fields = set_fields(name=name, os_hidden=hidden) + (set_fields(protected=True) if protected else [])
    images.patch(image.id, [*fields, *remove_properties(image, INCOMING, UPLOADER, ROTATED)])


def _prune(
    candidates: Sequence[CloudImage], keep: int, images: Images, report: Report
) -> tuple[tuple[CloudImage, ...], tuple[KeptImage, ...]]:
    deleted, kept = [], []
    for image in beyond(candidates, keep):
        reason = _why_keep(image, images)
        if reason is None:
            reason = images.delete_unused(image.id)
        if reason is None:
            report.note(f"image {image.id} of {image.created_at} is deleted: {keep} are kept")
            deleted.append(image)
        else:
            report.note(f"image {image.id} of {image.created_at} is kept: {reason}")
            kept.append(KeptImage(image=image, reason=reason))
    return tuple(deleted), tuple(kept)


def _why_keep(image: CloudImage, images: Images) -> str | None:
    if image.protected:
        return "it is protected"
    if images.cloud.compute is None:
        return None
    used = images.is_used(image.id)
    if used is None:
        return "Nova does not say whether a server uses it"
    return "a server uses it" if used else None
