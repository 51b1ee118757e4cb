# SPDX-License-Identifier: MIT
"""Host name and interfaces."""

from __future__ import annotations

from builder.kickstart.plan import NetworkInterface
from builder.kickstart.read import Kickstart
from builder.kickstart.syntax import Command
from builder.kickstart.values import DEVICE, HOST, MAC, fits

# A network line with nothing else is about the host, not about an interface.
_NO_INTERFACE = frozenset({"--hostname", "--activate", "--no-activate", "--notksdevice"})


def plan_network(ks: Kickstart) -> tuple[str | None, tuple[NetworkInterface, ...]]:
    """Return the host name and the interfaces; a later line for the same device replaces the earlier."""
    hostname: str | None = None
    found: dict[str | None, NetworkInterface] = {}
    for line in ks.all("network"):
        name = str(line.get("hostname", ""))
        if name and fits(ks, line, HOST, name, "a host name"):
            hostname = name
        if line.options - _NO_INTERFACE:
            interface = _plan_interface(ks, line)
            if interface is not None:
                found[interface.device] = interface
    return hostname, tuple(found.values())


def _plan_interface(ks: Kickstart, line: Command) -> NetworkInterface | None:
    device: str | None = str(line.get("device", "")) or None
    if device in ("link", "bootif", "ibft"):
        device = None
    if device is not None and MAC.fullmatch(device):
        ks.findings.error(
            line.place,
            f"network --device={device}: an image is not bound to a MAC address",
            "write --device=link, or the name eth0",
        )
        return None
    if device is not None and not fits(ks, line, DEVICE, device, "the name of a device"):
        return None
    # --noipv4 empties it, and bootp is what a DHCP client speaks.
    bootproto = str(line.get("bootProto", "dhcp")).lower().replace("bootp", "dhcp") or "dhcp"
    if bootproto not in ("dhcp", "static"):
        ks.findings.error(
            line.place, f"network --bootproto={bootproto}: is not handled", "write dhcp or static"
        )
        return None
    address = str(line.get("ip", "")) or None
    if bootproto == "static" and address is None:
        ks.findings.error(line.place, "network --bootproto=static: needs --ip", "add --ip and --netmask")
    if bootproto == "dhcp" and address is not None and "--bootproto" not in line.options:
        ks.findings.warn(line.place, "network --ip: without --bootproto=static the address is not used")
    mtu = str(line.get("mtu", ""))
    if mtu and not mtu.isdecimal():
        ks.findings.error(line.place, f"network --mtu={mtu}: is not a number")
        mtu = ""
    names = str(line.get("nameserver", ""))
    return NetworkInterface(
        device=device,
        bootproto=bootproto,
        ip=address,
        netmask=str(line.get("netmask", "")) or None,
        gateway=str(line.get("gateway", "")) or None,
        nameservers=tuple(name.strip() for name in names.split(",") if name.strip()),
        ipv6=str(line.get("ipv6", "")) or None,
        noipv4=bool(line.get("noipv4", False)),
        noipv6=bool(line.get("noipv6", False)),
        onboot=bool(line.get("onboot", True)),
        mtu=int(mtu) if mtu else None,
    )
