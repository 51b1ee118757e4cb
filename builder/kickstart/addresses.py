# SPDX-License-Identifier: MIT
"""Addresses, netmasks and names of hosts: judged before anything is built. Pure; None means "is not one"."""

from __future__ import annotations

import ipaddress
import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

# gethostname(2): Linux keeps 64 bytes; RFC 1035: 63 a label.
LONGEST_HOST = 64
_LABEL = re.compile(r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?")


def is_host(text: str) -> bool:
    """Return whether a text can be the name of a host: labels of 1 to 63 bytes, 64 bytes in all."""
    return len(text) <= LONGEST_HOST and all(_LABEL.fullmatch(label) for label in text.split("."))


def is_domain(text: str) -> bool:
    """Return whether a text is a name of the DNS (RFC 1035: 253 bytes)."""
    labels = text.removesuffix(".").split(".")
    return len(text) <= 253 and all(_LABEL.fullmatch(label) for label in labels)


def is_url(text: str, *schemes: str) -> bool:
    """Return whether a text is a URL of one of `schemes`, of which only file needs no host (RFC 3986)."""
    scheme, colon, rest = text.partition("://")
    if scheme not in schemes or not colon or not rest or re.search(r"\s", text):
        return False
    try:
        parts = urlsplit(text)
        return scheme == "file" or bool(parts.hostname and parts.port != 0)
    except ValueError:  # a port beyond 16 bits, a bracket that is not closed
        return False


def ipv4(text: str) -> str | None:
    """Return an IPv4 address as it is written in full."""
    try:
        return str(ipaddress.IPv4Address(text))
    except ValueError:
        return None


def ipv6(text: str) -> str | None:
    """Return an IPv6 address in its shortest form (RFC 5952)."""
    try:
        return str(ipaddress.IPv6Address(text))
    except ValueError:
        return None


def local_path(address: str) -> Path | None:
    """Return the path on this host that a file: URL (RFC 8089) or a plain path names; None for other URLs."""
    if address.startswith("file://"):
        return Path(unquote(urlsplit(address).path))
    return None if "://" in address else Path(address)


def prefix_of(netmask: str) -> int | None:
    """Return the bits of a netmask: 24 for 255.255.255.0. A mask with a hole, or turned over, is not one."""
    address = ipv4(netmask)
    if address is None:
        return None
    bits = f"{int(ipaddress.IPv4Address(address)):032b}"
    ones = len(bits.rstrip("0"))
    return ones if "0" not in bits[:ones] else None


def is_in(address: str, network: str, prefix: int) -> bool:
    """Return whether `address` is in the network of `network`/`prefix`; all of one family."""
    return ipaddress.ip_address(address) in ipaddress.ip_network(f"{network}/{prefix}", strict=False)


def is_no_hosts(address: str, prefix: int) -> bool:
    """Return whether an IPv4 address is that of its whole network, or of all hosts in it."""
    network = ipaddress.IPv4Network(f"{address}/{prefix}", strict=False)
    ends = (network.network_address, network.broadcast_address)
    return network.num_addresses > 2 and ipaddress.IPv4Address(address) in ends
