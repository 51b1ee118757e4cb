# SPDX-License-Identifier: MIT
"""The one HTTP getter, against real servers on the loopback."""

from __future__ import annotations

import base64
import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from builder import http
from builder.errors import InputError
from tests.support import own_certificate

LOGIN = "Basic " + base64.b64encode(b"joe@example.org:s3/cr:et").decode()


class Server(ThreadingHTTPServer):
    """Answers each path by a function of the request; remembers path and Authorization of all."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers: dict[str, Callable[[Handler], None]] = {}
        self.asked: list[tuple[str, str | None]] = []

    @property
    def address(self) -> str:
        """Name and port."""
        return f"127.0.0.1:{self.server_port}"

    def paths(self) -> list[str]:
        """Return what was asked for."""
        return [path for path, _ in self.asked]


class Handler(BaseHTTPRequestHandler):
    """One request."""

    server: Server

    def do_GET(self) -> None:
        self.server.asked.append((self.path, self.headers.get("Authorization")))
        self.server.answers.get(self.path, data(b"there"))(self)

    def log_message(self, *_args: object) -> None:
        """Say nothing."""


def data(body: bytes, *, length: int | None = None) -> Callable[[Handler], None]:
    """Answer with a body; with another `length` it is cut short."""

    def answer(handler: Handler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(body) if length is None else length))
        handler.end_headers()
        handler.wfile.write(body)

    return answer


def status(code: int, **headers: str) -> Callable[[Handler], None]:
    """Answer with a status and headers."""

    def answer(handler: Handler) -> None:
        handler.send_response(code)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    return answer


def in_turn(*answers: Callable[[Handler], None]) -> Callable[[Handler], None]:
    """Answer differently each time."""
    rest = iter(answers)
    return lambda handler: next(rest)(handler)


@contextmanager
def serving(certificate: Path | None = None) -> Iterator[Server]:
    """Run a server, by TLS when there is a certificate."""
    with Server() as server:
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def without_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "PAUSE", 0.0)
    for name in ("http_proxy", "https_proxy", "no_proxy", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as running:
        yield running


@pytest.fixture
def other() -> Iterator[Server]:
    with serving() as running:
        yield running


def test_name_and_password_of_the_address_are_sent_as_basic_authorization(server: Server) -> None:
    got = http.get(f"http://joe%40example.org:s3%2Fcr%3Aet@{server.address}/file")

    assert got == b"there"
    assert server.asked == [("/file", LOGIN)]


@pytest.mark.parametrize("code", [401, 403, 404, 503])
def test_password_is_in_no_error(server: Server, code: int) -> None:
    server.answers["/file"] = status(code)

    with pytest.raises(http.HttpError) as caught:
        http.get(f"http://joe:SECRET@{server.address}/file")

    assert caught.value.message.startswith(f"http://***@{server.address}/file: HTTP {code}")
    assert caught.value.exit_code == 5
    assert "SECRET" not in "".join(caught.value.lines())


@pytest.mark.parametrize(
    "url",
    [
        "http://joe:SEC/RET@mirror/file",
        "http://joe:SECRET@mirror:port/file",
        "ftp://joe:SECRET@mirror/file",
        "http://[joe:SECRET@mirror/",
    ],
)
def test_what_is_not_an_address_is_bad_input_and_shows_no_password(url: str) -> None:
    with pytest.raises(InputError) as caught:
        http.get(url)

    assert "joe:S" not in " ".join(caught.value.lines())


def test_redirect_to_the_same_host_takes_the_login_along(server: Server) -> None:
    server.answers["/file"] = status(302, Location="/elsewhere")

    http.get(f"http://joe%40example.org:s3%2Fcr%3Aet@{server.address}/file")

    assert server.asked == [("/file", LOGIN), ("/elsewhere", LOGIN)]


def test_redirect_to_another_host_goes_without_the_login(server: Server, other: Server) -> None:
    server.answers["/file"] = status(302, Location=f"http://{other.address}/file")
    # Back again: the login does not return either.
    other.answers["/file"] = status(302, Location=f"http://{server.address}/final")

    assert http.get(f"http://joe:pw@{server.address}/file") == b"there"

    assert other.asked == [("/file", None)]
    assert server.asked[1] == ("/final", None)


@pytest.mark.parametrize("place", ["file:///etc/hostname", "ftp://127.0.0.1/file"])
def test_redirect_to_anything_but_http_is_not_followed(server: Server, place: str) -> None:
    server.answers["/file"] = status(302, Location=place)

    with pytest.raises(http.HttpError, match=r"not (allowed|followed)"):
        http.get(f"http://{server.address}/file")


@pytest.mark.parametrize(
    "trouble",
    [status(503), status(429, Retry_After="0"), status(502), data(b"cut", length=100)],
    ids=["503", "429", "502", "cut short"],
)
def test_what_may_pass_is_tried_again(server: Server, trouble: Callable[[Handler], None]) -> None:
    server.answers["/file"] = in_turn(trouble, trouble, data(b"there"))

    assert http.get(f"http://{server.address}/file") == b"there"
    assert server.paths() == ["/file"] * 3


def test_what_lasts_is_given_up_and_a_404_is_asked_for_once(server: Server) -> None:
    server.answers |= {"/down": status(503), "/missing": status(404)}

    for path in ("/down", "/missing"):
        with pytest.raises(http.HttpError):
            http.get(f"http://{server.address}{path}")

    assert server.paths() == ["/down"] * 3 + ["/missing"]


def test_answer_beyond_the_limit_is_an_error(server: Server) -> None:
    assert http.get(f"http://{server.address}/file", limit=5) == b"there"
    with pytest.raises(http.HttpError, match="longer than 4 bytes"):
        http.get(f"http://{server.address}/file", limit=4)


def test_silent_server_is_given_up(server: Server) -> None:
    waiting = threading.Event()
    server.answers["/file"] = lambda _handler: waiting.wait(600) and None
    try:
        with pytest.raises(http.HttpError, match="timed out"):
            http.get(f"http://{server.address}/file", timeout=0.2, retries=0)
    finally:
        waiting.set()


# Seconds between two drops at most: however busy the machine is, what is too slow here is the whole.
PATIENCE = 10.0


def drops(text: bytes) -> Callable[[Handler], None]:
    """Answer with `text`, and then, in drops, with what never comes to an end."""

    def answer(handler: Handler) -> None:
        with contextlib.suppress(OSError):
            handler.wfile.write(text)
            while True:
                handler.wfile.write(b"1")
                time.sleep(0.02)

    return answer


def flood(handler: Handler) -> None:
    """Redirect, with a body that never ends."""
    handler.send_response(302)
    handler.send_header("Location", "/there")
    handler.end_headers()
    with contextlib.suppress(OSError):
        while True:
            handler.wfile.write(bytes(1 << 20))


DROPS = {
    "the status": b"HTTP/1.1 200 ",
    "a header": b"HTTP/1.1 200 OK\r\nA: ",
    "a redirect": b"HTTP/1.1 302 Found\r\nLocation: /",
    "a body": b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n",
    "a body of no length": b"HTTP/1.1 200 OK\r\n\r\n",
    "the length of a piece": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n1234\r\n2;",
    "an error": b"HTTP/1.1 503 ",
}


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Short bounds."""
    monkeypatch.setattr(http, "LOOK", 0.05)
    monkeypatch.setattr(http, "LONGEST_BEGINNING", 0.5)


@pytest.mark.parametrize("text", DROPS.values(), ids=DROPS)
@pytest.mark.usefixtures("hurried")
def test_a_server_that_sends_drops_is_hung_up_on(server: Server, text: bytes) -> None:
    server.answers["/slow"] = drops(text)
    begun = time.monotonic()

    with pytest.raises(http.HttpError, match=r"no answer began in time|fewer than 1000 bytes a second"):
        http.get(f"http://{server.address}/slow", timeout=PATIENCE)

    assert time.monotonic() - begun < 200
    assert server.paths() == ["/slow"]


@pytest.mark.usefixtures("hurried")
def test_a_proxy_and_a_handshake_in_drops_are_hung_up_on(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Handler, "do_CONNECT", drops(b"HTTP/1.1 200 "), raising=False)
    monkeypatch.setenv("https_proxy", f"http://{server.address}")
    with pytest.raises(http.HttpError, match="no answer began in time"):
        http.get("https://example.org/", timeout=PATIENCE)

    monkeypatch.delenv("https_proxy")
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def drip() -> None:
            with contextlib.suppress(OSError):
                peer, _ = listener.accept()
                with peer:
                    # A record of the handshake that is 16 KiB long (RFC 8446, 5.1).
                    peer.sendall(b"\x16\x03\x03\x40\x00")
                    while True:
                        peer.sendall(b"\x02")
                        time.sleep(0.02)

        threading.Thread(target=drip, daemon=True).start()
        with pytest.raises(http.HttpError, match="no answer began in time"):
            http.get(f"https://127.0.0.1:{listener.getsockname()[1]}/", timeout=PATIENCE)


@pytest.mark.usefixtures("hurried")
def test_an_answer_that_is_fast_and_has_no_end_is_ended(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "LONGEST", 1.0)
    monkeypatch.setattr(http, "SLOWEST", 1)
    server.answers["/slow"] = drops(DROPS["a body"])

    with pytest.raises(http.HttpError, match="did not end within 1 s"):
        http.get(f"http://{server.address}/slow", timeout=PATIENCE)


def test_what_comes_with_a_redirect_is_not_read(server: Server) -> None:
    server.answers["/from"] = flood

    assert http.get(f"http://{server.address}/from") == b"there"


def test_proxy_of_the_environment_is_used(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", f"http://{server.address}")

    http.get("http://mirror.invalid/file")

    assert server.paths() == ["http://mirror.invalid/file"]


@pytest.mark.parametrize("how", ["argument", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"])
def test_own_authority_is_trusted_where_it_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    certificate = make_certificate(tmp_path / "server.pem")
    with serving(certificate) as server:
        url = f"https://{server.address}/file"
        with pytest.raises(http.HttpError, match="certificate verify failed"):
            http.get(url)
        http._context.cache_clear()
        if how != "argument":
            monkeypatch.setenv(how, str(certificate))
        assert http.get(url, certificates=str(certificate) if how == "argument" else None) == b"there"
    http._context.cache_clear()


def make_certificate(path: Path) -> Path:
    """Make a certificate of 127.0.0.1, signed by itself, with its key."""
    own_certificate.make_certificate(Path(f"{path}.crt"), path)
    path.write_bytes(path.read_bytes() + Path(f"{path}.crt").read_bytes())
    return path
