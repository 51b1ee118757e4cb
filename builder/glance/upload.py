# SPDX-License-Identifier: MIT
"""The upload: look what is there, create, send, compare, and leave nothing behind when it fails."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Any

from builder.errors import BuildError, RemoteError
from builder.glance import comparison, source, uploader
from builder.glance.cloud import Answer
from builder.glance.decision import Decision, decide
from builder.glance.description import FIELDS, UPLOADER, Description
from builder.glance.images import RETRYABLE, Image, Images
from builder.glance.source import Body, LocalImage
from builder.glance.trouble import ConnectionLost
from builder.report import Report, Step
from builder.sizes import MIB

# Seconds until Glance has noticed that a connection broke, and put the image back to `queued`.
SETTLE = 15.0
# Seconds for a store to finish when all bytes have arrived but the answer was lost.
FINISH = 600.0


@dataclass(frozen=True, kw_only=True, slots=True)
class UploadResult:
    """How it ended: `uploaded` or `already there`, bytes sent, and what was compared."""

    result: str
    image: Image
    sent: int
    seconds: float
    compared: str

    def as_json(self, cloud: str) -> dict[str, Any]:
        """Return what `--json` prints."""
        image = {key: value for key, value in asdict(self.image).items() if key != "properties"}
        extra = {key: value for key, value in self.image.properties.items() if key not in FIELDS}
        return {
            "result": self.result,
            "cloud": cloud,
            "image": image,
            "properties": extra,
            "sent": self.sent,
            "seconds": round(self.seconds, 2),
            "compared": self.compared,
        }


def examine(local: LocalImage, description: Description, images: Images, report: Report) -> Decision:
    """Look at the cloud's images of this name and decide what to do; changes nothing.

    Raises:
        InputError: the same bytes seem to be there, but the file is not what its manifest says.
    """
    found = images.find(description.name)
    decision = _decide(local, description, found)
    if any(image.status == "saving" for image in decision.discard):
        # Killed a moment ago: Glance may not have noticed yet that the connection is gone.
        time.sleep(3.0)
        found = images.find(description.name)
        decision = _decide(local, description, found)
    if decision.finished is not None and local.has_manifest:
        with report.step("hash", f"{local.size / MIB:.1f} MiB against the manifest"):
            source.check_digests(local, source.compute_digests(local.path))
    return decision


def upload(
    local: LocalImage, description: Description, decision: Decision, images: Images, report: Report
) -> UploadResult:
    """Do what `decision` says.

    Raises:
        BuildError: another process is uploading these bytes.
        RemoteError: the cloud failed, or holds other bytes; nothing is left on it, or it is said what.
        InputError: the file is not what its manifest says; nothing is left on the cloud.
    """
    if decision.finished is not None:
        _tell_differences(decision.finished, description, report)
        compared = comparison.compare(decision.finished, local, local.digests, description.disk_format)
        return UploadResult(
            result="already there", image=decision.finished, sent=0, seconds=0.0, compared=compared
        )
    if decision.busy is not None:
        raise _busy(decision.busy, images.cloud.name)
    for image in decision.discard:
        report.note(f"deleting image {image.id}: an upload that was killed left it in {image.status}")
        images.delete(image.id)
    return _Transfer(local, description, images, report).run(decision.reuse)


class _Transfer:
    """One upload under way; `_image_id` is what has to go when it fails."""

    def __init__(self, local: LocalImage, description: Description, images: Images, report: Report) -> None:
        self._local = local
        self._images = images
        self._report = report
        marked = {**description.properties, UPLOADER: uploader.own_mark()}
        self._description = replace(description, properties=marked)
        self._image_id: str | None = None
        self._sent = 0

    def run(self, orphan: Image | None) -> UploadResult:
        """Create (or take over), send, compare; delete what there is when anything goes wrong."""
        begun = time.monotonic()
        try:
            self._claim(orphan)
            digests = self._send()
            image = self._wait_until_active()
            compared = comparison.compare(image, self._local, digests, self._description.disk_format)
        except BaseException:
            self._withdraw()
            raise
        if not compared.endswith(" equal"):
            self._report.warn(f"image {image.id}: {compared}")
        return UploadResult(
            result="uploaded",
            image=self._unmark(image),
            sent=self._sent,
            seconds=time.monotonic() - begun,
            compared=compared,
        )

    def _claim(self, orphan: Image | None) -> None:
        fields = self._description.fields()
        if orphan is None:
            # The id is ours before the request: whatever happens to the answer, we know what to delete.
            self._image_id = str(uuid.uuid4())
            self._images.create(self._image_id, fields)
            return
        self._report.note(f"using image {orphan.id} again: an upload that was killed left it")
        self._image_id = orphan.id
        self._images.patch(orphan.id, changes(orphan, fields))

    def _send(self) -> Mapping[str, str]:
        """Send the data until it has arrived; return the digests of what was sent."""
        attempt = 0
        while True:
            attempt += 1
            body, answer, problem = self._try()
            if problem is None:
                return body.digests
            if attempt > self._images.retries:
                raise RemoteError(
                    f"{problem}; given up after {attempt} tries",
                    hint="try again later: the network or the cloud is in trouble",
                )
            self._images.wait_before_retry(attempt, problem, answer)
            if self._settle(arrived=body.sent == self._local.size):
                return body.digests or self._local.digests

    def _try(self) -> tuple[Body, Answer | None, str | None]:
        """Send the data once; return what was sent, the answer, and the problem when it may pass."""
        assert self._image_id is not None
        cloud = self._images.cloud.name
        size = f"{self._local.size / MIB:.1f} MiB"
        answer: Answer | None = None
        with self._report.step("upload", f"{size} to {cloud}") as step:
            body = Body(self._local, _progress(step, self._local.size))
            try:
                answer = self._images.put(self._image_id, body)
            except ConnectionLost as error:
                problem = f"{error.message} after {body.sent} of {self._local.size} bytes"
            else:
                if 200 <= answer.status < 300:
                    self._sent += body.sent
                    step.detail = f"{size} to {cloud}, {body.sent / max(step.seconds, 1e-3) / 1e6:.0f} MB/s"
                    return body, answer, None
                failure = self._images.failure("upload", answer)
                if answer.status == 409:
                    # Somebody else sends to this image: it is not ours to delete.
                    self._image_id = None
                if answer.status not in RETRYABLE:
                    raise failure
                problem = failure.message
            self._sent += body.sent
            step.detail = f"{body.sent / MIB:.1f} of {size} to {cloud}"
        return body, answer, problem

    def _settle(self, *, arrived: bool) -> bool:
        """Make the image ready for another PUT; return True when it is active after all."""
        assert self._image_id is not None
        image = self._wait(FINISH if arrived else SETTLE)
        if image is not None and image.status == "active":
            return True
        if image is None or image.status != "queued":
            self._images.delete(self._image_id)
            self._image_id = str(uuid.uuid4())
            self._images.create(self._image_id, self._description.fields())
        return False

    def _wait_until_active(self) -> Image:
        image = self._wait(FINISH)
        if image is None or image.status != "active":
            status = image.status if image else "gone"
            raise RemoteError(
                f"cloud {self._images.cloud.name}: image {self._image_id} is {status} after the upload",
                hint="the cloud's administrators find the reason in Glance's log",
            )
        return image

    def _wait(self, seconds: float) -> Image | None:
        """Return the image when it is neither saving nor importing any more, or the time is over."""
        assert self._image_id is not None
        deadline = time.monotonic() + seconds
        while True:
            image = self._images.show(self._image_id)
            if image is None or image.status not in ("saving", "uploading", "importing"):
                return image
            if time.monotonic() > deadline:
                return image
            time.sleep(0.5)

    def _withdraw(self) -> None:
        if self._image_id is None:
            return
        self._report.note(f"deleting image {self._image_id} again")
        try:
            self._images.delete(self._image_id)
        except BuildError as error:
            self._report.warn(
                f"image {self._image_id} is left on the cloud and could not be deleted ({error.message}): "
                f"openstack image delete {self._image_id}"
            )

    def _unmark(self, image: Image) -> Image:
        """Take our mark away; the image is good with it, too."""
        if UPLOADER not in image.properties:
            return image
        try:
            return self._images.patch(image.id, [{"op": "remove", "path": f"/{UPLOADER}"}])
        except RemoteError as error:
            self._report.warn(f"image {image.id} keeps the property {UPLOADER}: {error.message}")
            return image


def changes(image: Image, fields: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the JSON patch that gives `image` these fields and properties and no others."""
    patch: list[dict[str, Any]] = []
    for name, value in fields.items():
        if name in FIELDS:
            # Base fields are always there; the formats cannot change once set, and need not.
            if image.properties.get(name) != value:
                patch.append({"op": "replace", "path": f"/{name}", "value": value})
        elif name not in image.properties:
            patch.append({"op": "add", "path": _pointer(name), "value": value})
        elif image.properties[name] != value:
            patch.append({"op": "replace", "path": _pointer(name), "value": value})
    stale = (name for name in image.properties if name not in FIELDS and name not in fields)
    # What begins with os_glance is the cloud's.
    patch += [{"op": "remove", "path": _pointer(name)} for name in stale if not name.startswith("os_glance")]
    return patch


def _decide(local: LocalImage, description: Description, found: tuple[Image, ...]) -> Decision:
    return decide(
        found,
        size=local.size,
        digests=local.digests,
        disk_format=description.disk_format,
        now=datetime.now(UTC),
    )


def _pointer(name: str) -> str:
    # RFC 6901: ~ and / have a meaning of their own.
    return "/" + name.replace("~", "~0").replace("/", "~1")


def _busy(image: Image, cloud: str) -> BuildError:
    mark = image.properties.get(UPLOADER, "")
    here = uploader.life_of(mark) is uploader.Life.ALIVE
    who = (
        f"process {uploader.pid_of(mark)} of this machine" if here else "another machine, or was killed there"
    )
    return BuildError(
        f"cloud {cloud}: image {image.id} with these bytes is being uploaded by {who} ({image.status})",
        hint=f"wait for it to end, or: openstack image delete {image.id}",
    )


def _tell_differences(image: Image, description: Description, report: Report) -> None:
    """Say what of the image that is there is not as it was asked for; nothing is changed."""
    wanted: dict[str, str | None] = {**description.properties, "visibility": description.visibility}
    for name, value in wanted.items():
        there = image.properties.get(name)
        if value is not None and there != value:
            report.warn(f"image {image.id}: {name} is {there or 'not set'} there, not {value}; left as it is")


def _progress(step: Step, size: int) -> Callable[[int], None]:
    shown = 0.0

    def show(sent: int) -> None:
        nonlocal shown
        if step.seconds - shown < 0.1:
            return
        shown = step.seconds
        rate = sent / max(step.seconds, 1e-3) / 1e6
        step.progress(
            f"{100 * sent // max(size, 1)}%  {sent / MIB:.0f} of {size / MIB:.0f} MiB  {rate:.0f} MB/s"
        )

    return show
