# SPDX-License-Identifier: MIT
"""A real hub: everything is passed on to it as it came."""

from __future__ import annotations

import http.client
import urllib.parse
import xmlrpc.client
from collections.abc import Mapping
from typing import Any

from tests.koji.front import HUB, Front


class RealHub(Front):
    """The hub at an address; `files` is the address of its file server."""

    def __init__(self, server: str, files: str) -> None:
        super().__init__()
        self.server = server
        self.files = files

    def call(self, method: str, parameters: Any, body: bytes, headers: Mapping[str, str]) -> bytes:
        """Pass a call on."""
        del method, parameters
        answer = self._pass("POST", self.server, body, headers)[1]
        xmlrpc.client.loads(answer)
        return answer

    def upload(self, query: str, body: bytes, headers: Mapping[str, str]) -> bytes:
        """Pass a chunk on."""
        return self._pass("POST", f"{self.server}?{query}", body, headers)[1]

    def read(self, path: str, headers: Mapping[str, str]) -> tuple[int, bytes]:
        """Pass a request for a file on."""
        address = self.files.rstrip("/") + urllib.parse.quote(path.removeprefix("/kojifiles"))
        return self._pass("GET", address, None, headers)

    def _pass(
        self, method: str, address: str, body: bytes | None, headers: Mapping[str, str]
    ) -> tuple[int, bytes]:
        url = urllib.parse.urlsplit(address)
        kind = http.client.HTTPSConnection if url.scheme == "https" else http.client.HTTPConnection
        connection = kind(url.hostname or "", url.port, timeout=120)
        kept = {
            name: value
            for name, value in headers.items()
            if name.lower() in ("content-type", "range", "user-agent") or name.lower().startswith("koji-")
        }
        try:
            connection.request(method, f"{url.path or HUB}?{url.query}", body, kept)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()
