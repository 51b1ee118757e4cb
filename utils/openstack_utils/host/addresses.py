# SPDX-License-Identifier: MIT
"""Whether an address leads to this host."""

import socket


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
