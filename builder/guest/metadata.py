# SPDX-License-Identifier: MIT
"""The metadata service that a guest finds on http://169.254.169.254, as nova and EC2 offer it.

It listens on a Unix socket only: qemu's user network starts `metadata_relay.py` for each connection of
the guest and that joins the two, so no port of the host is opened and nothing but the guest can ask.
"""

from __future__ import annotations

import http.server
import os
import shlex
import socketserver
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from builder.guest.instance import (
    EC2_VERSIONS,
    OPENSTACK_VERSIONS,
    Datasource,
    Instance,
    Tree,
    ec2_tree,
    openstack_documents,
)
from builder.report import escape

SOCKET = "metadata.sock"
# Requests at once, and seconds for one.
MOST_AT_ONCE = 16
LONGEST = 20.0
LOG = "metadata.log"
RELAY = Path(__file__).with_name("metadata_relay.py")

# IMDSv2: the guest asks for a token and sends it along; any is good here.
_TOKEN = "AQAEAverify"


def relay_command() -> str:
    """Return the command line that joins its stdin and stdout to the service's socket.

    qemu runs it without a shell, in the folder of the socket, and splits it as a shell would.
    """
    return shlex.join([os.path.realpath(sys.executable), "-I", "-S", os.fspath(RELAY), SOCKET])


def answer(instance: Instance, datasource: Datasource, method: str, path: str) -> str | None:
    """Return the body for a request; None: there is no such document (404)."""
    parts = [part for part in path.split("?")[0].split("/") if part]
    if method == "PUT":
        return _TOKEN if parts[-2:] == ["api", "token"] and datasource is Datasource.EC2 else None
    if not parts:
        return "\n".join(EC2_VERSIONS)
    if parts[0] == "openstack":
        return _openstack(instance, parts[1:]) if datasource is Datasource.OPENSTACK else None
    if parts[0] in EC2_VERSIONS:
        return _walk(ec2_tree(instance), parts[1:])
    return None


def _openstack(instance: Instance, parts: list[str]) -> str | None:
    documents = openstack_documents(instance)
    if not parts:
        return "\n".join(OPENSTACK_VERSIONS)
    if parts[0] not in OPENSTACK_VERSIONS:
        return None
    return "\n".join(documents) if len(parts) == 1 else documents.get("/".join(parts[1:]))


def _walk(tree: Tree, parts: list[str]) -> str | None:
    node: str | Tree = tree
    for part in parts:
        if isinstance(node, str):
            return None
        # public-keys lists `0=name` and is asked for as `0`.
        key = next((name for name in node if name == part or name.startswith(f"{part}=")), None)
        if key is None:
            return None
        node = node[key]
    if isinstance(node, str):
        return node
    # A folder's name ends with a slash, but in the list of keys (EC2's own inconsistency).
    return "\n".join(
        name if isinstance(value, str) or "=" in name else f"{name}/" for name, value in node.items()
    )


class _Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True

    def __init__(self, address: str, handler: type[http.server.BaseHTTPRequestHandler]) -> None:
        super().__init__(address, handler)
        self._free = threading.BoundedSemaphore(MOST_AT_ONCE)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Answer in a thread, and not more than a few at once: a guest may ask without an end."""
        if self._free.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Answer one request."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: a guest may end a connection whenever it likes."""


@contextmanager
def serve(folder: Path, instance: Instance, datasource: Datasource) -> Iterator[None]:
    """Serve on `folder/metadata.sock` while the body runs; every request goes to `folder/metadata.log`."""
    for name in (SOCKET, LOG):
        (folder / name).unlink(missing_ok=True)  # of this guest's boot before, or what its qemu put there
    log = (folder / LOG).open("x", encoding="utf-8")

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.0"
        timeout = LONGEST

        def _reply(self) -> None:
            body = answer(instance, datasource, self.command, self.path)
            raw = (body or "").encode()
            self.send_response(200 if body is not None else 404)
            self.send_header("Content-Type", "text/plain")
            self.send_header("Content-Length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

        do_GET = _reply
        do_PUT = _reply

        def address_string(self) -> str:
            return "guest"

        def log_message(self, text: str, *args: object) -> None:
            log.write(f"{self.log_date_time_string()} {escape(text % args)}\n")
            log.flush()

    # The folder may lie deeper than the 108 bytes of a Unix address: go by its descriptor.
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    server = _Server(f"/proc/self/fd/{descriptor}/{SOCKET}", Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
        os.close(descriptor)
        log.close()
