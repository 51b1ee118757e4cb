# SPDX-License-Identifier: MIT
"""Addresses, netmasks and names of hosts: judged before anything is built. Pure; None means "is not one"."""

from __future__ import annotations

import ipaddress
import re

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
