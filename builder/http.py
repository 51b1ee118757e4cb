# SPDX-License-Identifier: MIT
"""The one way to get something by HTTP: repository metadata, public keys, source archives.

A name and a password in the address are used (Basic, RFC 7617) and never shown. They go to that host
alone: a redirect to another one (other scheme, name or port) goes without them, and only to http or https.
Proxies come from the environment (http_proxy, https_proxy, no_proxy), authorities from
SSL_CERT_FILE, REQUESTS_CA_BUNDLE or the system. What may pass is tried again. A server that trickles, be
it the headers, or sends more than any file has, is disconnected.
"""

from __future__ import annotations

import base64
import contextlib
import os
import socket
import ssl
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from functools import cache, partial
from http.client import (
    HTTPConnection,
    HTTPException,
    HTTPMessage,
    HTTPResponse,
    HTTPSConnection,
    IncompleteRead,
)
from typing import IO, Any

from builder.errors import InputError, RemoteError
from builder.masking import mask

# Seconds without a byte before a request is given up, and bytes a second, on the whole, that are too few.
TIMEOUT = 30.0
SLOWEST = 1000
# Seconds until an answer begins, with all redirects, until it ends, and between two looks.
LONGEST_BEGINNING = 120.0
LONGEST = 3600.0
LOOK = 0.5
# Bytes of an answer where nothing says how long it may be.
LARGEST = 1 << 30
# How often what may pass is tried again, and after how many seconds, which double.
RETRIES = 2
PAUSE = 1.0
RETRYABLE = frozenset({408, 429, 500, 502, 503, 504})
LONGEST_WAIT = 30.0
_PIECE = 1 << 16


class HttpError(RemoteError):
    """An address gave nothing. `reason` says why, `status` is the answer's, None without one."""

    def __init__(self, url: str, reason: str, *, status: int | None = None) -> None:
        super().__init__(f"{mask(url)}: {reason}", hint=_hint(status))
        self.reason = reason
        self.status = status


def without_login(url: str) -> str:
    """Return an address without the name and the password that it may have."""
    parts = urllib.parse.urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


def get(
    url: str,
    *,
    limit: int = LARGEST,
    certificates: str | None = None,
    timeout: float = TIMEOUT,
    retries: int = RETRIES,
) -> bytes:
    """Return what is at `url` (http, https or file).

    Args:
        limit: bytes; a longer answer is an error, none of it is used.
        certificates: file of the authorities to trust, in place of the environment's.
        timeout: seconds without a byte.
        retries: how often what may pass (a broken connection, 429, 503 ...) is tried again.

    Raises:
        InputError: `url` is not an address.
        HttpError: nothing was got, or not all of it.
    """
    _check(url)
    attempt = 0
    while True:
        try:
            return _try(url, limit=limit, certificates=certificates, timeout=timeout)
        except _Passing as passing:
            if attempt >= retries:
                raise passing.error from passing.error.__cause__
            pause = PAUSE * 2**attempt if passing.after is None else passing.after
        attempt += 1
        time.sleep(min(pause, LONGEST_WAIT))


class _Passing(Exception):
    """A failure that another try may not have; `after` are the seconds that the server asks to wait."""

    def __init__(self, error: HttpError, after: float | None = None) -> None:
        super().__init__(str(error))
        self.error = error
        self.after = after


def _check(url: str) -> None:
    try:
        parts = urllib.parse.urlsplit(url)
        named = parts.hostname or parts.scheme == "file"
        _ = parts.port
    except ValueError as error:
        # The text of the error may repeat a password that was not percent-encoded.
        raise InputError(
            "an address cannot be read: its port is not a number, or its host is malformed",
            hint="in a name or a password write / as %2F, @ as %40, : as %3A",
        ) from error
    if parts.scheme not in ("http", "https", "file") or not named:
        raise InputError(f"{mask(url)}: not an address of the form https://host/path")


def _try(url: str, *, limit: int, certificates: str | None, timeout: float) -> bytes:
    request = urllib.request.Request(without_login(url), headers={"User-Agent": "openstack-builder"})
    login = _login_of(url)
    if login:
        # Unredirected: urllib would otherwise send it to wherever a redirect leads.
        request.add_unredirected_header("Authorization", login)
    watch = _Watch(timeout)
    handlers = _Redirects(), _Plain(watch), _Secure(watch, _context(_authorities(certificates)))
    try:
        with watch.looking(), urllib.request.build_opener(*handlers).open(request, timeout=timeout) as answer:
            data = _read(answer, url, limit, watch)
    except urllib.error.HTTPError as error:
        error.close()
        if watch.verdict:
            raise HttpError(url, watch.verdict) from error
        failure = HttpError(url, mask(f"HTTP {error.code} {error.reason}").rstrip(), status=error.code)
        if error.code in RETRYABLE:
            raise _Passing(failure, _retry_after(error)) from error
        raise failure from error
    except (OSError, HTTPException) as error:
        reason = getattr(error, "reason", error)
        failure = HttpError(url, watch.verdict or _words(reason))
        failure.__cause__ = error
        if watch.verdict or _lasts(reason):
            raise failure from error
        raise _Passing(failure) from error
    return data


def _read(answer: IO[bytes], url: str, limit: int, watch: _Watch) -> bytes:
    """Return the body, unless it has no end."""
    data = bytearray()
    watch.begin_body()
    while piece := answer.read1(_PIECE):  # type: ignore[attr-defined]
        data += piece
        watch.came = len(data)
        if len(data) > limit:
            raise HttpError(url, f"longer than {limit} bytes")
    left = getattr(answer, "length", None)
    if left or watch.verdict:
        raise IncompleteRead(bytes(data), left)
    return bytes(data)


class _Watch:
    """Looks at a request from a thread of its own, and ends its connections when it takes too long.

    A socket's timeout is for each wait: a server that sends a byte now and then meets any. `came` is what
    there is of the body in bytes, `verdict` why it was ended.
    """

    def __init__(self, timeout: float) -> None:
        self._timeout = timeout
        self._begun = time.monotonic()
        self._body: float | None = None
        self._connections: list[socket.socket] = []
        self._over = threading.Event()
        self.came = 0
        self.verdict: str | None = None

    def begin_body(self) -> None:
        """Count from now on what comes."""
        self._body = time.monotonic()

    def connect(self, address: tuple[str, int], timeout: float, *more: Any) -> socket.socket:
        """Connect, as socket.create_connection does, and remember the connection."""
        failure = OSError("no address")
        for *_, place in socket.getaddrinfo(*address, type=socket.SOCK_STREAM):
            # A name may have more addresses than anybody waits for.
            if self.verdict:
                break
            try:
                connection = socket.create_connection((str(place[0]), address[1]), timeout, *more)
            except OSError as error:
                failure = error
                continue
            # A second descriptor: TLS takes the first one over.
            self._connections.append(connection.dup())
            return connection
        raise failure

    @contextlib.contextmanager
    def looking(self) -> Iterator[None]:
        """Look while the block runs."""
        thread = threading.Thread(target=self._look, daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._over.set()
            thread.join()
            for connection in self._connections:
                connection.close()

    def _look(self) -> None:
        while not self._over.wait(LOOK):
            self.verdict = self.verdict or self._judge()
            # Those that a redirect adds, too.
            for connection in list(self._connections) if self.verdict else ():
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)

    def _judge(self) -> str | None:
        now = time.monotonic()
        if self._body is None:
            return "no answer began in time" if now - self._begun > LONGEST_BEGINNING else None
        seconds = now - self._body - self._timeout
        if seconds > 0 and self.came < seconds * SLOWEST:
            return f"fewer than {SLOWEST} bytes a second came"
        return f"it did not end within {LONGEST:.0f} s" if now - self._begun > LONGEST else None


class _Connection(HTTPConnection):
    """A connection that is watched."""

    def __init__(self, *words: Any, watch: _Watch, **more: Any) -> None:
        super().__init__(*words, **more)
        self._create_connection = watch.connect


class _SecureConnection(HTTPSConnection):
    """The same by TLS."""

    def __init__(self, *words: Any, watch: _Watch, **more: Any) -> None:
        super().__init__(*words, **more)
        self._create_connection = watch.connect


class _Plain(urllib.request.HTTPHandler):
    """Opens http: addresses by watched connections."""

    def __init__(self, watch: _Watch) -> None:
        super().__init__()
        self._connection = partial(_Connection, watch=watch)

    def http_open(self, req: urllib.request.Request) -> HTTPResponse:
        return self.do_open(self._connection, req)


class _Secure(urllib.request.HTTPSHandler):
    """Opens https: addresses by watched connections."""

    def __init__(self, watch: _Watch, context: ssl.SSLContext) -> None:
        super().__init__(context=context)
        self._connection = partial(_SecureConnection, watch=watch)
        self._trusted = context

    def https_open(self, req: urllib.request.Request) -> HTTPResponse:
        return self.do_open(self._connection, req, context=self._trusted)


def _login_of(url: str) -> str | None:
    """Return the value of Authorization for the name and the password in `url`."""
    parts = urllib.parse.urlsplit(url)
    if parts.username is None:
        return None
    words = f"{urllib.parse.unquote(parts.username)}:{urllib.parse.unquote(parts.password or '')}"
    return "Basic " + base64.b64encode(words.encode()).decode()


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects to http and https only; the login goes along to the same host only."""

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        parts = urllib.parse.urlsplit(newurl)
        if parts.scheme not in ("http", "https"):
            reason = f"redirected to {parts.scheme}:, which is not followed"
            raise urllib.error.HTTPError(req.full_url, code, reason, headers, fp)
        # urllib would read what comes with the redirect, to its end.
        fp.close()
        following = super().redirect_request(req, fp, code, msg, headers, without_login(newurl))
        login = req.unredirected_hdrs.get("Authorization")
        if following is not None and login and _origin(newurl) == _origin(req.full_url):
            following.add_unredirected_header("Authorization", login)
        return following


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urllib.parse.urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or {"http": 80, "https": 443}.get(parts.scheme)


def _authorities(certificates: str | None) -> str | None:
    """Return the file or folder of authorities; None: what OpenSSL chooses (SSL_CERT_FILE counts)."""
    return certificates or os.environ.get("REQUESTS_CA_BUNDLE") or None


@cache
def _context(authorities: str | None) -> ssl.SSLContext:
    try:
        if authorities and os.path.isdir(authorities):
            return ssl.create_default_context(capath=authorities)
        return ssl.create_default_context(cafile=authorities)
    except (OSError, ssl.SSLError) as error:
        raise InputError(f"{authorities}: certificates cannot be read: {_words(error)}") from error


def _lasts(reason: object) -> bool:
    """Say whether another try would fail just so: no such file, nobody listens, no such host, no trust."""
    if isinstance(reason, socket.gaierror):
        return reason.errno == socket.EAI_NONAME
    return isinstance(
        reason, FileNotFoundError | PermissionError | ConnectionRefusedError | ssl.SSLCertVerificationError
    )


def _retry_after(error: urllib.error.HTTPError) -> float | None:
    value = error.headers.get("Retry-After", "") if error.headers else ""
    return float(value) if value.isdecimal() else None


def _words(reason: object) -> str:
    """Return what an exception says: the system's own words where it has some."""
    said = getattr(reason, "strerror", None) or str(reason) or type(reason).__name__
    return mask(" ".join(str(said).split())).lower()


def _hint(status: int | None) -> str:
    if status in (401, 403):
        return "a name and a password may be given in the address: https://NAME:PASSWORD@host/…"
    if status is None:
        return "is there a network? http_proxy, https_proxy and SSL_CERT_FILE of the environment are used"
    return "check the address"
