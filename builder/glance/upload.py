# SPDX-License-Identifier: MIT
"""The upload: look what is there, decide, send or not, share, rotate."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from builder.errors import BuildError, RemoteError
from builder.glance import comparison, rotation, source, uploader
from builder.glance.decision import Decision, decide
from builder.glance.description import FIELDS, UPLOADER, Description
from builder.glance.images import CloudImage, Images
from builder.glance.patches import remove_properties
from builder.glance.rotation import Namesakes, Rotated
from builder.glance.source import LocalImage
from builder.glance.transfer import Transfer, Way
from builder.report import Report
from builder.sizes import MIB


@dataclass(frozen=True, kw_only=True, slots=True)
class UploadResult:
    """How it ended: `uploaded` or `already there`, bytes sent, and what was compared."""

    result: str
    image: CloudImage
    sent: int
    seconds: float
    compared: str
    rotated: Rotated | None = None

    def as_json(self, cloud: str) -> dict[str, Any]:
        """Return what `--json` prints."""
        image = {key: value for key, value in asdict(self.image).items() if key != "properties"}
        extra = {key: value for key, value in self.image.properties.items() if key not in FIELDS}
        shown = {
            "result": self.result,
            "cloud": cloud,
            "image": image,
            "properties": extra,
            "sent": self.sent,
            "seconds": round(self.seconds, 2),
            "compared": self.compared,
        }
        if self.rotated is not None:
            shown["rotated"] = {
                "renamed": [image.id for image in self.rotated.renamed],
                "deleted": [image.id for image in self.rotated.deleted],
                "kept": [{"id": kept.image.id, "reason": kept.reason} for kept in self.rotated.kept],
            }
        return shown


@dataclass(frozen=True, kw_only=True, slots=True)
class UploadRequest:
    """What is to be on the cloud, and how it gets there.

    `keep` are the old images that a rotation keeps, None without a rotation; `members` the projects that the
    image is shared with.
    """

    description: Description
    way: Way = field(default_factory=Way)
    keep: int | None = None
    members: tuple[str, ...] = ()

    @property
    def arriving(self) -> Description:
        """How the image is described while it arrives."""
        return self.description if self.keep is None else rotation.arriving(self.description)


@dataclass(frozen=True, kw_only=True, slots=True)
class Situation:
    """What the cloud has, and what is to be done about it; `family` with a rotation only."""

    decision: Decision
    family: Namesakes | None = None


def examine(local: LocalImage, wanted: UploadRequest, images: Images, report: Report) -> Situation:
    """Look at the cloud's images of this name and decide what to do; changes nothing.

    Raises:
        InputError: the same bytes seem to be there, but the file is not what its manifest says.
    """
    situation = _look(local, wanted, images)
    if any(image.status == "saving" for image in situation.decision.discard):
        # Killed a moment ago: Glance may not have noticed yet that the connection is gone.
        time.sleep(3.0)
        situation = _look(local, wanted, images)
    if situation.decision.finished is not None and local.has_manifest:
        with report.step("hash", f"{local.size / MIB:.1f} MiB against the manifest"):
            source.check_digests(local, source.compute_digests(local.path, source.SENT))
    return situation


def _look(local: LocalImage, wanted: UploadRequest, images: Images) -> Situation:
    name, owner = wanted.description.name, wanted.description.owner
    if wanted.keep is not None:
        family = rotation.find_family(name, images, owner=owner)
        decision = _decide(local, wanted, (*family.current, *family.incoming), hidden=family.rotated)
        return Situation(decision=decision, family=family)
    listed, hidden = images.find(name, owner=owner), images.find(name, owner=owner, hidden=True)
    if wanted.description.hidden:
        return Situation(decision=_decide(local, wanted, (*listed, *hidden)))
    return Situation(decision=_decide(local, wanted, listed, hidden=hidden))


def upload(
    local: LocalImage,
    wanted: UploadRequest,
    situation: Situation,
    images: Images,
    report: Report,
    *,
    cancelled: threading.Event | None = None,
) -> UploadResult:
    """Do what was decided.

    Args:
        cancelled: set by somebody else, it ends the upload, of which nothing is left.

    Raises:
        BuildError: another process is uploading these bytes.
        RemoteError: the cloud failed, or holds other bytes; nothing is left on it, or it is said what.
        InputError: the file is not what its manifest says; nothing is left on the cloud.
    """
    decision, family = situation.decision, situation.family
    if decision.busy is not None:
        raise _busy(decision.busy, images.cloud.name)
    _warn(decision, wanted, report)
    if family is not None:
        family = rotation.complete(family, images, report)
    if decision.finished is not None:
        _tell_differences(decision.finished, wanted.description, report)
        compared = comparison.SAME_SOURCE
        if local.made_from is None:
            compared = comparison.compare(
                decision.finished, local, local.digests, wanted.description.disk_format
            )
        result = UploadResult(
            result="already there", image=decision.finished, sent=0, seconds=0.0, compared=compared
        )
    else:
        for image in decision.discard:
            report.note(f"deleting image {image.id}: an upload that was killed left it in {image.status}")
            images.delete(image.id)
        transfer = Transfer(local, wanted.arriving, images, report, way=wanted.way, cancelled=cancelled)
        done = transfer.run(decision.reuse)
        result = UploadResult(
            result="uploaded", image=done.image, sent=done.sent, seconds=done.seconds, compared=done.compared
        )
        if family is not None:
            # While the data was under way, another run may have changed what is there.
            family = rotation.find_family(wanted.description.name, images, owner=wanted.description.owner)
    for project in wanted.members:
        images.share(result.image.id, project)
    if family is None or wanted.keep is None:
        return replace(result, image=_unmark(result.image, images, report))
    rotated = rotation.rotate(result.image, wanted.description, family, wanted.keep, images, report)
    return replace(result, image=images.show(result.image.id) or result.image, rotated=rotated)


def _warn(decision: Decision, wanted: UploadRequest, report: Report) -> None:
    """Say what else the cloud has that a user may not expect."""
    for image in decision.alike:
        if image.status == "deactivated":
            report.warn(f"image {image.id} has these bytes and is deactivated; they are sent again")
        elif wanted.keep is None or image.id not in {each.id for each in decision.discard}:
            report.warn(
                f"image {image.id} has these bytes and is hidden; they are sent again "
                f"(openstack image set --unhidden {image.id} shows it)"
            )
    if decision.others and wanted.keep is None:
        ids = ", ".join(image.id for image in decision.others)
        report.warn(
            f"the name {wanted.description.name} is also used by images with other bytes: {ids}; "
            "--rotate KEEP hands the name over"
        )


def _unmark(image: CloudImage, images: Images, report: Report) -> CloudImage:
    """Take our mark away; the image is good with it, too."""
    if UPLOADER not in image.properties:
        return image
    try:
        return images.patch(image.id, remove_properties(image, UPLOADER))
    except RemoteError as error:
        report.warn(f"image {image.id} keeps the property {UPLOADER}: {error.message}")
        return image


def _decide(
    local: LocalImage,
    wanted: UploadRequest,
    found: Sequence[CloudImage],
    *,
    hidden: Sequence[CloudImage] = (),
) -> Decision:
    return decide(
        found,
        size=local.size,
        digests=local.digests,
        disk_format=wanted.description.disk_format,
        now=datetime.now(UTC),
        hidden=hidden,
        made_from=local.made_from,
        accept_hidden=wanted.keep is not None or wanted.description.hidden,
    )


def _busy(image: CloudImage, cloud: str) -> BuildError:
    mark = image.properties.get(UPLOADER, "")
    here = uploader.life_of(mark) is uploader.Life.ALIVE
    who = (
        f"process {uploader.pid_of(mark)} of this machine" if here else "another machine, or was killed there"
    )
    return BuildError(
        f"cloud {cloud}: image {image.id} with these bytes is being uploaded by {who} ({image.status})",
        hint=f"wait for it to end, or: openstack image delete {image.id}",
    )


def _tell_differences(image: CloudImage, description: Description, report: Report) -> None:
    """Say what of the image that is there is not as it was asked for; nothing is changed."""
    wanted: dict[str, str | None] = {**description.properties, "visibility": description.visibility}
    for name, value in wanted.items():
        there = image.properties.get(name)
        if value is not None and there != value:
            report.warn(f"image {image.id}: {name} is {there or 'not set'} there, not {value}; left as it is")
