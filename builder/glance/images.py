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
class CloudImage:
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
    created_at: str = ""
    hidden: bool = False
    protected: bool = False
    tags: tuple[str, ...] = ()


class Images:
    """The images of one cloud.

    Args:
        cloud: the session.
        report: shows every retry.
        retries: how often a request is tried again.
    """

    def __init__(self, cloud: Cloud, report: Report, *, retries: int = 3) -> None:
        self.cloud = cloud
        self.retries = retries
        self._report = report

    def find(self, name: str, *, owner: str | None = None, hidden: bool = False) -> tuple[CloudImage, ...]:
        """Return the project's own images of this name: those that are listed, or those that are hidden.

        Args:
            owner: another project, whose images they are.
        """
        # Glance takes a name that begins with `in:` for a list of names.
        asked = f'in:"{name}"' if name.startswith("in:") else name
        query = {"name": asked, "owner": owner or self.cloud.project_id, "os_hidden": str(hidden).lower()}
        return tuple(image for image in self._list(f"list images called {name}", query) if image.name == name)

    def find_marked(self, key: str, value: str, *, owner: str | None = None) -> tuple[CloudImage, ...]:
        """Return the project's hidden images that have this property."""
        query = {key: value, "owner": owner or self.cloud.project_id, "os_hidden": "true"}
        found = self._list(f"list images with {key}", query)
        return tuple(image for image in found if image.properties.get(key) == value)

    def _list(self, what: str, query: Mapping[str, str]) -> list[CloudImage]:
        path: str | None = f"/images?{urllib.parse.urlencode({'limit': 1000, **query})}"
        found: list[CloudImage] = []
        while path:
            answer = self._send(what, "GET", path, ok=(200,))
            page = self._mapping(what, answer)
            rows, following = page.get("images"), page.get("next")
            if not isinstance(rows, list) or not isinstance(following, str | None):
                raise self._foreign(what)
            found += [self._parse(what, row) for row in rows]
            path = following.removeprefix("/v2") if following else None
        return found

    def create(self, image_id: str, fields: Mapping[str, Any]) -> CloudImage:
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

    def show(self, image_id: str) -> CloudImage | None:
        """Return the image; None: there is none."""
        what = f"show image {image_id}"
        answer = self._send(what, "GET", f"/images/{image_id}", ok=(200, 404))
        return self._parse(what, answer.value) if answer.status == 200 else None

    def patch(self, image_id: str, changes: Sequence[Mapping[str, Any]]) -> CloudImage:
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

    def delete_unused(self, image_id: str) -> str | None:
        """Delete the image unless the cloud itself says that it is in use; return what it says then."""
        answer = self._send(
            f"delete image {image_id}", "DELETE", f"/images/{image_id}", ok=(204, 404, 409, 403)
        )
        return None if answer.status in (204, 404) else answer.reason or f"HTTP {answer.status}"

    def put(
        self,
        image_id: str,
        body: Body,
        *,
        stage: bool = False,
        store: str | None = None,
        timeout: float = DATA_TIMEOUT,
    ) -> Answer:
        """Send the data, once; the caller looks at the answer.

        Args:
            stage: into the staging area of an import, not into the store.
            store: which of the cloud's stores; its default when None.
            timeout: seconds for the answer.

        Raises:
            ConnectionLost: it broke on the way; Glance puts the image back to `queued` then.
        """
        return self.cloud.request(
            "PUT",
            f"/images/{image_id}/{'stage' if stage else 'file'}",
            data=body,
            content_type="application/octet-stream",
            headers={"X-Image-Meta-Store": store} if store else None,
            timeout=timeout,
        )

    def start_import(self, image_id: str, method: Mapping[str, str], *, store: str | None) -> None:
        """Have the cloud import what is staged, or what is at an address."""
        body: dict[str, Any] = {"method": dict(method)} | ({"stores": [store]} if store else {})
        self._send("import the image", "POST", f"/images/{image_id}/import", body=body, ok=(202,))

    def task_of(self, image_id: str) -> str | None:
        """Return what the newest task of an image says, None where there is none or it says nothing."""
        answer = self._send("show tasks", "GET", f"/images/{image_id}/tasks", ok=(200, 403, 404))
        tasks = answer.value.get("tasks") if isinstance(answer.value, dict) else None
        if not isinstance(tasks, list) or not tasks or not isinstance(tasks[-1], dict):
            return None
        newest = max(tasks, key=lambda task: str(task.get("updated_at")))
        return f"{newest.get('status')} {newest.get('message') or ''}".strip()

    def offered(self, what: str) -> tuple[str, ...]:
        """Return what the cloud offers: `import` methods or `stores`; empty where it lists none."""
        answer = self._send(f"list {what}", "GET", f"/info/{what}", ok=(200, 404))
        value = answer.value if isinstance(answer.value, dict) else {}
        if what == "import":
            methods = value.get("import-methods")
            return tuple(methods.get("value", ())) if isinstance(methods, dict) else ()
        return tuple(str(store.get("id")) for store in value.get("stores", ()) if isinstance(store, dict))

    def namespaces(self, resource: str) -> list[tuple[str, str]]:
        """Return the namespaces that define properties of a resource type, each with their prefix."""
        query = urllib.parse.urlencode({"resource_types": resource, "limit": 1000})
        answer = self._send("list definitions", "GET", f"/metadefs/namespaces?{query}", ok=(200, 403, 404))
        rows = answer.value.get("namespaces") if isinstance(answer.value, dict) else None
        found = []
        for row in rows if isinstance(rows, list) else ():
            associations = row.get("resource_type_associations") or () if isinstance(row, dict) else ()
            prefixes = [each.get("prefix") or "" for each in associations if each.get("name") == resource]
            found.append((str(row.get("namespace")), prefixes[0] if prefixes else ""))
        return found

    def definitions(self, namespace: str) -> Mapping[str, Any]:
        """Return the properties that a namespace defines, as JSON schemas by name."""
        path = f"/metadefs/namespaces/{urllib.parse.quote(namespace, safe='')}/properties"
        answer = self._send("read definitions", "GET", path, ok=(200, 403, 404))
        value = answer.value.get("properties") if isinstance(answer.value, dict) else None
        return value if isinstance(value, dict) else {}

    def share(self, image_id: str, project: str) -> None:
        """Share the image with a project, by its id; one that has it already is content."""
        self._send(
            f"share with {project}",
            "POST",
            f"/images/{image_id}/members",
            body={"member": project},
            ok=(200, 409),
        )

    def is_used(self, image_id: str) -> bool | None:
        """Say whether a server was made from the image and exists; None when Nova does not say.

        Asked for all projects, where the user may; else for their own.
        """
        for everywhere in ("&all_tenants=1", ""):
            path = f"/servers?image={image_id}&limit=1{everywhere}"
            answer = self._send(
                "list servers", "GET", path, ok=(200, 400, 403, 404), endpoint=self.cloud.compute
            )
            if answer.status == 200 and isinstance(answer.value, dict):
                return bool(answer.value.get("servers"))
        return None

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
            hint = "the cloud has a problem: try again later"
        reason = f": {answer.reason}" if answer.reason else ""
        return RemoteError(f"cloud {self.cloud.name}: {what}: HTTP {answer.status}{reason}", hint=hint)

    def _mapping(self, what: str, answer: Answer) -> Mapping[str, Any]:
        if not isinstance(answer.value, dict):
            raise self._foreign(what)
        return answer.value

    def _parse(self, what: str, value: object) -> CloudImage:
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


def parse(value: object) -> CloudImage:
    """Turn the API's JSON into a CloudImage.

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

    size, tags = value.get("size"), value.get("tags")
    return CloudImage(
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
        created_at=text("created_at") or "",
        hidden=value.get("os_hidden") is True,
        protected=value.get("protected") is True,
        tags=tuple(sorted(tag for tag in tags if isinstance(tag, str))) if isinstance(tags, list) else (),
        properties={key: item for key, item in value.items() if isinstance(item, str)},
    )
