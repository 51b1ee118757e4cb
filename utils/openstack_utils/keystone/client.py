# SPDX-License-Identifier: MIT
"""The Identity API v3 over http.client: kept connections, TLS, proxies, several requests at once.

Connections are kept and used again. A request that was not answered within the time limit is cut,
however slowly the server drips. Nothing here prints; passwords and tokens never get into a message.
"""

import base64
import http.client
import json
import os
import select
import socket
import ssl
import threading
import time
from urllib.parse import quote, unquote, urlsplit

from .. import VERSION, json_text
from ..errors import UtilityError
from ..host.addresses import read_url

UNAVAILABLE = (502, 503, 504)
# How http.client begins when a proxy does not open a tunnel (CONNECT); the status comes after it.
NO_TUNNEL = "Tunnel connection failed: "


class RemoteError(UtilityError):
    """Keystone, or the way to it, failed. `status` is HTTP's, or None without an answer."""

    exit_code = 5

    def __init__(self, message, hint=None, status=None, passing=False):
        super().__init__(message, hint)
        self.status = status
        # Worth another try while Keystone may still be starting.
        self.passing = passing


class Transport:
    """How to reach one Keystone: its URL (ending in /v3), TLS, time limit per request."""

    def __init__(self, url, *, cacert=None, insecure=False, cert=None, key=None, timeout=60):
        self.url = url
        self.parts = urlsplit(url)
        self.timeout = timeout
        self.context = None
        if self.parts.scheme == "https":
            self.context = _tls(cacert, insecure, cert, key)
        self.proxy = _proxy_for(self.parts)

    def connect(self):
        """Return a new, unconnected http.client connection."""
        host, port = self.parts.hostname, self.parts.port
        via = self.proxy or self.parts
        if self.context is None:
            return http.client.HTTPConnection(
                via.hostname, (via.port or 80) if self.proxy else port, timeout=self.timeout
            )
        connection = http.client.HTTPSConnection(
            via.hostname,
            via.port or (80 if self.proxy else 443),
            timeout=self.timeout,
            context=self.context,
        )
        if self.proxy:
            connection.set_tunnel(host, port or 443, _proxy_headers(self.proxy))
        return connection

    def target(self, path):
        """Return what the request line names: a path, or through a plain proxy the whole URL."""
        if self.proxy and self.context is None:
            return self.url + path
        return self.parts.path + path

    def headers(self):
        """Return the headers of every request."""
        headers = {"Accept": "application/json", "User-Agent": "openstack-utils/" + VERSION}
        if self.proxy and self.context is None:
            headers.update(_proxy_headers(self.proxy))
        return headers


class KeystoneClient:
    """Requests to one Keystone; `token` is sent with all of them once it is set."""

    def __init__(self, transport):
        self.transport = transport
        self.token = None
        self.renew = None
        # Seconds after which what was forbidden is asked again.
        self.pauses = []
        self._renewing = threading.Lock()
        self._kept = []

    @property
    def url(self):
        return self.transport.url

    def get(self, path, **query):
        """Return the JSON that GET gives; `query` becomes the query string."""
        return self.call("GET", path + _query(query))

    def call(self, method, path, body=None):
        """Send a request with the token; return the JSON of the answer.

        A token that ran out, or was revoked by a change of the password, is renewed. What is forbidden
        was not done: after each of `pauses` it is asked for again. A process of Keystone that has just been
        started reads its policy while it answers the first requests, and forbids what comes meanwhile
        (seen with Keystone 30.0.0, oslo.policy's load_rules, and several threads).
        Raises RemoteError.
        """
        for pause in self.pauses:
            try:
                return self._call(method, path, body)
            except RemoteError as error:
                if error.status != 403:
                    raise
            time.sleep(pause)
        return self._call(method, path, body)

    def _call(self, method, path, body):
        # A change of the password revokes the tokens of its second, too: Keystone counts in whole seconds
        # (keystone/models/revoke_model.py). The second time, one is asked for that is a second younger.
        for pause in (0, 1):
            token = self.token
            try:
                return self.send(method, path, body, token=token)[1]
            except RemoteError as error:
                if error.status != 401 or self.renew is None:
                    raise
            time.sleep(pause)
            with self._renewing:
                # Another thread may have done it meanwhile.
                if self.token == token:
                    self.renew()
        return self.send(method, path, body, token=self.token)[1]

    def send(self, method, path, body=None, token=None):
        """Send one request; return (headers, JSON of the answer).

        Raises RemoteError for every status of 300 and above, and where there is no answer.
        """
        what = "%s %s" % (method, self.url + path.partition("?")[0])
        data = None if body is None else json.dumps(body).encode()
        headers = self.transport.headers()
        if token:
            headers["X-Auth-Token"] = token
        if data is not None:
            headers["Content-Type"] = "application/json"
        status, reason, answer_headers, raw = self._exchange(what, method, path, data, headers)
        if status >= 300:
            raise _refused(what, status, reason, raw, body)
        if not raw:
            return answer_headers, None
        try:
            return answer_headers, json_text.parse(raw)
        except ValueError:
            message = "%s: the answer is not JSON" % what
            raise RemoteError(message, hint="is that Keystone's address?") from None

    def _exchange(self, what, method, path, data, headers):
        connection, kept = self._borrow()
        try:
            return self._talk(connection, method, path, data, headers)
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            # The server closed a kept connection just then. What cannot make a second object is sent
            # again; a POST is not: a service of the same name may be there twice.
            if not kept or method == "POST" or isinstance(error, socket.timeout):
                raise _unreachable(what, error, self.transport) from None
        connection = self.transport.connect()
        try:
            return self._talk(connection, method, path, data, headers)
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            raise _unreachable(what, error, self.transport) from None

    def _talk(self, connection, method, path, data, headers):
        limit = _Limit(connection, self.transport.timeout)
        try:
            connection.request(method, self.transport.target(path), data, headers)
            response = connection.getresponse()
            raw = response.read()
        except (OSError, http.client.HTTPException, ValueError) as error:
            if limit.reached:
                raise socket.timeout("timed out") from None
            raise _failure(error) from None
        finally:
            limit.stop()
        if limit.reached:
            raise socket.timeout("timed out")
        if response.will_close:
            connection.close()
        else:
            self._kept.append(connection)
        return response.status, response.reason, response.headers, raw

    def _borrow(self):
        """Return a connection of our own for one request, and whether it was used before."""
        while True:
            try:
                connection = self._kept.pop()
            except IndexError:
                return self.transport.connect(), False
            # Readable without a request: the server has closed it.
            if connection.sock is not None and not select.select([connection.sock], [], [], 0)[0]:
                return connection, True
            connection.close()


def _failure(error):
    """Return what http.client raised as one of the two kinds of failure that it should be."""
    if isinstance(error, (OSError, http.client.HTTPException)):
        return error
    if isinstance(error, ssl.CertificateError):
        # A certificate for another host, until Python 3.7.
        return ssl.SSLError(ssl.SSL_ERROR_SSL, str(error))
    return http.client.HTTPException(str(error))


class _Limit:
    """Cuts a connection when the time for a request is over."""

    def __init__(self, connection, seconds):
        self.connection = connection
        self.reached = False
        self.timer = threading.Timer(seconds, self._cut)
        self.timer.daemon = True
        self.timer.start()

    def stop(self):
        self.timer.cancel()

    def _cut(self):
        self.reached = True
        try:
            self.connection.sock.shutdown(socket.SHUT_RDWR)
        except (AttributeError, OSError):
            # Not connected yet: connecting has the same limit of its own.
            pass


def wait_for(try_once, seconds, say):
    """Return try_once(), tried again while Keystone does not answer, for at most so many seconds."""
    deadline = time.monotonic() + seconds
    pause, announced = 0.1, False
    while True:
        try:
            return try_once()
        except RemoteError as error:
            left = deadline - time.monotonic()
            if not error.passing:
                raise
            if left <= 0:
                if seconds:
                    error.message += " (waited %g s)" % seconds
                raise
            if not announced:
                say("%s; waiting for up to %g s" % (error.message, seconds))
                announced = True
        time.sleep(min(pause, max(0.0, left)))
        pause = min(2.0, pause * 1.6)


def _query(query):
    pairs = ["%s=%s" % (name, quote(str(value), safe="")) for name, value in sorted(query.items())]
    return "?" + "&".join(pairs) if pairs else ""


def _tls(cacert, insecure, cert, key):
    if cacert and not os.path.exists(cacert):
        raise UtilityError("%s: no such file" % cacert, hint="--cacert names a file of PEM certificates")
    try:
        context = ssl.create_default_context(cafile=cacert or None)
        if cert:
            context.load_cert_chain(cert, key or None)
    except OSError as error:
        name = cert if cert and os.path.exists(cacert or "/") else cacert
        reason = getattr(error, "reason", None) or error.strerror or error
        raise UtilityError("%s: %s" % (name, str(reason).lower())) from None
    if insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _proxy_for(parts):
    """Return the parts of the proxy's URL, or None. Loopback is never reached through a proxy."""
    from urllib.request import getproxies_environment, proxy_bypass_environment  # type: ignore[attr-defined]

    host = parts.hostname or ""
    if host == "localhost" or host == "::1" or host.startswith("127."):
        return None
    proxy = getproxies_environment().get(parts.scheme)
    if not proxy or proxy_bypass_environment(host):
        return None
    source = parts.scheme + "_proxy"
    return read_url(proxy, source, "URL of a proxy", "http://proxy.example.com:3128")


def _proxy_headers(proxy):
    if proxy.username is None:
        return {}
    login = "%s:%s" % (unquote(proxy.username), unquote(proxy.password or ""))
    return {"Proxy-Authorization": "Basic " + base64.b64encode(login.encode()).decode()}


def _refused(what, status, reason, raw, body):
    said = _said(raw)
    for secret in _passwords(body):
        said = said.replace(secret, "***")
    message = "%s: HTTP %d %s" % (what, status, reason)
    if said:
        message += ": " + said
    return RemoteError(message, status=status, passing=status in UNAVAILABLE)


def _said(raw):
    """Return the text in Keystone's answer to what it refuses, in one line."""
    try:
        value = json_text.parse(raw)
        text = value["error"]["message"]
    except (ValueError, KeyError, TypeError):
        return ""
    text = " ".join(str(text).split()).rstrip(".")
    return text[:300]


def _passwords(value):
    if isinstance(value, dict):
        for name, item in value.items():
            if name in ("password", "secret", "original_password") and isinstance(item, str) and item:
                yield item
            else:
                yield from _passwords(item)
    elif isinstance(value, list):
        for item in value:
            yield from _passwords(item)


def _unreachable(what, error, transport):
    """Return the RemoteError for a request without an answer."""
    hint, passing = None, True
    if isinstance(error, socket.timeout):
        reason = "no answer within %g s" % transport.timeout
        hint = "--timeout changes the limit"
    elif isinstance(error, ssl.SSLError):
        said = getattr(error, "verify_message", None) or getattr(error, "reason", None) or str(error)
        reason = "TLS: " + (said.lower().replace("_", " ") if said.isupper() else said)
        hint = "--cacert FILE names the certificates to trust"
        if "version" in reason.lower() and "wrong" in reason.lower():
            hint = "the port does not use TLS: is the URL http://, not https://?"
        passing = False
    elif isinstance(error, socket.gaierror):
        reason = "the name %s is not known" % (transport.proxy or transport.parts).hostname
    elif isinstance(error, ConnectionResetError):
        closed = isinstance(error, http.client.RemoteDisconnected)
        reason = "the connection was closed without an answer" if closed else "connection reset by peer"
        if transport.parts.scheme == "http":
            hint = "does the port speak https, or is it not Keystone's?"
    elif isinstance(error, http.client.BadStatusLine):
        reason, passing = "the answer is not HTTP", False
        hint = "is that Keystone's port?"
    elif str(error).startswith(NO_TUNNEL):
        status = str(error)[len(NO_TUNNEL) :].strip()
        reason = "CONNECT: HTTP " + status
        hint = "https_proxy names the proxy, user:password@ before it where it asks; no_proxy goes past it"
        passing = status.startswith(tuple(map(str, UNAVAILABLE)))
    elif isinstance(error, OSError) and error.strerror:
        reason = error.strerror.lower()
    else:
        reason = (str(error) or type(error).__name__).lower()
    if transport.proxy:
        reason += " (through the proxy %s:%s)" % (
            transport.proxy.hostname,
            transport.proxy.port or 80,
        )
    return RemoteError("%s: %s" % (what, reason), hint=hint, passing=passing)
