# SPDX-License-Identifier: MIT
"""The one way to get something by HTTP: repository metadata, public keys, source archives.

A name and a password in the address are used (Basic, RFC 7617) and never shown. They go to that host
alone: a redirect to another one (other scheme, name or port) goes without them, and only to http or https.
Proxies come from the environment (http_proxy, https_proxy, no_proxy), authorities from
SSL_CERT_FILE, REQUESTS_CA_BUNDLE or the system. What may pass is tried again.
"""

from __future__ import annotations

import base64
import os
import socket
import ssl
import time
import urllib.error
import urllib.parse
import urllib.request
from functools import cache
from http.client import HTTPException, HTTPMessage, IncompleteRead
from typing import IO

from builder.errors import InputError, RemoteError
from builder.masking import mask

# Seconds without a byte before a request is given up, and bytes a second, on the whole, that are too few.
TIMEOUT = 30.0
SLOWEST = 1000
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
    limit: int | None = None,
    certificates: str | None = None,
    timeout: float = TIMEOUT,
    retries: int = RETRIES,
) -> bytes:
    """Return what stands at `url` (http, https or file).

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


def _try(url: str, *, limit: int | None, certificates: str | None, timeout: float) -> bytes:
    request = urllib.request.Request(without_login(url), headers={"User-Agent": "openstack-builder"})
    login = _login_of(url)
    if login:
        # Unredirected: urllib would otherwise send it to wherever a redirect leads.
        request.add_unredirected_header("Authorization", login)
    secure = urllib.request.HTTPSHandler(context=_context(_authorities(certificates)))
    try:
        with urllib.request.build_opener(_Redirects(), secure).open(request, timeout=timeout) as answer:
            data = _read(answer, url, limit, timeout)
    except urllib.error.HTTPError as error:
        error.close()
        failure = HttpError(url, mask(f"HTTP {error.code} {error.reason}").rstrip(), status=error.code)
        if error.code in RETRYABLE:
            raise _Passing(failure, _retry_after(error)) from error
        raise failure from error
    except (OSError, HTTPException) as error:
        reason = getattr(error, "reason", error)
        failure = HttpError(url, _words(reason))
        failure.__cause__ = error
        if _lasts(reason):
            raise failure from error
        raise _Passing(failure) from error
    return data


def _read(answer: IO[bytes], url: str, limit: int | None, timeout: float) -> bytes:
    """Return the body, unless it has no end or comes in drops."""
    data, began = bytearray(), time.monotonic()
    while piece := answer.read1(_PIECE):  # type: ignore[attr-defined]
        data += piece
        if limit is not None and len(data) > limit:
            raise HttpError(url, f"longer than {limit} bytes")
        seconds = time.monotonic() - began - timeout
        if seconds > 0 and len(data) < seconds * SLOWEST:
            raise HttpError(url, f"fewer than {SLOWEST} bytes a second came")
    left = getattr(answer, "length", None)
    if left:
        raise IncompleteRead(bytes(data), left)
    return bytes(data)


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
        return "a name and a password may stand in the address: https://NAME:PASSWORD@host/…"
    if status is None:
        return "is there a network? http_proxy, https_proxy and SSL_CERT_FILE of the environment count"
    return "check the address"
