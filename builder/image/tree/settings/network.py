# SPDX-License-Identifier: MIT
"""network: the host name, and a profile for each interface in the form that the image reads.

NetworkManager keyfiles where there is NetworkManager (nm-settings-keyfile(5)), else systemd-networkd's
(systemd.network(5)), else ifcfg files. Never a MAC: a cloned guest has another.
"""

from __future__ import annotations

import ipaddress
import uuid

from builder.errors import InputError
from builder.image.build import Build
from builder.image.tree import tree
from builder.kickstart.plan import NetworkInterface

# systemd.network(5): what DHCP= says for (IPv4, IPv6).
DHCP = {(True, True): "yes", (True, False): "ipv4", (False, True): "ipv6", (False, False): "no"}


def apply(build: Build) -> None:
    """Write host name and interfaces."""
    if build.plan.hostname:
        tree.write("/etc/hostname", build.plan.hostname + "\n")
    for interface in build.plan.interfaces:
        _write_interface(build, interface)


def _write_interface(build: Build, interface: NetworkInterface) -> None:
    device = None if interface.device in (None, "link", "bootif", "ibft") else interface.device
    name = device or "any"
    if tree.path("/usr/sbin/NetworkManager").exists():
        folder = "/etc/NetworkManager/system-connections"
        text = keyfile(name, device, interface, seed=build.seed)
        tree.write(f"{folder}/{name}.nmconnection", text, mode=0o600)
    elif tree.path("/usr/lib/systemd/system/systemd-networkd.service").exists():
        tree.write(f"/etc/systemd/network/50-{name}.network", networkd(device, interface))
    elif tree.path("/etc/sysconfig/network-scripts").is_dir() and device:
        tree.write(f"/etc/sysconfig/network-scripts/ifcfg-{device}", ifcfg(device, interface))
    else:
        raise InputError(
            "network: the image has neither NetworkManager nor systemd-networkd nor network-scripts",
            hint="put NetworkManager into %packages",
        )


def keyfile(name: str, device: str | None, interface: NetworkInterface, *, seed: str) -> str:
    """Return NetworkManager's profile."""
    lines = ["[connection]", f"id={name}", f"uuid={uuid.uuid5(uuid.NAMESPACE_URL, seed + name)}"]
    lines += ["type=ethernet", f"autoconnect={'true' if interface.onboot else 'false'}"]
    lines += [f"interface-name={device}"] if device else []
    lines += ["", "[ethernet]", *([f"mtu={interface.mtu}"] if interface.mtu else []), "", "[ipv4]"]
    if interface.noipv4:
        lines.append("method=disabled")
    elif interface.ip:
        lines += ["method=manual", f"address1={_address(interface)}" + _comma(interface.gateway)]
    else:
        lines.append("method=auto")
    v4, v6 = _nameservers(interface)
    lines += [f"dns={';'.join(v4)};"] if v4 else []
    lines += ["", "[ipv6]"]
    if interface.noipv6:
        lines.append("method=disabled")
    elif interface.ipv6 and interface.ipv6 not in ("auto", "dhcp"):
        lines += ["method=manual", f"address1={interface.ipv6}"]
    else:
        lines.append(f"method={'dhcp' if interface.ipv6 == 'dhcp' else 'auto'}")
    lines += [f"dns={';'.join(v6)};"] if v6 else []
    return "\n".join(lines) + "\n"


def networkd(device: str | None, interface: NetworkInterface) -> str:
    """Return systemd-networkd's file."""
    lines = ["[Match]", f"Name={device or 'en* eth*'}", ""]
    if interface.mtu or not interface.onboot:
        lines += ["[Link]", *([f"MTUBytes={interface.mtu}"] if interface.mtu else [])]
        lines += ["" if interface.onboot else "ActivationPolicy=manual", ""]
    lines.append("[Network]")
    dhcp4 = not interface.noipv4 and not interface.ip
    dhcp6 = not interface.noipv6 and interface.ipv6 in (None, "auto", "dhcp")
    lines.append(f"DHCP={DHCP[dhcp4, dhcp6]}")
    if interface.noipv6:
        lines += ["LinkLocalAddressing=ipv4", "IPv6AcceptRA=no"]
    if interface.ip:
        lines.append(f"Address={_address(interface)}")
    if interface.gateway:
        lines.append(f"Gateway={interface.gateway}")
    if interface.ipv6 and interface.ipv6 not in ("auto", "dhcp"):
        lines.append(f"Address={interface.ipv6}")
    lines += [f"DNS={server}" for server in interface.nameservers]
    return "\n".join(lines) + "\n"


def ifcfg(device: str, interface: NetworkInterface) -> str:
    """Return the ifcfg file of the network-scripts."""
    lines = [f"DEVICE={device}", "TYPE=Ethernet", f"ONBOOT={'yes' if interface.onboot else 'no'}"]
    if interface.ip:
        lines += ["BOOTPROTO=none", f"IPADDR={interface.ip}", f"NETMASK={interface.netmask}"]
        lines += [f"GATEWAY={interface.gateway}"] if interface.gateway else []
    else:
        lines.append("BOOTPROTO=dhcp")
    lines += [f"DNS{number}={server}" for number, server in enumerate(interface.nameservers, 1)]
    lines.append(f"IPV6INIT={'no' if interface.noipv6 else 'yes'}")
    lines += [f"MTU={interface.mtu}"] if interface.mtu else []
    return "\n".join(lines) + "\n"


def _address(interface: NetworkInterface) -> str:
    network = ipaddress.IPv4Network(f"0.0.0.0/{interface.netmask or '255.255.255.0'}")
    return f"{interface.ip}/{network.prefixlen}"


def _comma(text: str | None) -> str:
    return f",{text}" if text else ""


def _nameservers(interface: NetworkInterface) -> tuple[list[str], list[str]]:
    v4 = [server for server in interface.nameservers if ":" not in server]
    v6 = [server for server in interface.nameservers if ":" in server]
    return v4, v6
