# SPDX-License-Identifier: MIT
"""The accounts and the catalog of a plane, made through Keystone's own API."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from builder.errors import RemoteError
from tests.rig.plane.keystone import REGION, request


class Identity:
    """Keystone's API as the plane's admin.

    Args:
        port: where Keystone listens.
        password: the admin's.
    """

    def __init__(self, port: int, password: str) -> None:
        self._port = port
        user = {"name": "admin", "domain": {"id": "default"}, "password": password}
        scope = {"project": {"name": "admin", "domain": {"id": "default"}}}
        identity = {"methods": ["password"], "password": {"user": user}}
        body = {"auth": {"identity": identity, "scope": scope}}
        status, headers, _ = request(port, "POST", "/v3/auth/tokens", body=body)
        if status != 201:
            raise RemoteError(f"the plane's Keystone refuses its admin: HTTP {status}")
        self._token = headers["x-subject-token"]

    def call(self, method: str, path: str, body: object = None) -> Mapping[str, Any]:
        """Send a request below /v3; return the JSON of the answer.

        Raises:
            RemoteError: any status of 400 and above.
        """
        status, _, value = request(self._port, method, f"/v3{path}", token=self._token, body=body)
        if status >= 400:
            raise RemoteError(f"the plane's Keystone: {method} {path}: HTTP {status}: {value}")
        return cast("Mapping[str, Any]", value or {})

    def create(self, kind: str, **attributes: object) -> str:
        """Create a project, user, service, endpoint ...; return its id."""
        return cast("str", self.call("POST", f"/{kind}s", {kind: attributes})[kind]["id"])

    def create_project(self, name: str) -> str:
        """Create a project of the default domain; return its id."""
        return self.create("project", name=name, domain_id="default")

    def create_user(self, name: str, password: str, project: str, *roles: str) -> str:
        """Create a user of the default domain with these roles in `project` (an id); return the id."""
        user = self.create("user", name=name, password=password, domain_id="default")
        known = {role["name"]: role["id"] for role in self.call("GET", "/roles")["roles"]}
        for role in roles:
            self.call("PUT", f"/projects/{project}/users/{user}/roles/{known[role]}")
        return user

    def create_service(self, type: str, name: str, url: str) -> None:
        """Put a service with its three endpoints into the catalog."""
        service = self.create("service", type=type, name=name)
        for interface in ("public", "internal", "admin"):
            self.create("endpoint", service_id=service, interface=interface, url=url, region_id=REGION)
