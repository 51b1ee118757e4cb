# SPDX-License-Identifier: MIT
"""One upload under way: create, send, have it imported, wait, compare; or leave nothing."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace

from builder.errors import BuildError, RemoteError
from builder.glance import comparison, uploader
from builder.glance.cloud import Answer
from builder.glance.description import UPLOADER, Description
from builder.glance.images import RETRYABLE, CloudImage, Images
from builder.glance.patches import changes
from builder.glance.source import Body, LocalImage
from builder.glance.trouble import ConnectionLost
from builder.report import Report, Step
from builder.sizes import MIB

# Seconds until Glance has noticed that a connection broke, and put the image back to `queued`.
SETTLE = 15.0
# Seconds for the cloud to finish when all bytes have arrived: it hashes, copies into a store, converts.
FINISH = 600.0
# Seconds between two lines of progress where there is no terminal.
NEWS = 30.0
BETWEEN = ("saving", "uploading", "importing")


@dataclass(frozen=True, kw_only=True, slots=True)
class Way:
    """How the data gets into the cloud.

    `method` is None for a plain PUT, else the method of an import: `glance-direct` or `web-download`, which
    has the cloud itself fetch the data from `uri`. `wait` are the seconds for the cloud to finish.
    """

    method: str | None = None
    uri: str | None = None
    store: str | None = None
    wait: float = FINISH


class Cancelled(BuildError):
    """Another upload of the same run was interrupted."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Transferred:
    """An image that is active, its bytes compared; `sent` bytes went over the wire, retries counted."""

    image: CloudImage
    sent: int
    seconds: float
    compared: str


class Transfer:
    """One upload under way; `_image_id` is what has to go when it fails."""

    def __init__(
        self,
        local: LocalImage,
        description: Description,
        images: Images,
        report: Report,
        *,
        way: Way | None = None,
        cancelled: threading.Event | None = None,
    ) -> None:
        self._way = way or Way()
        self._cancelled = cancelled or threading.Event()
        self._local = local
        self._images = images
        self._report = report
        marked = {**description.properties, UPLOADER: uploader.own_mark()}
        self._description = replace(description, properties=marked)
        self._image_id: str | None = None
        self._sent = 0

    def run(self, orphan: CloudImage | None) -> Transferred:
        """Create (or take over), send, compare; delete what there is when anything goes wrong."""
        begun = time.monotonic()
        try:
            self._claim(orphan)
            digests = self._local.digests if self._way.method == "web-download" else self._send()
            if self._way.method is not None:
                self._import()
            image = self._wait_until_active()
            compared = comparison.compare(image, self._local, digests, self._description.disk_format)
        except BaseException:
            self._withdraw()
            raise
        if not compared.endswith(" equal"):
            self._report.warn(f"image {image.id}: {compared}")
        return Transferred(image=image, sent=self._sent, seconds=time.monotonic() - begun, compared=compared)

    def _import(self) -> None:
        assert self._image_id is not None
        assert self._way.method is not None
        method = {"name": self._way.method} | ({"uri": self._way.uri} if self._way.uri else {})
        self._images.start_import(self._image_id, method, store=self._way.store)

    def _claim(self, orphan: CloudImage | None) -> None:
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
                    hint="try again later: the network or the cloud has a problem",
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
            body = Body(self._local, self._progress(step))
            try:
                with self._news(lambda: body.sent == self._local.size, f"{cloud} to take what was sent"):
                    answer = self._images.put(
                        self._image_id, body, stage=self._way.method is not None,
                        store=None if self._way.method else self._way.store, timeout=self._way.wait,
                    )  # fmt: skip
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
        image = self._wait(self._way.wait if arrived else SETTLE)
        if image is not None and image.status == "active":
            return True
        if image is None or image.status != "queued":
            self._images.delete(self._image_id)
            self._image_id = str(uuid.uuid4())
            self._images.create(self._image_id, self._description.fields())
        return False

    def _wait_until_active(self) -> CloudImage:
        image = self._wait(self._way.wait)
        cloud = self._images.cloud.name
        if image is None or image.status != "active":
            status = image.status if image else "gone"
            said = self._images.task_of(self._image_id or "") if image and self._way.method else None
            hint = "the cloud's administrators find the reason in Glance's log"
            if image and image.status in BETWEEN:
                hint = f"--wait SECONDS waits longer than {self._way.wait:.0f} s"
            raise RemoteError(
                f"cloud {cloud}: image {self._image_id} is {status} after the upload"
                + (f" (its task: {said})" if said else ""),
                hint=hint,
            )
        return image

    def _wait(self, seconds: float) -> CloudImage | None:
        """Return the image when the cloud is through with it, or the time is over; say what is waited for."""
        assert self._image_id is not None
        begun = reported = time.monotonic()
        importing = self._way.method is not None
        while True:
            image = self._images.show(self._image_id)
            # An import that has failed, or not begun, is in the state from before it.
            busy = BETWEEN + (("queued",) if importing else ())
            if image is None or image.status not in busy:
                return image
            now = time.monotonic()
            if now - begun > seconds:
                return image
            text = f"waiting for {self._images.cloud.name}: the image is {image.status}"
            if importing:
                task = self._images.task_of(self._image_id)
                text += f", its task {task}" if task else ""
                if task and task.startswith("failure"):
                    return image
            self._report.transient(f"{text}, {now - begun:.0f} s")
            if now - reported >= NEWS:
                reported = now
                self._report.note(f"{text}, {now - begun:.0f} s so far")
            if self._cancelled.wait(0.5):
                raise Cancelled("interrupted")

    @contextmanager
    def _news(self, when: Callable[[], bool], what: str) -> Iterator[None]:
        """While the block runs, say now and then that it waits for `what`, as soon as `when()`."""
        ended = threading.Event()

        def show() -> None:
            waited = 0.0
            while not ended.wait(1.0):
                waited = waited + 1.0 if when() else 0.0
                if waited:
                    self._report.transient(f"waiting for {what}, {waited:.0f} s")
                if waited and waited % NEWS == 0:
                    self._report.note(f"waiting for {what}, {waited:.0f} s so far")

        reporter = threading.Thread(target=show, daemon=True)
        reporter.start()
        try:
            yield
        finally:
            ended.set()
            reporter.join()

    def _progress(self, step: Step) -> Callable[[int], None]:
        shown = 0.0
        size = self._local.size

        def show(sent: int) -> None:
            nonlocal shown
            if self._cancelled.is_set():
                raise Cancelled("interrupted")
            if step.seconds - shown < 0.1:
                return
            shown = step.seconds
            rate = sent / max(step.seconds, 1e-3) / 1e6
            step.progress(
                f"{100 * sent // max(size, 1)}%  {sent / MIB:.0f} of {size / MIB:.0f} MiB  {rate:.0f} MB/s"
            )

        return show

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
