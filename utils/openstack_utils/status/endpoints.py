# SPDX-License-Identifier: MIT
"""The addresses on which services answer over HTTP, and what they answer: their version documents."""

import http.client
import socket
import ssl
import time
from typing import NamedTuple
from urllib.parse import urljoin, urlsplit

from .. import VERSION, json_text
from ..errors import UnreachableError

ANY = ("", "0.0.0.0", "::", "*")
REDIRECTS = 5
LARGEST = 256 * 1024
# 300: several versions; 401: it wants a token, and is there.
WELL = (200, 203, 204, 300, 401)
# How what speaks TLS answers to plain HTTP: Apache's and uwsgi's 400, or the end of the connection.
TLS_STATUS = 400


class Address(NamedTuple):
    """Where a service answers."""

    service: str
    url: str


class Reply(NamedTuple):
    """The last status, the URL that gave it, the newest version that the document names, seconds."""

    status: int
    url: str
    version: str
    seconds: float

    @property
    def is_well(self):
        return self.status in WELL


def addresses(facts, installed, settings):
    """Return the Addresses of a project: of those services of `installed` (names) that answer over HTTP."""
    found = []
    for name, each in facts["services"].items():
        if each["http"] and name in installed:
            where = locate(each["http"], settings)
            if where:
                found.append(Address(name, where))
    site = facts["site"]
    if site and (site["name"] in installed or any(map(settings.exists, facts["configuration"]))):
        found.append(Address(site["name"], "http://127.0.0.1:%d%s/" % (site["port"], site["url"])))
    return found


def locate(facts, settings):
    """Return the URL of what `http` of services.json says; None where it listens on a Unix socket."""
    option = facts["option"]
    file, section = option["file"], option["section"]
    scheme, host, port = "http", "", str(facts["port"])
    value = settings.value(file, section, option["key"]) or ""
    secure = settings.value(file, section, "https-socket") if section == "uwsgi" else None
    if secure:
        scheme, value = "https", secure.partition(",")[0]
    if value.startswith("/"):
        return None
    if ":" in value:
        host, _, port = value.rpartition(":")
    elif value:
        port = value
    if facts["host"]:
        host = settings.value(file, section, facts["host"]) or ""
    host = host.strip("[]")
    host = "127.0.0.1" if host in ANY else host
    return "%s://%s:%s%s" % (scheme, "[%s]" % host if ":" in host else host, port, facts["path"])


def look(url, limit):
    """GET a URL, on this host and without a proxy; return the Reply.

    Redirects are followed on this host; a certificate is not checked, as nothing is sent. Raises
    UnreachableError: refused, no answer within the limit, no HTTP.
    """
    started = time.monotonic()
    for _ in range(REDIRECTS + 1):
        try:
            status, location, raw = _get(url, limit)
        except (ConnectionResetError, http.client.HTTPException):
            if url.startswith("https:"):
                raise UnreachableError("no HTTP there") from None
            status, location, raw = TLS_STATUS, None, b""
        except socket.timeout:
            raise UnreachableError("no answer within %g s" % limit.seconds) from None
        except OSError as error:
            raise UnreachableError((error.strerror or str(error)).lower()) from None
        if status == TLS_STATUS and url.startswith("http:"):
            url = "https:" + url[len("http:") :]
            continue
        if location is None or urlsplit(location).hostname != urlsplit(url).hostname:
            break
        url = location
    return Reply(status, url, newest_version(raw), time.monotonic() - started)


def _get(url, limit):
    parts = urlsplit(url)
    connection = _connection(parts, limit)
    try:
        path = parts.path + ("?" + parts.query if parts.query else "")
        headers = {"Accept": "application/json, */*", "User-Agent": "openstack-status/" + VERSION}
        connection.request("GET", path or "/", headers=headers)
        response = connection.getresponse()
        location = response.getheader("Location") if response.status in (301, 302, 303, 307, 308) else None
        return response.status, urljoin(url, location) if location else None, response.read(LARGEST)
    finally:
        connection.close()


def _connection(parts, limit):
    if parts.scheme == "http":
        return http.client.HTTPConnection(parts.hostname, parts.port, timeout=limit.left())
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return http.client.HTTPSConnection(parts.hostname, parts.port, timeout=limit.left(), context=context)


def newest_version(raw):
    """Return the newest version that a version document names (`v3.14`), "" for any other text."""
    try:
        value = json_text.parse(raw)
    except ValueError:
        return ""
    value = value.get("versions", value.get("version")) if isinstance(value, dict) else None
    if isinstance(value, dict):
        value = value.get("values", [value])
    if not isinstance(value, list):
        return ""
    entries = [each for each in value if isinstance(each, dict) and each.get("id")]
    if not entries:
        return ""
    current = [each for each in entries if str(each.get("status")).lower() in ("current", "stable")]
    best = max(current or entries, key=lambda each: _numbers(each["id"]))
    micro = best.get("max_version") or best.get("version")
    return "%s (%s)" % (best["id"], micro) if micro else str(best["id"])


def _numbers(text):
    return [int(word) for word in str(text).lstrip("v").split(".") if word.isdigit()]
