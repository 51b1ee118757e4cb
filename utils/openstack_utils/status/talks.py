# SPDX-License-Identifier: MIT
"""A few words with a server of others, in its own protocol and without logging in: does it answer?

Each function takes a connected socket and returns what the server says of itself ("" for nothing); it
raises UnreachableError for an answer that is none. Sources: the protocols' own documents.
"""

import json
import socket
import struct

from ..errors import UnreachableError
from .asking import LeftOut

# AMQP 0-9-1, 4.2.2; a server that speaks another version answers with its own header.
AMQP_HEADER = b"AMQP\x00\x00\x09\x01"
# PostgreSQL's SSLRequest: the answer is one byte, before any login.
SSL_REQUEST = struct.pack("!II", 8, 80877103)


def mysql(channel):
    """The server speaks first: its greeting, or why it greets nobody."""
    head = _exactly(channel, 5)
    rest = _some(channel)
    if head[4] == 0xFF:
        # Error packet: two bytes of code, perhaps '#' and five of SQLSTATE, the text.
        text = rest[2:].decode("utf-8", "replace")
        raise UnreachableError(text[6:] if text.startswith("#") else text)
    if head[4] not in (9, 10):
        raise UnreachableError("no MySQL or MariaDB there")
    version = rest.partition(b"\0")[0].decode("ascii", "replace")
    # MariaDB puts the version of a MySQL in front, for old clients.
    return version[len("5.5.5-") :] if version.startswith("5.5.5-") else version


def postgresql(channel):
    channel.sendall(SSL_REQUEST)
    if _exactly(channel, 1) not in (b"S", b"N"):
        raise UnreachableError("no PostgreSQL there")
    return ""


def amqp(channel):
    channel.sendall(AMQP_HEADER)
    said = _some(channel)
    if said[:4] == b"AMQP":
        return "AMQP %d-%d" % (said[6], said[7]) if len(said) >= 8 else ""
    if said[:1] != b"\x01":
        raise UnreachableError("no AMQP there")
    return _field(said, b"version")


def memcached(channel):
    channel.sendall(b"version\r\n")
    said = _some(channel)
    if not said.startswith(b"VERSION"):
        raise UnreachableError("no memcached there")
    return said.split()[1].decode("ascii", "replace") if len(said.split()) > 1 else ""


def ovsdb(channel):
    """RFC 7047, 4.1.11: echo."""
    channel.sendall(json.dumps({"method": "echo", "params": [], "id": "status"}).encode())
    if b'"result"' not in _some(channel):
        raise UnreachableError("no database of Open vSwitch there")
    return ""


def connect(channel):
    """That it takes a connection is all that is asked."""
    del channel
    return ""


TALKS = {
    "mysql": mysql, "postgresql": postgresql, "amqp": amqp, "memcached": memcached, "ovsdb": ovsdb,
    "connect": connect,
}  # fmt: skip


def ask(talk, places, limit):
    """Talk to the first of `places` that is there: paths of Unix sockets, (host, port) pairs.

    Returns what it says of itself. Raises LeftOut where we may not, UnreachableError without an answer.
    """
    refused = None
    for place in places:
        try:
            with _open(place, limit) as channel:
                return TALKS[talk](channel)
        except FileNotFoundError:
            continue
        except PermissionError:
            raise LeftOut("%s may not be reached" % (place,)) from None
        except socket.timeout:
            raise UnreachableError("no answer within %g s" % limit.seconds) from None
        except OSError as error:
            # What a server has left of its socket; it may listen elsewhere.
            refused = refused or (error.strerror or str(error)).lower()
    raise UnreachableError(refused or "its socket is not there")


def _open(place, limit):
    if isinstance(place, str):
        channel = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        channel.settimeout(limit.left())
        try:
            channel.connect(place)
        except BaseException:
            channel.close()
            raise
        return channel
    channel = socket.create_connection(place, limit.left())
    channel.settimeout(limit.left())
    return channel


def _exactly(channel, count):
    data = b""
    while len(data) < count:
        more = channel.recv(count - len(data))
        if not more:
            raise UnreachableError("it closed the connection without an answer")
        data += more
    return data


def _some(channel):
    data = channel.recv(8192)
    if not data:
        raise UnreachableError("it closed the connection without an answer")
    return data


def _field(frame, name):
    """Return a long string of an AMQP table, by its name; "" where it is not in this frame."""
    mark = bytes([len(name)]) + name + b"S"
    start = frame.find(mark)
    if start < 0 or len(frame) < start + len(mark) + 4:
        return ""
    start += len(mark)
    (length,) = struct.unpack("!I", frame[start : start + 4])
    return frame[start + 4 : start + 4 + length].decode("utf-8", "replace")
