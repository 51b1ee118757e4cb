# SPDX-License-Identifier: MIT
"""Folders and keys of this host, served on the loopback while diskimage-builder runs.

Its dnf runs in a chroot, which sees nothing of the host but its network.
"""

from __future__ import annotations

import contextlib
import http.server
import os
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote, unquote

from builder.kickstart.addresses import local_path
from builder.kickstart.plan import ImagePlan, Repository

# Where there is nothing: a path below what is not a folder.
_NOTHING = f"{os.devnull}/nothing"


@contextlib.contextmanager
def served(plan: ImagePlan) -> Iterator[ImagePlan]:
    """Yield the plan with addresses of the loopback in place of folders and files, served meanwhile."""
    places: dict[str, Path] = {}

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            pass

        def translate_path(self, path: str) -> str:
            number, _, rest = unquote(path.partition("?")[0]).lstrip("/").partition("/")
            place = places.get(number)
            if place is None or ".." in rest.split("/"):
                return _NOTHING
            if place.is_file():
                return os.fspath(place) if rest == place.name else _NOTHING
            return os.fspath(place / rest)

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        root = f"http://127.0.0.1:{server.server_port}"

        def serve(text: str) -> str:
            path = local_path(plan.filled_in(text))
            if path is None:
                return text
            places[str(len(places))] = path.absolute()
            return f"{root}/{len(places) - 1}" + (f"/{quote(path.name)}" if path.is_file() else "/")

        def moved(repository: Repository) -> Repository:
            return replace(
                repository,
                baseurl=tuple(serve(url) for url in repository.baseurl),
                gpg_keys=tuple(serve(key) for key in repository.gpg_keys),
            )

        changed = replace(plan, repositories=tuple(moved(one) for one in plan.repositories))
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield changed
        finally:
            server.shutdown()
            thread.join()
