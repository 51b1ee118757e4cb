# SPDX-License-Identifier: MIT
"""Addresses as people write them: hosts and URLs are read here, and whether a host is this one.

`source` says where an address is from (an option, a variable, a file and its line): a malformed one is named
with it. What is before an `@` is a login, and never shown.
"""

import re
import socket
from urllib.parse import urlsplit

from ..errors import UsageError

LABEL = r"[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?"
NAME = re.compile(r"(?=.{1,253}\Z)%s(\.%s)*\.?" % (LABEL, LABEL))


def read_host(text, source):
    """Return a host's name or address without brackets. Raises UsageError."""
    host = text[1:-1] if text.startswith("[") and text.endswith("]") else text
    if not _is_host(host):
        raise UsageError('%s: "%s" is not the name or address of a host' % (source, text))
    return host


def read_port(text, source):
    """Return a port as a number from 1 to 65535. Raises UsageError."""
    if not re.fullmatch("[0-9]{1,5}", text) or not 0 < int(text) < 65536:
        raise UsageError('%s: "%s" is not a port' % (source, text), hint="a number from 1 to 65535")
    return int(text)


def read_url(text, source, what="URL", example="http://localhost:5000/v3"):
    """Return the parts of an http or https URL, as urlsplit gives them; http:// may be left out.

    Raises UsageError.
    """
    try:
        parts = urlsplit(text if "://" in text else "http://" + text)
        # Reading the port is what checks it.
        is_good = parts.scheme in ("http", "https") and _is_host(parts.hostname or "") and parts.port != 0
    except ValueError:
        is_good = False
    if not is_good or re.search(r"[\x00-\x20\x7f]", text):
        shown = "***@" + text.rpartition("@")[2] if "@" in text else text
        hint = "such as %s" % example
        if "@" in text:
            hint += "; / # ? @ and : of a password are written %2F %23 %3F %40 and %3A"
        raise UsageError('%s: "%s" is not the %s' % (source, shown, what), hint=hint)
    return parts


def is_local(host):
    """Say whether a host's name or address is one of this host: whether it can be bound."""
    try:
        found = socket.getaddrinfo(host, 0, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return False
    for family, kind, protocol, _, address in found:
        with socket.socket(family, kind, protocol) as probe:
            try:
                probe.bind(address)
            except OSError:
                continue
            return True
    return False


def _is_host(host):
    if ":" in host:
        try:
            socket.inet_pton(socket.AF_INET6, host.partition("%")[0])
        except (OSError, ValueError):
            return False
        return True
    try:
        return NAME.fullmatch(host.encode("idna").decode()) is not None
    except UnicodeError:
        return False
