# SPDX-License-Identifier: MIT
"""Glance's image API, version 2: the six requests that an upload needs, with retries where they are safe."""

from __future__ import annotations

import time
import urllib.parse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from builder.errors import RemoteError
from builder.glance.cloud import Answer, Cloud
from builder.glance.source import Body
from builder.glance.trouble import ConnectionLost
from builder.report import Report

PATCH_TYPE = "application/openstack-images-v2.1-json-patch"
# Busy, overloaded, or a proxy in between that lost its server: another try may do.
RETRYABLE = (408, 429, 500, 502, 503, 504)
# Seconds for the answer to a PUT: a slow store copies the data before it answers.
DATA_TIMEOUT = 600.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Image:
    """An image as the cloud describes it; `properties` are all that are strings and no field of ours."""

    id: str
    name: str
    status: str
    visibility: str
    size: int | None
    disk_format: str | None
    checksum: str | None
    hash_algorithm: str | None
    hash_value: str | None
    updated_at: str
    properties: Mapping[str, str]


class Images:
    """The images of one cloud.

    Args:
        cloud: the session.
        report: told about every retry.
        retries: how often a request is tried again.
    """

    def __init__(self, cloud: Cloud, report: Report, *, retries: int = 3) -> None:
        self.cloud = cloud
        self.retries = retries
        self._report = report

    def find(self, name: str) -> tuple[Image, ...]:
        """Return the project's own images of this name, hidden ones excepted."""
        # Glance takes a name that begins with `in:` for a list of names.
        asked = f'in:"{name}"' if name.startswith("in:") else name
        query = urllib.parse.urlencode({"name": asked, "owner": self.cloud.project_id})
        path: str | None = f"/images?{query}"
        found: list[Image] = []
        while path:
            what = f"list images called {name}"
            answer = self._send(what, "GET", path, ok=(200,))
            page = self._mapping(what, answer)
            rows, following = page.get("images"), page.get("next")
            if not isinstance(rows, list) or not isinstance(following, str | None):
                raise self._foreign(what)
            found += [self._parse(what, row) for row in rows]
            path = following.removeprefix("/v2") if following else None
        return tuple(image for image in found if image.name == name)

    def create(self, image_id: str, fields: Mapping[str, Any]) -> Image:
        """Create an image under an id of our choice, so that a lost answer can be asked for again."""
        answer = self._send(
            "create the image", "POST", "/images", body={"id": image_id, **fields}, ok=(201, 409)
        )
        if answer.status == 409:
            image = self.show(image_id)
            if image is None:
                raise self.failure("create the image", answer)
            return image
        return self._parse("create the image", answer.value)

    def show(self, image_id: str) -> Image | None:
        """Return the image; None: there is none."""
        what = f"show image {image_id}"
        answer = self._send(what, "GET", f"/images/{image_id}", ok=(200, 404))
        return self._parse(what, answer.value) if answer.status == 200 else None

    def patch(self, image_id: str, changes: Sequence[Mapping[str, Any]]) -> Image:
        """Change fields and properties (JSON patch)."""
        answer = self._send(
            f"change image {image_id}",
            "PATCH",
            f"/images/{image_id}",
            body=list(changes),
            content_type=PATCH_TYPE,
            ok=(200,),
        )
        return self._parse(f"change image {image_id}", answer.value)

    def delete(self, image_id: str) -> None:
        """Delete the image; one that is not there is as good as deleted."""
        self._send(f"delete image {image_id}", "DELETE", f"/images/{image_id}", ok=(204, 404))

    def put(self, image_id: str, body: Body) -> Answer:
        """Send the data, once; the caller looks at the answer.

        Raises:
            ConnectionLost: it broke on the way; Glance puts the image back to `queued` then.
        """
        return self.cloud.request(
            "PUT",
            f"/images/{image_id}/file",
            data=body,
            content_type="application/octet-stream",
            timeout=DATA_TIMEOUT,
        )

    def failure(self, what: str, answer: Answer) -> RemoteError:
        """Return the error for an answer that was not hoped for."""
        hints = {
            401: "the session ended: check the credentials, and try again",
            403: "the project or the role may not do this: leave out --visibility, or ask an administrator",
            404: "check the image endpoint of the cloud",
            409: "another process works on this image: wait for it to end",
            413: "over a quota of the cloud: delete images, or ask for more",
            415: "Glance checks what is in an image: see qemu-img check and qemu-img info",
        }
        hint = hints.get(answer.status)
        if answer.status in RETRYABLE:
            hint = "the cloud is in trouble: try again later"
        reason = f": {answer.reason}" if answer.reason else ""
        return RemoteError(f"cloud {self.cloud.name}: {what}: HTTP {answer.status}{reason}", hint=hint)

    def _mapping(self, what: str, answer: Answer) -> Mapping[str, Any]:
        if not isinstance(answer.value, dict):
            raise self._foreign(what)
        return answer.value

    def _parse(self, what: str, value: object) -> Image:
        try:
            return parse(value)
        except ValueError as error:
            raise self._foreign(f"{what}: {error}") from error

    def _foreign(self, what: str) -> RemoteError:
        return RemoteError(
            f"cloud {self.cloud.name}: {what}: the answer is not one of the Image API "
            f"({self.cloud.endpoint})",
            hint="is something between here and Glance answering (a proxy, a login page)? "
            "check the image endpoint of the cloud",
        )

    def wait_before_retry(self, attempt: int, problem: str, answer: Answer | None = None) -> None:
        """Say what went wrong, and that it is tried again; then wait longer each time."""
        seconds = min(2.0 ** (attempt - 1), 30.0)
        after = answer.headers.get("retry-after", "") if answer else ""
        if after.isdigit():
            seconds = min(float(after), 60.0)
        self._report.warn(f"{problem}; trying again in {seconds:.0f} s ({attempt} of {self.retries})")
        time.sleep(seconds)

    def _send(self, what: str, method: str, path: str, *, ok: Sequence[int], **arguments: Any) -> Answer:
        attempt = 0
        while True:
            attempt += 1
            answer: Answer | None = None
            try:
                answer = self.cloud.request(method, path, **arguments)
            except ConnectionLost as error:
                if attempt > self.retries:
                    raise
                problem = error.message
            else:
                if answer.status in ok:
                    return answer
                if answer.status not in RETRYABLE or attempt > self.retries:
                    raise self.failure(what, answer)
                problem = self.failure(what, answer).message
            self.wait_before_retry(attempt, problem, answer)


def parse(value: object) -> Image:
    """Turn the API's JSON into an Image.

    A hash is taken as it comes; only what an image cannot be without has to be there.

    Raises:
        ValueError: it is not an image, naming the field.
    """
    if not isinstance(value, dict):
        raise ValueError("not an object")
    for name in ("id", "status"):
        if not isinstance(value.get(name), str):
            raise ValueError(f"{name} is missing")

    def text(name: str) -> str | None:
        found = value.get(name)
        return found if isinstance(found, str) else None

    size = value.get("size")
    return Image(
        id=value["id"],
        name=text("name") or "",
        status=value["status"],
        visibility=text("visibility") or "",
        size=size if isinstance(size, int) else None,
        disk_format=text("disk_format"),
        checksum=text("checksum"),
        hash_algorithm=text("os_hash_algo"),
        hash_value=text("os_hash_value"),
        updated_at=text("updated_at") or "",
        properties={key: item for key, item in value.items() if isinstance(item, str)},
    )
