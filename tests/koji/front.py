# SPDX-License-Identifier: MIT
"""What is between the client library and a hub in the tests: it keeps a record of the calls, and does harm.

A hub is a subclass: our own (stand_in_hub.py), or a real one to which everything is passed on (real_hub.py).
Harm is done where a test asks for it: cut connections, faults, an outage, damaged uploads.
"""

from __future__ import annotations

import http.server
import ssl
import threading
import urllib.parse
import xmlrpc.client
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

GENERIC, AUTH, NOT_ALLOWED, AUTH_EXPIRED, RETRY, OFFLINE, PARAMETER = 1000, 1002, 1004, 1007, 1009, 1014, 1019
HUB = "/kojihub"
# Where Koji's library logs in by certificate or Kerberos.
LOGIN = f"{HUB}/ssllogin"
# Takes the header Authorization, and returns whom it names.
Acceptor = Callable[[str | None], str | None]


class Cut(Exception):
    """The connection ends without an answer."""


class Front:
    """The record of what was called. `harm` maps a method, or "upload", to what happens at its next calls.

    What may happen: "cut before", "cut after", "offline", "expire", "damage", or a fault as (code, text).
    """

    def __init__(self) -> None:
        self.calls: list[tuple[str, list[Any], dict[str, Any]]] = []
        self.requests = 0
        self.harm: dict[str, list[Any]] = {}
        self.lock = threading.Lock()
        self.acceptor: Acceptor | None = None
        # Who sends the request, as a certificate or Kerberos says; None: nothing says.
        self.client: str | None = None

    def called(self, method: str) -> list[list[Any]]:
        """Return the arguments of each call of a method that the hub took."""
        return [arguments for name, arguments, _ in self.calls if name == method]

    def count(self) -> Counter[str]:
        """Return how often each method was called."""
        return Counter(name for name, _, _ in self.calls)

    # -- what a hub does -----------------------------------------------------------------------

    def call(self, method: str, parameters: Any, body: bytes, headers: Mapping[str, str]) -> bytes:
        """Answer a call in XML-RPC.

        Raises:
            xmlrpc.client.Fault: the hub refuses it.
        """
        raise NotImplementedError

    def upload(self, query: str, body: bytes, headers: Mapping[str, str]) -> bytes:
        """Take a chunk of a file; answer in XML-RPC."""
        raise NotImplementedError

    def read(self, path: str, headers: Mapping[str, str]) -> tuple[int, bytes]:
        """Return a file of the file server: status and bytes."""
        raise NotImplementedError

    # -- what is done to it --------------------------------------------------------------------

    def record(self, method: str, parameters: Any) -> None:
        """Keep a call that the hub took, or each of a multiCall."""
        if method in ("multiCall", "system.multicall"):
            for one in parameters[0]:
                self.record(one["methodName"], one["params"])
            return
        arguments, named = split_parameters(parameters)
        self.calls.append((method, arguments, named))

    def take_harm(self, method: str) -> Any:
        """Return what is to happen at this call, None for nothing."""
        waiting = self.harm.get(method)
        return waiting.pop(0) if waiting else None

    def post(self, target: str, body: bytes, headers: Mapping[str, str]) -> bytes:
        """Do what a POST asks for, and the harm that waits for it.

        Raises:
            Cut: the connection is to end.
            xmlrpc.client.Fault: the answer is one.
        """
        self.requests += 1
        query = urllib.parse.urlsplit(target).query
        if "filename=" in query:
            harm = self.take_harm("upload")
            if harm == "cut before":
                raise Cut
            return self.upload(query, body[:-1] + b"?" if harm == "damage" else body, headers)
        parameters, method = xmlrpc.client.loads(body, use_builtin_types=True)
        assert method is not None
        harm = self.take_harm(method)
        if harm == "cut before":
            raise Cut
        if harm == "offline":
            raise xmlrpc.client.Fault(OFFLINE, "database outage")
        if harm == "expire":
            raise xmlrpc.client.Fault(AUTH_EXPIRED, "session expired")
        if isinstance(harm, tuple):
            raise xmlrpc.client.Fault(*harm)
        answer = self.call(method, parameters, body, headers)
        self.record(method, parameters)
        if harm == "cut after":
            raise Cut
        return answer


def split_parameters(parameters: Any) -> tuple[list[Any], dict[str, Any]]:
    """Return the arguments of a call, and the named ones (koji.encode_args)."""
    arguments = list(parameters)
    if arguments and isinstance(arguments[-1], dict) and arguments[-1].get("__starstar"):
        return arguments[:-1], {name: value for name, value in arguments[-1].items() if name != "__starstar"}
    return arguments, {}


class _Handler(http.server.BaseHTTPRequestHandler):
    """Speaks HTTP for a hub."""

    protocol_version = "HTTP/1.1"
    hub: Front

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        path = urllib.parse.urlsplit(self.path).path
        if path not in (HUB, LOGIN):
            self._answer(404, b"not here")
            return
        client = self._client() if path == LOGIN else None
        if path == LOGIN and self.hub.acceptor and client is None:
            self._answer(401, b"who are you?", ("WWW-Authenticate", "Negotiate"))
            return
        with self.hub.lock:
            self.hub.client = client
            try:
                payload = self.hub.post(self.path, body, dict(self.headers))
            except Cut:
                self.close_connection = True
                self.connection.close()
                return
            except xmlrpc.client.Fault as fault:
                payload = xmlrpc.client.dumps(fault, methodresponse=True, allow_none=True).encode()
        self._answer(200, payload)

    def do_GET(self) -> None:
        path = urllib.parse.unquote(urllib.parse.urlsplit(self.path).path)
        self._answer(*self.hub.read(path, dict(self.headers)))

    def _client(self) -> str | None:
        """Return whom the certificate or the ticket of the connection names."""
        if self.hub.acceptor:
            return self.hub.acceptor(self.headers.get("Authorization"))
        if not isinstance(self.connection, ssl.SSLSocket):
            return None
        certificate: Any = self.connection.getpeercert() or {}
        names = dict(pair for row in certificate.get("subject", ()) for pair in row)
        return names.get("commonName")

    def _answer(self, status: int, payload: bytes, *headers: tuple[str, str]) -> None:
        self.send_response(status)
        for header in headers:
            self.send_header(*header)
        self.send_header("Content-Type", "text/xml")
        self.send_header("Content-Length", str(len(payload)))
        self.end_headers()
        self.wfile.write(payload)

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def serve(hub: Front, tls: ssl.SSLContext | None = None) -> Iterator[str]:
    """Serve a hub on loopback, by TLS where a context is given; yield its address, without /kojihub."""
    handler = type("Handler", (_Handler,), {"hub": hub})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    if tls:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"{'https' if tls else 'http'}://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
