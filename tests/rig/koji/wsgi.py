# SPDX-License-Identifier: MIT
"""The WSGI application of the hub with a file server next to it, as Apache has both; see hub.py."""

from __future__ import annotations

import importlib
import mimetypes
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

FOLDER = Path(os.environ["KOJI_HUB_FOLDER"])
FILES = "/kojifiles/"
APACHE = {
    "HTTP_X_CLIENT_VERIFY": "SSL_CLIENT_VERIFY", "HTTP_X_CLIENT_NAME": "SSL_CLIENT_S_DN_CN",
    "HTTP_X_CLIENT_DN": "SSL_CLIENT_S_DN", "HTTP_X_CLIENT_PRINCIPAL": "REMOTE_USER",
}  # fmt: skip
hub: Callable[..., Iterable[bytes]] = importlib.import_module("kojihub.app.kojiapp").application


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Answer a call of the hub, or a request for a file below its topdir."""
    if not environ["REMOTE_ADDR"]:
        _believe_apache(environ)
    path = environ["PATH_INFO"]
    if path.startswith(FILES):
        # Koji's own addresses have two slashes in places.
        wanted = FOLDER / "top" / path.removeprefix(FILES).lstrip("/")
        return _file(wanted.resolve(), environ, start_response)
    environ["koji.hub.ConfigFile"] = str(FOLDER / "hub.conf")
    environ["koji.hub.ConfigDir"] = str(FOLDER / "hub.conf.d")
    return hub(environ, start_response)


def _believe_apache(environ: dict[str, Any]) -> None:
    """Put what Apache says of the client where mod_wsgi would: it alone reaches the socket (apache.py)."""
    environ["REMOTE_ADDR"] = "127.0.0.1"
    for header, variable in APACHE.items():
        if value := environ.get(header):
            environ[variable] = value


def _file(path: Path, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    if not path.is_relative_to((FOLDER / "top").resolve()) or not path.is_file():
        start_response("404 Not Found", [("Content-Length", "0")])
        return []
    data = path.read_bytes()
    start, status = 0, "200 OK"
    if wanted := environ.get("HTTP_RANGE"):
        start = int(wanted.removeprefix("bytes=").partition("-")[0])
        status = "206 Partial Content" if start < len(data) else "416 Range Not Satisfiable"
    headers = [
        ("Content-Type", mimetypes.guess_type(path.name)[0] or "application/octet-stream"),
        ("Content-Length", str(max(0, len(data) - start))),
    ]
    start_response(status, headers)
    return [data[start:]]
