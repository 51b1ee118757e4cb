# SPDX-License-Identifier: MIT
"""The text of a connection's profile, in the forms that images read. Pure.

NetworkManager's keyfiles (nm-settings-keyfile(5)), systemd-networkd's files (systemd.network(5)), and the
ifcfg files of EL up to 8 (sysconfig.txt of initscripts).
"""

from __future__ import annotations

import uuid

from builder.kickstart.settings.network import NetworkInterface

# systemd.network(5): what DHCP= says for (IPv4, IPv6).
DHCP = {(True, True): "yes", (True, False): "ipv4", (False, True): "ipv6", (False, False): "no"}
_AUTO6 = (None, "auto", "dhcp")
_KEYFILE_ETHTOOL = {"speed": "speed", "duplex": "duplex", "autoneg": "auto-negotiate"}


def keyfile(interface: NetworkInterface, *, seed: str) -> str:
    """Return NetworkManager's profile; its uuid follows from `seed`."""
    one = interface
    sections: list[tuple[str, list[tuple[str, str | None]]]] = [
        (
            "connection",
            [
                ("id", one.name),
                ("uuid", str(uuid.uuid5(uuid.NAMESPACE_URL, seed + one.name))),
                ("type", one.kind),
                ("autoconnect", "true" if one.onboot else "false"),
                # A profile for any device must not win over one for this device.
                ("autoconnect-priority", None if one.device or one.mac or one.controller else "-1"),
                ("interface-name", one.device),
                ("master", one.controller),
                ("slave-type", one.controller_kind),
            ],
        ),
        (
            "ethernet",
            [
                ("mac-address", one.mac),
                ("mtu", str(one.mtu) if one.mtu else None),
                *((_KEYFILE_ETHTOOL[key], _on_off(value)) for key, value in one.ethtool),
            ],
        ),
        *_keyfile_kind(one),
    ]
    if not one.controller:
        sections += [("ipv4", _keyfile_ipv4(one)), ("ipv6", _keyfile_ipv6(one))]
    lines = []
    for name, pairs in sections:
        lines += [f"[{name}]", *(f"{key}={value}" for key, value in pairs if value is not None), ""]
    return "\n".join(lines).rstrip("\n") + "\n"


def _keyfile_kind(one: NetworkInterface) -> list[tuple[str, list[tuple[str, str | None]]]]:
    """Return the section of a bond, bridge, team or vlan, or of a device in a team."""
    if one.kind == "vlan":
        return [("vlan", [("id", str(one.vlan_id)), ("parent", one.parent), ("flags", "1")])]
    if one.kind == "bridge":
        return [("bridge", [(key, _true_false(value)) for key, value in one.options])]
    if one.kind == "bond":
        return [("bond", list(one.options))]
    if one.kind == "team":
        return [("team", [("config", one.team_config)])]
    if one.controller_kind == "team" and one.team_config:
        return [("team-port", [("config", one.team_config)])]
    return []


def _keyfile_ipv4(one: NetworkInterface) -> list[tuple[str, str | None]]:
    if one.noipv4:
        pairs: list[tuple[str, str | None]] = [("method", "disabled")]
    elif one.ip:
        gateway = f",{one.gateway}" if one.gateway else ""
        pairs = [("method", "manual"), ("address1", f"{one.ip}/{one.prefix}{gateway}")]
    else:
        pairs = [("method", "auto"), ("dhcp-vendor-class-identifier", one.dhcp_class)]
    servers = [server for server in one.nameservers if ":" not in server]
    return [*pairs, *_keyfile_dns(one, servers, one.dns_search4, ignore=one.ignore_dns4)]


def _keyfile_ipv6(one: NetworkInterface) -> list[tuple[str, str | None]]:
    if one.noipv6:
        pairs: list[tuple[str, str | None]] = [("method", "disabled")]
    elif one.ipv6 in _AUTO6:
        pairs = [("method", one.ipv6 or "auto")]
    else:
        gateway = f",{one.ipv6_gateway}" if one.ipv6_gateway else ""
        pairs = [("method", "manual"), ("address1", f"{one.ipv6}{gateway}")]
    servers = [server for server in one.nameservers if ":" in server]
    return [*pairs, *_keyfile_dns(one, servers, one.dns_search6, ignore=one.ignore_dns6)]


def _keyfile_dns(
    one: NetworkInterface, servers: list[str], search: tuple[str, ...], *, ignore: bool
) -> list[tuple[str, str | None]]:
    return [
        ("dns", ";".join((*servers, "")) if servers else None),
        ("dns-search", ";".join((*search, "")) if search else None),
        ("ignore-auto-dns", "true" if ignore else None),
        ("never-default", None if one.default_route else "true"),
    ]


def _true_false(value: str) -> str:
    return {"yes": "true", "no": "false"}.get(value, value)


def _on_off(value: str) -> str:
    return {"on": "true", "off": "false"}.get(value, value)


def networkd(one: NetworkInterface) -> str:
    """Return systemd-networkd's file of an ethernet device."""
    match = [f"MACAddress={one.mac}"] if one.mac else [f"Name={one.device or 'en* eth*'}"]
    link = [f"MTUBytes={one.mtu}"] if one.mtu else []
    link += [] if one.onboot else ["ActivationPolicy=manual"]
    dhcp4 = not one.noipv4 and not one.ip
    dhcp6 = not one.noipv6 and one.ipv6 in _AUTO6
    network = [f"DHCP={DHCP[dhcp4, dhcp6]}"]
    network += ["LinkLocalAddressing=ipv4", "IPv6AcceptRA=no"] if one.noipv6 else []
    network += [f"Address={one.ip}/{one.prefix}"] if one.ip else []
    network += [f"Gateway={one.gateway}"] if one.gateway and one.default_route else []
    network += [f"Address={one.ipv6}"] if one.ipv6 not in _AUTO6 else []
    network += [f"Gateway={one.ipv6_gateway}"] if one.ipv6_gateway and one.default_route else []
    network += [f"DNS={server}" for server in one.nameservers]
    domains = dict.fromkeys((*one.dns_search4, *one.dns_search6))
    network += [f"Domains={' '.join(domains)}"] if domains else []
    routes = [] if one.default_route else ["UseGateway=no"]
    dhcp = [*(["UseDNS=no"] if one.ignore_dns4 else []), *routes]
    dhcp += [f"VendorClassIdentifier={one.dhcp_class}"] if one.dhcp_class else []
    dhcp_v6 = ["UseDNS=no"] if one.ignore_dns6 else []
    router = [*dhcp_v6, *routes]
    sections = (
        ("Match", match), ("Link", link), ("Network", network), ("DHCPv4", dhcp), ("DHCPv6", dhcp_v6),
        ("IPv6AcceptRA", router),
    )  # fmt: skip
    return "\n\n".join("\n".join([f"[{name}]", *lines]) for name, lines in sections if lines) + "\n"


def ifcfg(one: NetworkInterface) -> str:
    """Return the ifcfg file of the network-scripts, which NetworkManager of EL up to 8 reads as well."""
    kinds = {"ethernet": "Ethernet", "bond": "Bond", "bridge": "Bridge", "team": "Team", "vlan": "Vlan"}
    pairs: list[tuple[str, str | None]] = [
        ("NAME", one.name if one.controller else None),
        ("DEVICE", one.device),
        ("HWADDR", one.mac),
        ("TYPE", kinds[one.kind] if one.controller_kind != "team" else None),
        ("ONBOOT", "yes" if one.onboot else "no"),
    ]
    pairs += _ifcfg_kind(one)
    if not one.controller:
        pairs += _ifcfg_addresses(one)
    pairs.append(("MTU", str(one.mtu) if one.mtu else None))
    pairs.append(("ETHTOOL_OPTS", " ".join(f"{key} {value}" for key, value in one.ethtool) or None))
    return "".join(f"{key}={_shell(value)}\n" for key, value in pairs if value is not None)


def _ifcfg_kind(one: NetworkInterface) -> list[tuple[str, str | None]]:
    options = " ".join(f"{key}={value}" for key, value in one.options)
    if one.kind == "bond":
        return [("BONDING_MASTER", "yes"), ("BONDING_OPTS", options or None)]
    if one.kind == "bridge":
        known = dict(one.options)
        return [
            ("STP", known.pop("stp", None)),
            ("DELAY", known.pop("forward-delay", None)),
            ("BRIDGING_OPTS", " ".join(f"{key.replace('-', '_')}={known[key]}" for key in known) or None),
        ]
    if one.kind == "team":
        return [("DEVICETYPE", "Team"), ("TEAM_CONFIG", one.team_config)]
    if one.kind == "vlan":
        return [("VLAN", "yes"), ("VLAN_ID", str(one.vlan_id)), ("PHYSDEV", one.parent)]
    if one.controller_kind == "bond":
        return [("MASTER", one.controller), ("SLAVE", "yes")]
    if one.controller_kind == "bridge":
        return [("BRIDGE", one.controller)]
    if one.controller_kind == "team":
        return [
            ("DEVICETYPE", "TeamPort"),
            ("TEAM_MASTER", one.controller),
            ("TEAM_PORT_CONFIG", one.team_config),
        ]
    return []


def _ifcfg_addresses(one: NetworkInterface) -> list[tuple[str, str | None]]:
    if one.ip:
        pairs: list[tuple[str, str | None]] = [
            ("BOOTPROTO", "none"),
            ("IPADDR", one.ip),
            ("PREFIX", str(one.prefix)),
            ("GATEWAY", one.gateway),
        ]
    else:
        pairs = [
            ("BOOTPROTO", "none" if one.noipv4 else "dhcp"),
            ("DHCP_VENDOR_CLASS_IDENTIFIER", one.dhcp_class),
        ]
    pairs += [(f"DNS{number}", server) for number, server in enumerate(one.nameservers, 1)]
    domains = dict.fromkeys((*one.dns_search4, *one.dns_search6))
    pairs += [
        ("DOMAIN", " ".join(domains) or None),
        ("PEERDNS", "no" if one.ignore_dns4 or one.ignore_dns6 else None),
        ("DEFROUTE", None if one.default_route else "no"),
        ("IPV6INIT", "no" if one.noipv6 else "yes"),
    ]
    if one.noipv6:
        return pairs
    if one.ipv6 == "dhcp":
        return [*pairs, ("IPV6_AUTOCONF", "no"), ("DHCPV6C", "yes")]
    if one.ipv6 in _AUTO6:
        return [*pairs, ("IPV6_AUTOCONF", "yes" if one.ipv6 == "auto" else None)]
    return [
        *pairs, ("IPV6_AUTOCONF", "no"), ("IPV6ADDR", one.ipv6), ("IPV6_DEFAULTGW", one.ipv6_gateway),
    ]  # fmt: skip


def _shell(value: str) -> str:
    """Return a value as the shell reads it."""
    if value and all(letter.isalnum() or letter in "._:/,=-" for letter in value):
        return value
    return "'" + value.replace("'", "'\\''") + "'"
