# SPDX-License-Identifier: MIT
"""network: the host name, and the connections: each network line becomes a profile, as do its lower devices.

What Anaconda makes of a line is the measure (pyanaconda/modules/network/nm_client.py).
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

from builder import json_text
from builder.kickstart import addresses
from builder.kickstart.parsed import Kickstart, ParsedCommand
from builder.kickstart.place import Place
from builder.kickstart.plan import Setting
from builder.kickstart.values import DEVICE, MAC, fits

# A network line with nothing else is about the host, not about an interface.
_NO_INTERFACE = frozenset({"--hostname", "--activate", "--no-activate", "--notksdevice"})
_ANY = ("link", "bootif", "ibft")
_MTU = range(68, 65536)
_VLANS = range(1, 4095)
# ethtool(8) -s, as far as a profile has it.
_ETHTOOL = {"autoneg": r"on|off", "speed": r"\d+", "duplex": r"half|full"}
# nm-settings-keyfile(5): bridge; numbers but for the first two.
_BRIDGE = {
    **{"stp": r"yes|no|true|false", "multicast-snooping": r"yes|no|true|false"},
    **dict.fromkeys(("priority", "forward-delay", "hello-time", "max-age", "ageing-time"), r"\d+"),
    "group-forward-mask": r"\d+",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class NetworkInterface:
    """A connection of the guest: a `network` line, or one of the devices below its bond, bridge or team.

    `device` None: any, or that with the address `mac`. Addresses have been judged. `options` are those
    of a bond or a bridge. A device that belongs to another one has that in `controller`.
    """

    name: str = "any"  # of the profile
    device: str | None = None
    mac: str | None = None
    kind: str = "ethernet"  # bond, bridge, team, vlan
    bootproto: str = "dhcp"  # or static
    ip: str | None = None
    prefix: int | None = None
    gateway: str | None = None
    ipv6: str | None = None  # auto, dhcp, ADDRESS/PREFIX
    ipv6_gateway: str | None = None
    noipv4: bool = False
    noipv6: bool = False
    onboot: bool = True
    mtu: int | None = None
    dhcp_class: str | None = None
    default_route: bool = True
    nameservers: tuple[str, ...] = ()
    dns_search4: tuple[str, ...] = ()
    dns_search6: tuple[str, ...] = ()
    ignore_dns4: bool = False  # name servers of DHCP and of router advertisements
    ignore_dns6: bool = False
    ethtool: tuple[tuple[str, str], ...] = ()
    options: tuple[tuple[str, str], ...] = ()
    team_config: str | None = None  # JSON: of a team, or of a device in one
    vlan_id: int | None = None
    parent: str | None = None  # of a vlan
    controller: str | None = None
    controller_kind: str | None = None
    place: Place | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Network(Setting):
    """The host name, and the connections of the guest."""

    hostname: str | None = None
    interfaces: tuple[NetworkInterface, ...] = ()

    @classmethod
    def read(cls, ks: Kickstart) -> Self:
        """Return what the kickstart says of them."""
        hostname, interfaces = _read_network(ks)
        return cls(hostname=hostname, interfaces=interfaces)

    def rows(self) -> Iterator[tuple[str, str]]:
        """Yield the rows of `image --plan`."""
        yield from (("network", _describe(one)) for one in self.interfaces)
        if self.hostname:
            yield "network", f"host name {self.hostname}"


def _describe(one: NetworkInterface) -> str:
    name = one.device or one.mac or "any device"
    if one.controller:
        return f"{name}: in {one.controller}"
    v4 = "no IPv4" if one.noipv4 else f"{one.ip}/{one.prefix}" if one.ip else one.bootproto
    v6 = [] if one.noipv6 or one.ipv6 is None else [f"IPv6 {one.ipv6}"]
    kind = [] if one.kind == "ethernet" else [one.kind if one.vlan_id is None else f"vlan {one.vlan_id}"]
    return f"{name}: {', '.join([*kind, v4, *v6])}"


def _read_network(ks: Kickstart) -> tuple[str | None, tuple[NetworkInterface, ...]]:
    """Return the host name and the connections; a later line for the same device replaces the earlier."""
    hostname: str | None = None
    found: dict[str, NetworkInterface] = {}
    is_unnamed = False
    bare: Place | None = None
    for line in ks.all("network"):
        name = str(line.get("hostname", ""))
        if name and addresses.is_host(name):
            hostname = name
        elif name:
            ks.findings.error(
                line.place,
                f'network: "{name}" is not a host name',
                f"letters, digits and -, up to 63 a label, {addresses.LONGEST_HOST} in all",
            )
        if line.options - {"--hostname"}:
            bare = line.place
        if line.options - _NO_INTERFACE:
            for interface in _read_line(ks, line):
                if interface.name == "any" and not line.get("device"):
                    is_unnamed = True
                    interface = _of_the_only_card(ks, interface, tuple(found.values()))
                earlier = found.get(interface.name)
                if earlier is not None and dataclasses.replace(earlier, place=interface.place) != interface:
                    ks.findings.warn(
                        line.place,
                        f"network: a second line for {interface.device or interface.mac or 'any device'}; "
                        f"it wins over {earlier.place}",
                    )
                found[interface.name] = interface
    if bare is not None and not found:
        # `network --activate` is a line for a device all the same, by DHCP (is_hostname_only_network_data).
        found["any"] = NetworkInterface(place=bare)
    named = [one for one in found.values() if one.device and one.kind == "ethernet"]
    if is_unnamed and "any" in found and named:
        ks.findings.warn(
            found["any"].place,
            f"network: the line is for any device but {', '.join(str(one.device) for one in named)}",
            "name the device it is for, or write --device=link",
        )
    return hostname, _join(tuple(found.values()))


def _of_the_only_card(
    ks: Kickstart, interface: NetworkInterface, earlier: tuple[NetworkInterface, ...]
) -> NetworkInterface:
    """Return an address that names no device as the one card's that lines before it name.

    The installer takes a line without --device for the first device with a link (pyanaconda,
    modules/network/kickstart.py: update_network_data_with_default_device): in a guest with one card for that
    card, and an address is one card's.
    """
    cards = [one for one in earlier if one.device and one.kind == "ethernet" and not one.controller]
    if interface.ip is None or len(cards) != 1:
        return interface
    ks.findings.warn(
        interface.place,
        f"network: no --device; the address is taken for {cards[0].device}'s",
        f"write --device={cards[0].device}, or the other device's name",
    )
    return dataclasses.replace(interface, name=cards[0].name, device=cards[0].device)


def _join(interfaces: tuple[NetworkInterface, ...]) -> tuple[NetworkInterface, ...]:
    """Return the connections without a profile of its own for a bond that a bridge takes in."""
    virtual = {one.device for one in interfaces if one.kind != "ethernet"}
    takers = {one.device: one for one in interfaces if one.controller and one.device in virtual}
    joined = []
    for one in interfaces:
        if one in takers.values():
            continue
        taker = takers.get(one.device)
        if taker is not None:
            one = dataclasses.replace(one, controller=taker.controller, controller_kind=taker.controller_kind)
        joined.append(one)
    return tuple(joined)


def _read_line(ks: Kickstart, line: ParsedCommand) -> list[NetworkInterface]:
    """Return the connections of one line."""
    device: str | None = str(line.get("device", "")) or None
    mac = device if device is not None and MAC.fullmatch(device) else None
    if device in _ANY or mac is not None:
        device = None
    if device is not None and not fits(ks, line, DEVICE, device, "the name of a device"):
        return []
    if mac is not None:
        ks.findings.warn(
            line.place,
            f"network --device={mac}: the connection works only in a guest with this address",
            "write --device=link, or a name such as eth0",
        )
    base = NetworkInterface(
        name=device or (f"mac-{mac.replace(':', '-').lower()}" if mac else "any"),
        device=device,
        mac=mac,
        onboot=bool(line.get("onboot", True)),
        mtu=_number(ks, line, "mtu", _MTU),
        ethtool=_read_ethtool(ks, line),
        place=line.place,
    )
    return _read_kind(ks, line, _read_dns(ks, line, _read_addresses(ks, line, base)))


def _read_addresses(ks: Kickstart, line: ParsedCommand, base: NetworkInterface) -> NetworkInterface:
    """Add what the line says of addresses."""
    # --noipv4 empties it, and bootp is what a DHCP client speaks.
    bootproto = str(line.get("bootProto", "dhcp")).lower().replace("bootp", "dhcp") or "dhcp"
    if bootproto not in ("dhcp", "static"):
        ks.findings.error(
            line.place, f"network --bootproto={bootproto}: is not supported", "write dhcp or static"
        )
        return base
    ip, prefix = _read_ipv4(ks, line, static=bootproto == "static")
    gateway = _address(ks, line, "gateway", addresses.ipv4)
    if ip and prefix is not None and gateway and not addresses.is_in(gateway, ip, prefix):
        ks.findings.warn(line.place, f"network --gateway={gateway}: is not in the network of {ip}/{prefix}")
    v6 = str(line.get("ipv6", "")) or None
    if v6 not in (None, "auto", "dhcp"):
        v6 = _read_ipv6(ks, line, str(v6))
    return dataclasses.replace(
        base,
        bootproto=bootproto,
        ip=ip if bootproto == "static" else None,
        prefix=prefix if bootproto == "static" else None,
        gateway=gateway,
        ipv6=v6,
        ipv6_gateway=_address(ks, line, "ipv6gateway", addresses.ipv6),
        noipv4=bool(line.get("noipv4", False)),
        noipv6=bool(line.get("noipv6", False)),
        dhcp_class=_word(ks, line, "dhcpclass"),
        default_route=not line.get("nodefroute", False),
    )


def _read_ipv4(ks: Kickstart, line: ParsedCommand, *, static: bool) -> tuple[str | None, int | None]:
    """Return address and prefix; `static` wants both."""
    text, slash, bits = str(line.get("ip", "")).partition("/")
    netmask = str(line.get("netmask", ""))
    if not text:
        if static:
            ks.findings.error(line.place, "network --bootproto=static: needs --ip", "add --ip and --netmask")
        elif netmask:
            ks.findings.warn(line.place, "network --netmask: has no effect without --bootproto=static --ip")
        return None, None
    ip = addresses.ipv4(text)
    if ip is None:
        ks.findings.error(line.place, f'network --ip: "{text}" is not an IPv4 address', "such as 192.0.2.10")
    prefix = addresses.prefix_of(netmask) if netmask else None
    if netmask and prefix is None:
        ks.findings.error(
            line.place, f'network --netmask: "{netmask}" is not a netmask', "such as 255.255.255.0"
        )
    if slash:
        given = int(bits) if bits.isdecimal() and int(bits) <= 32 else None
        if given is None or prefix not in (None, given):
            ks.findings.error(
                line.place, f"network --ip={text}/{bits}: the prefix does not fit", "give --ip and --netmask"
            )
        prefix = given
    if ip is not None and prefix is not None and addresses.is_no_hosts(ip, prefix):
        ks.findings.warn(line.place, f"network --ip={ip}: is the address of a network, not of a host")
    if not static:
        ks.findings.warn(line.place, "network --ip: without --bootproto=static the address is not used")
    elif not netmask and not slash:
        ks.findings.warn(line.place, "network --ip: no --netmask; 255.255.255.0 is taken", "add --netmask")
        prefix = 24
    return ip, prefix


def _read_ipv6(ks: Kickstart, line: ParsedCommand, text: str) -> str | None:
    """Return ADDRESS/PREFIX; 64 where no prefix is given, as in Anaconda."""
    address, slash, bits = text.partition("/")
    found = addresses.ipv6(address)
    if found is None or (slash and not (bits.isdecimal() and int(bits) <= 128)):
        off = text.lower() in ("off", "no", "none", "ignore", "disabled")
        ks.findings.error(
            line.place,
            f'network --ipv6: "{text}" is not an IPv6 address',
            "--noipv6 turns it off" if off else "such as 2001:db8::10/64",
        )
        return None
    return f"{found}/{bits or 64}"


def _read_dns(ks: Kickstart, line: ParsedCommand, base: NetworkInterface) -> NetworkInterface:
    """Add what the line says of name servers."""
    servers = []
    for text in _listed(line, "nameserver"):
        found = addresses.ipv4(text) or addresses.ipv6(text)
        if found is None:
            ks.findings.error(
                line.place, f'network --nameserver: "{text}" is not an address', "such as 192.0.2.53"
            )
        else:
            servers.append(found)
    domains = []
    for name in ("ipv4_dns_search", "ipv6_dns_search"):
        found_domains = _listed(line, name)
        for text in found_domains:
            if not addresses.is_domain(text):
                ks.findings.error(line.place, f'network --{name.replace("_", "-")}: "{text}" is not a domain')
        domains.append(found_domains)
    none = bool(line.get("nodns", False))
    return dataclasses.replace(
        base,
        nameservers=tuple(servers),
        dns_search4=domains[0],
        dns_search6=domains[1],
        ignore_dns4=none or bool(line.get("ipv4_ignore_auto_dns", False)),
        ignore_dns6=none or bool(line.get("ipv6_ignore_auto_dns", False)),
    )


def _read_kind(ks: Kickstart, line: ParsedCommand, base: NetworkInterface) -> list[NetworkInterface]:
    """Make a bond, bridge, team or vlan of the connection, with what is below it."""
    kinds = [kind for kind in ("bond", "bridge", "team") if line.get(f"{kind}slaves")]
    vlan = _number(ks, line, "vlanid", _VLANS)
    if not kinds and vlan is None:
        return [base]
    if base.device is None or len(kinds) > 1:
        ks.findings.error(
            line.place, "network: a bond, bridge, team or vlan needs --device, and is one of them", "split it"
        )
        return []
    whole: list[NetworkInterface] = []
    if kinds:
        lower = _without_addresses(base) if vlan is not None else base
        whole = _read_members(ks, line, kinds[0], lower)
    if vlan is not None:
        own = str(line.get("interfacename", "")) or f"{base.device}.{vlan}"
        fits(ks, line, DEVICE, own, "the name of a device")
        whole.append(
            dataclasses.replace(base, name=own, device=own, kind="vlan", vlan_id=vlan, parent=base.device)
        )
    return whole


def _without_addresses(base: NetworkInterface) -> NetworkInterface:
    """Return what is below a vlan: the addresses are the vlan's."""
    return NetworkInterface(
        name=base.name, device=base.device, onboot=base.onboot, mtu=base.mtu, noipv4=True, noipv6=True,
        place=base.place,
    )  # fmt: skip


def _read_members(
    ks: Kickstart, line: ParsedCommand, kind: str, base: NetworkInterface
) -> list[NetworkInterface]:
    options: tuple[tuple[str, str], ...] = ()
    config = None
    if kind == "bond":
        options = _options(ks, line, "bondopts", {})
    elif kind == "bridge":
        options = _options(ks, line, "bridgeopts", _BRIDGE)
    else:
        config = _json(ks, line, str(line.get("teamconfig", "")))
    members = [(name, "") for name in _listed(line, f"{kind}slaves")] if kind != "team" else [
        (str(name), str(settings)) for name, settings in line.get("teamslaves", ())
    ]  # fmt: skip
    found = [dataclasses.replace(base, kind=kind, options=options, team_config=config)]
    for number, (name, settings) in enumerate(members, 1):
        if fits(ks, line, DEVICE, name, "the name of a device"):
            found.append(
                NetworkInterface(
                    name=f"{base.device}_slave_{number}",
                    device=name,
                    onboot=base.onboot,
                    team_config=_json(ks, line, settings),
                    controller=base.device,
                    controller_kind=kind,
                    place=line.place,
                )
            )
    return found


def _options(
    ks: Kickstart, line: ParsedCommand, name: str, known: dict[str, str]
) -> tuple[tuple[str, str], ...]:
    """Return the pairs of `a=b,c=d` (or `;`, where a value holds commas)."""
    text = str(line.get(name, ""))
    pairs = []
    for word in filter(None, text.split(";" if ";" in text else ",")):
        key, equals, value = word.strip().partition("=")
        if not equals or not re.fullmatch(r"[a-z0-9_-]+", key) or not re.fullmatch(r"[^\s=]+", value):
            ks.findings.error(line.place, f'network --{name}: "{word}" is not of the form option=value')
        elif known and not re.fullmatch(known.get(key, r"(?!)"), value):
            ks.findings.error(line.place, f"network --{name}: {word}: not an option or not its value")
        else:
            pairs.append((key, value))
    return tuple(pairs)


def _read_ethtool(ks: Kickstart, line: ParsedCommand) -> tuple[tuple[str, str], ...]:
    words = str(line.get("ethtool", "")).split()
    pairs = tuple(zip(words[::2], words[1::2], strict=False))
    if len(words) % 2 or any(not re.fullmatch(_ETHTOOL.get(key, r"(?!)"), value) for key, value in pairs):
        ks.findings.error(
            line.place,
            f'network --ethtool="{" ".join(words)}": only autoneg, speed and duplex are known',
            'such as "autoneg off speed 1000 duplex full"; the rest in a %post script',
        )
        return ()
    if ("speed" in words) != ("duplex" in words):
        # NetworkManager passes over one that stands alone (nm-settings-keyfile(5), 802-3-ethernet.speed).
        ks.findings.error(
            line.place,
            f'network --ethtool="{" ".join(words)}": speed and duplex have an effect only together',
            "give both, or neither",
        )
    return pairs


def _json(ks: Kickstart, line: ParsedCommand, text: str) -> str | None:
    if not text:
        return None
    try:
        return json.dumps(json_text.parse(text), separators=(",", ":"))
    except ValueError:
        ks.findings.error(
            line.place,
            "network: the configuration of a team is not JSON",
            r'quote it: "{\"runner\": {\"name\": \"roundrobin\"}}"',
        )
        return None


def _address(ks: Kickstart, line: ParsedCommand, name: str, judge: object) -> str | None:
    text = str(line.get(name, ""))
    if not text:
        return None
    assert callable(judge)
    found: str | None = judge(text)
    if found is None:
        ks.findings.error(line.place, f'network --{name}: "{text}" is not an address of its family')
    return found


def _number(ks: Kickstart, line: ParsedCommand, name: str, allowed: range) -> int | None:
    text = str(line.get(name, ""))
    if not text:
        return None
    if not text.isdecimal() or int(text) not in allowed:
        ks.findings.error(line.place, f"network --{name}={text}: not from {allowed[0]} to {allowed[-1]}")
        return None
    return int(text)


def _word(ks: Kickstart, line: ParsedCommand, name: str) -> str | None:
    text = str(line.get(name, ""))
    if text and not re.fullmatch(r"[\x21-\x7e]+", text):
        ks.findings.error(line.place, f'network --{name}: "{text}" is not a single word')
        return None
    return text or None


def _listed(line: ParsedCommand, name: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in str(line.get(name, "") or "").split(",") if word.strip())
