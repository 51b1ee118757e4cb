# SPDX-License-Identifier: MIT
"""A cloud: a session with its image service, and the requests that go through it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from builder.glance.trouble import explained, plain

# Seconds without a byte in either direction before a request is given up.
TIMEOUT = 60.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """The answer to a request: HTTP status, decoded JSON (or None), what an error said, headers."""

    status: int
    value: Any
    reason: str
    headers: Mapping[str, str]


class Cloud:
    """An authenticated session with the image service of one cloud.

    Args:
        name: how the user calls the cloud.
        session: a keystoneauth session.
        endpoint: of the Image API, ending in /v2.
        project_id: the project that the session is for.
        compute: address of Nova; None where the cloud has none.
    """

    def __init__(
        self, name: str, session: Any, endpoint: str, project_id: str, *, compute: str | None = None
    ) -> None:
        self.name = name
        self.endpoint = endpoint
        self.project_id = project_id
        self.compute = compute
        self._session = session

    def forget_connections(self) -> None:
        """Make new connections from now on: those there are belong to another process too, after a fork."""
        if self._session.session is not None:
            self._session.session.close()

    def request(
        self,
        method: str,
        path: str,
        *,
        body: Any = None,
        data: Any = None,
        content_type: str = "application/json",
        headers: Mapping[str, str] | None = None,
        timeout: float = TIMEOUT,
        endpoint: str | None = None,
    ) -> Answer:
        """Send one request to the Image API; any HTTP status is an answer.

        Args:
            path: below the endpoint, beginning with a slash.
            endpoint: of another service in place of Glance.
            body: JSON to send, or
            data: bytes to send, as an iterable with a length.

        Raises:
            ConnectionLost: no answer.
            RemoteError: the session cannot be renewed, or TLS fails.
        """
        # keystoneauth writes what it sends to the debug log: not the image, and nothing secret.
        arguments: dict[str, Any] = {"raise_exc": False, "log": False, "timeout": timeout}
        arguments["headers"] = dict(headers or {})
        if body is not None or data is not None:
            arguments["headers"]["Content-Type"] = content_type
        if body is not None:
            arguments["json"] = body
        if data is not None:
            arguments["data"] = data
        with explained(self.name):
            response = self._session.request((endpoint or self.endpoint) + path, method, **arguments)
        try:
            value = response.json() if response.content else None
        except ValueError:
            value = None
        return Answer(
            status=response.status_code,
            value=value,
            reason=plain(response.text) if response.status_code >= 400 else "",
            headers={key.lower(): text for key, text in response.headers.items()},
        )
