# SPDX-License-Identifier: MIT
"""A test proxy: stands in front of a real server of the plane, counts, and does harm on request.

What it does harm with are faults, each for some method and path and for so many requests: answer in the
server's place, cut the connection in the middle of a body, alter one bit of it, hold it back,
rewrite the answer. Without a fault it passes everything on as it is.

It is a forward proxy too, to one server only: whatever host a request or a CONNECT names, it leads there.
"""

from __future__ import annotations

import contextlib
import http.client
import re
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

# Hop by hop (RFC 9110, 7.6.1), or set anew by http.client and http.server.
_OWN_HEADERS = ("connection", "keep-alive", "transfer-encoding", "content-length", "server", "date", "host")


@dataclass(kw_only=True, slots=True)
class Fault:
    """Harm to requests of `method` whose path matches `path`, `times` of them.

    status, body: the proxy answers itself with these; the server sees nothing.
    headers: more headers of that answer.
    cut_after: the connection is closed after so many bytes of the request's body, on both sides.
    alter_at: the lowest bit of this byte of the request's body is turned.
    hold_after: the request's body goes no further than these bytes until `released` is set.
    hang: seconds before the answer, if `released` is not set earlier.
    rewrite: changes the body of the server's answer.
    """

    method: str
    path: str
    times: int = 1_000_000
    status: int | None = None
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    cut_after: int | None = None
    alter_at: int | None = None
    hold_after: int | None = None
    released: threading.Event = field(default_factory=threading.Event)
    hang: float = 0.0
    rewrite: Callable[[bytes], bytes] | None = None


@dataclass(kw_only=True, slots=True)
class Seen:
    """A request that went through: how many bytes of its body, and the status of the answer (0: none).

    login: what it said to the proxy itself (Proxy-Authorization).
    """

    method: str
    path: str
    login: str = ""
    body: int = 0
    status: int = 0


class Proxy:
    """A running proxy; `faults` may be changed at any time, `seen` is what has come."""

    def __init__(self, target: int, port: int, *, is_tls: bool) -> None:
        self.target = target
        self.port = port
        self.is_tls = is_tls
        self.faults: list[Fault] = []
        self.seen: list[Seen] = []
        self._lock = threading.Lock()

    @property
    def url(self) -> str:
        """The address of the proxy."""
        return f"http{'s' if self.is_tls else ''}://127.0.0.1:{self.port}"

    def bytes_of(self, method: str) -> int:
        """Return how many bytes of bodies went through in requests of this method."""
        return sum(request.body for request in self.seen if request.method == method)

    def methods(self) -> list[str]:
        """Return the methods of the requests seen, in their order."""
        return [request.method for request in self.seen]

    def reset(self) -> None:
        """Forget what was seen, and all faults; what they hold goes on."""
        for fault in self.faults:
            fault.released.set()
        self.seen.clear()
        self.faults.clear()

    def fault_for(self, method: str, path: str) -> Fault:
        """Return the fault for a request (an empty one where there is none) and count it."""
        with self._lock:
            for fault in self.faults:
                if fault.times > 0 and fault.method == method and re.search(fault.path, path):
                    fault.times -= 1
                    return fault
        return Fault(method=method, path=path)


@contextmanager
def in_front_of(port: int, *, tls: ssl.SSLContext | None = None) -> Iterator[Proxy]:
    """Run a proxy in front of 127.0.0.1:`port`, with TLS towards the clients where a context is given."""

    class Handler(_Handler):
        pass

    server = _Server(("127.0.0.1", 0), Handler)
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    proxy = Proxy(port, server.server_address[1], is_tls=tls is not None)
    Handler.proxy = proxy
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield proxy
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: clients that are killed break their connections."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 60
    proxy: Proxy

    def handle_any(self) -> None:
        """Pass one request on, with the harm that is due to it."""
        seen, fault = self._begin()
        length = int(self.headers.get("Content-Length", 0))
        if fault.status is not None:
            seen.body = self._discard(length)
            self._answer(seen, fault.status, fault.headers, fault.body)
            return
        upstream = http.client.HTTPConnection("127.0.0.1", self.proxy.target, timeout=60)
        try:
            upstream.putrequest(self.command, self.path, skip_accept_encoding=True, skip_host=True)
            # The client's own Host, so that links in the answers lead through the proxy.
            upstream.putheader("Host", self.headers["Host"])
            for name, value in self.headers.items():
                if name.lower() not in _OWN_HEADERS:
                    upstream.putheader(name, value)
            if "Content-Length" in self.headers:
                upstream.putheader("Content-Length", str(length))
            upstream.endheaders()
            if not self._pass_body(seen, fault, length, upstream):
                self._cut(upstream)
                return
            response = upstream.getresponse()
            body = response.read()
            if fault.rewrite is not None:
                body = fault.rewrite(body)
            if fault.hang:
                fault.released.wait(fault.hang)
            headers = {key: text for key, text in response.getheaders() if key.lower() not in _OWN_HEADERS}
            self._answer(seen, response.status, headers, body)
        except (OSError, http.client.HTTPException):
            self._cut(upstream)
        finally:
            upstream.close()

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = handle_any

    def do_CONNECT(self) -> None:
        """Open a tunnel to the server and pass bytes on, until either side has no more."""
        seen, fault = self._begin()
        if fault.status is not None:
            self._answer(seen, fault.status, fault.headers, fault.body)
            return
        self.close_connection = True
        with socket.create_connection(("127.0.0.1", self.proxy.target), timeout=60) as upstream:
            seen.status = 200
            self.send_response_only(200)
            self.end_headers()
            back = threading.Thread(target=_pass_on, args=(upstream, self.connection), daemon=True)
            back.start()
            _pass_on(self.connection, upstream)
            back.join()

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""

    def _begin(self) -> tuple[Seen, Fault]:
        """Note a request; return it and the harm that is due to it."""
        login = self.headers.get("Proxy-Authorization", "")
        seen = Seen(method=self.command, path=self.path, login=login)
        self.proxy.seen.append(seen)
        return seen, self.proxy.fault_for(self.command, self.path)

    def _pass_body(self, seen: Seen, fault: Fault, length: int, upstream: http.client.HTTPConnection) -> bool:
        """Send the request's body on; return False when the connection shall be cut."""
        while seen.body < length:
            limit = min(length - seen.body, 1 << 16)
            if fault.hold_after is not None and not fault.released.is_set():
                limit = min(limit, fault.hold_after - seen.body)
                if limit <= 0:
                    fault.released.wait()
                    continue
            if fault.cut_after is not None:
                limit = min(limit, fault.cut_after - seen.body)
                if limit == 0:
                    return False
            chunk = self.rfile.read1(limit)
            if not chunk:
                return False
            if fault.alter_at is not None and 0 <= fault.alter_at - seen.body < len(chunk):
                altered = bytearray(chunk)
                altered[fault.alter_at - seen.body] ^= 1
                chunk = bytes(altered)
            upstream.send(chunk)
            seen.body += len(chunk)
        return True

    def _discard(self, length: int) -> int:
        read = 0
        while read < length and (chunk := self.rfile.read(min(length - read, 1 << 16))):
            read += len(chunk)
        return read

    def _answer(self, seen: Seen, status: int, headers: dict[str, str], body: bytes) -> None:
        seen.status = status
        self.send_response_only(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if status != 204 and self.command != "HEAD":
            self.wfile.write(body)

    def _cut(self, upstream: http.client.HTTPConnection) -> None:
        self.close_connection = True
        for end in (upstream.sock, self.connection):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


def _pass_on(source: socket.socket, target: socket.socket) -> None:
    """Copy from one socket to the other to the end, and end the other too."""
    with contextlib.suppress(OSError):
        while chunk := source.recv(1 << 16):
            target.sendall(chunk)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)
