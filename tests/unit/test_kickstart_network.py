# SPDX-License-Identifier: MIT
"""network lines: which connections they become, which values are refused, and the text of the profiles."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from builder.image.tree.settings.profiles import ifcfg, keyfile, networkd
from builder.kickstart.settings.network import Network, NetworkInterface
from tests.support.kickstart_text import DISK, plan_text, reported

END = "rootpw --lock\n%packages\n%end\n"
ETH0 = NetworkInterface(name="eth0", device="eth0")
BOND = NetworkInterface(name="bond0", device="bond0", kind="bond")


def _slaves(controller: str, kind: str, *devices: str) -> list[NetworkInterface]:
    return [
        NetworkInterface(
            name=f"{controller}_slave_{number}", device=device, controller=controller, controller_kind=kind
        )
        for number, device in enumerate(devices, 1)
    ]


INTERFACES: dict[str, tuple[str, list[NetworkInterface]]] = {
    "any device": ("--bootproto=dhcp --device=link", [NetworkInterface()]),
    "the booted one": ("--bootproto=dhcp --device=bootif", [NetworkInterface()]),
    "bootp": ("--bootproto=bootp --device=eth0", [ETH0]),
    "static": (
        "--device=eth0 --bootproto=static --ip=192.0.2.2 --netmask=255.255.255.0 --gateway=192.0.2.1 "
        "--nameserver=192.0.2.53,2001:db8::53 --noipv6 --mtu=9000 --onboot=off",
        [
            dataclasses.replace(
                ETH0,
                bootproto="static",
                ip="192.0.2.2",
                prefix=24,
                gateway="192.0.2.1",
                nameservers=("192.0.2.53", "2001:db8::53"),
                noipv6=True,
                mtu=9000,
                onboot=False,
            )
        ],
    ),
    "prefix in --ip": (
        "--device=eth0 --bootproto=static --ip=192.0.2.2/25",
        [dataclasses.replace(ETH0, bootproto="static", ip="192.0.2.2", prefix=25)],
    ),
    "IPv6": (
        "--device=eth0 --ipv6=2001:DB8::2/64 --ipv6gateway=2001:db8::1 --noipv4",
        [dataclasses.replace(ETH0, noipv4=True, ipv6="2001:db8::2/64", ipv6_gateway="2001:db8::1")],
    ),
    "name servers": (
        "--device=eth0 --nodns --ipv4-dns-search=a.example,b.example --ipv6-dns-search=c.example",
        [
            dataclasses.replace(
                ETH0,
                ignore_dns4=True,
                ignore_dns6=True,
                dns_search4=("a.example", "b.example"),
                dns_search6=("c.example",),
            )
        ],
    ),
    "bond": (
        "--device=bond0 --bondslaves=eth0,eth1 --bondopts=mode=active-backup,miimon=100",
        [
            dataclasses.replace(BOND, options=(("mode", "active-backup"), ("miimon", "100"))),
            *_slaves("bond0", "bond", "eth0", "eth1"),
        ],
    ),
    "bond option with commas": (
        "--device=bond0 --bondslaves=eth0 --bondopts='mode=1;arp_ip_target=192.0.2.1,192.0.2.2'",
        [
            dataclasses.replace(BOND, options=(("mode", "1"), ("arp_ip_target", "192.0.2.1,192.0.2.2"))),
            *_slaves("bond0", "bond", "eth0"),
        ],
    ),
    "bridge": (
        "--device=br0 --bridgeslaves=eth0 --bridgeopts=stp=no,priority=4",
        [
            NetworkInterface(
                name="br0", device="br0", kind="bridge", options=(("stp", "no"), ("priority", "4"))
            ),
            *_slaves("br0", "bridge", "eth0"),
        ],
    ),
    "team": (
        """--device=team0 --teamslaves="eth0'{\\"prio\\": 1}',eth1" --teamconfig='{"runner": 1}'""",
        [
            NetworkInterface(name="team0", device="team0", kind="team", team_config='{"runner":1}'),
            dataclasses.replace(_slaves("team0", "team", "eth0")[0], team_config='{"prio":1}'),
            _slaves("team0", "team", "eth0", "eth1")[1],
        ],
    ),
    "vlan": (
        "--device=eth0 --vlanid=104",
        [NetworkInterface(name="eth0.104", device="eth0.104", kind="vlan", vlan_id=104, parent="eth0")],
    ),
    "vlan on a bond": (
        "--device=bond0 --bondslaves=eth0 --vlanid=7 --interfacename=lan --bootproto=static --ip=192.0.2.2 "
        "--netmask=255.255.255.0",
        [
            dataclasses.replace(BOND, noipv4=True, noipv6=True),
            *_slaves("bond0", "bond", "eth0"),
            NetworkInterface(
                name="lan", device="lan", kind="vlan", vlan_id=7, parent="bond0", bootproto="static",
                ip="192.0.2.2", prefix=24,
            ),
        ],
    ),
    "a bond in a bridge": (
        "--device=bond0 --bondslaves=eth0 --noipv4\nnetwork --device=br0 --bridgeslaves=bond0",
        [
            dataclasses.replace(BOND, noipv4=True, controller="br0", controller_kind="bridge"),
            *_slaves("bond0", "bond", "eth0"),
            NetworkInterface(name="br0", device="br0", kind="bridge"),
        ],
    ),
    "later line for the same device": (
        "--device=eth0 --mtu=1400\nnetwork --device=eth0 --mtu=9000",
        [dataclasses.replace(ETH0, mtu=9000)],
    ),
    "a name, and activated": ("--hostname=a.example --activate", [NetworkInterface()]),
}  # fmt: skip


@pytest.mark.parametrize(
    ("second", "warned"),
    [
        ("--device=eth0 --bootproto=dhcp", True),
        ("--device=eth0 --bootproto=static --ip=192.0.2.2/24", False),
        ("--device=eth1 --bootproto=dhcp", False),
        ("--hostname=guest", False),
    ],
)
def test_a_second_line_for_a_device_that_says_otherwise_is_a_warning(
    tmp_path: Path, second: str, warned: bool
) -> None:
    lines = f"network --device=eth0 --bootproto=static --ip=192.0.2.2/24\nnetwork {second}\n"
    _, findings = plan_text(tmp_path, DISK + lines + END)

    said = [one.message for one in findings.warnings]
    expected = [f"network: a second line for eth0; it wins over {tmp_path}/test.ks:4"] if warned else []
    assert said == expected


FIXED = "network --bootproto=static --ip=192.0.2.2 --netmask=255.255.255.0"


@pytest.mark.parametrize(
    ("lines", "expected", "warned"),
    [
        pytest.param(
            f"network --device=eth0 --onboot=on\n{FIXED}", {"eth0": "192.0.2.2"},
            ["no --device; the address is taken for eth0's", "a second line for eth0"], id="one card",
        ),
        pytest.param(
            f"network --device=eth0\nnetwork --device=eth1\n{FIXED}",
            {"eth0": None, "eth1": None, "any": "192.0.2.2"},
            ["for any device but eth0, eth1"], id="two cards",
        ),
        pytest.param(
            f"{FIXED} --device=eth0\nnetwork --bootproto=dhcp", {"eth0": "192.0.2.2", "any": None},
            ["for any device but eth0"], id="no address",
        ),
        pytest.param(
            f"{FIXED} --device=eth0\nnetwork --bootproto=dhcp --device=link",
            {"eth0": "192.0.2.2", "any": None}, [], id="said so",
        ),
        pytest.param(f"{FIXED}\nnetwork --hostname=a", {"any": "192.0.2.2"}, [], id="alone"),
        pytest.param("network --activate", {"any": None}, [], id="only activated"),
        pytest.param("network --hostname=a", {}, [], id="only a name"),
        pytest.param("network --device=eth0\nnetwork --hostname=a --activate", {"eth0": None}, [],
                     id="activated with a name"),
    ],
)  # fmt: skip
def test_a_line_without_a_device_is_for_the_card_that_the_installer_takes(
    tmp_path: Path, lines: str, expected: dict[str, str | None], warned: list[str]
) -> None:
    plan, findings = plan_text(tmp_path, f"{DISK}{lines}\n{END}")

    assert {one.name: one.ip for one in plan.of(Network).interfaces} == expected
    assert [words in said for words, said in zip(warned, reported(findings, tmp_path), strict=True)] == [
        True
    ] * len(warned)


def test_a_profile_for_any_device_does_not_win_over_one_for_this_device() -> None:
    assert "autoconnect-priority=-1\n" in keyfile(NetworkInterface(), seed="s")
    assert "priority" not in keyfile(ETH0, seed="s")


@pytest.mark.parametrize(("options", "expected"), INTERFACES.values(), ids=INTERFACES)
def test_connections_of_a_line(tmp_path: Path, options: str, expected: list[NetworkInterface]) -> None:
    plan, findings = plan_text(tmp_path, f"{DISK}network {options}\n{END}")

    assert not findings.errors, reported(findings, tmp_path)
    assert [dataclasses.replace(one, place=None) for one in plan.of(Network).interfaces] == expected


MISTAKES = {
    "host name": ("--hostname=a_b", "network"),
    "label over 63 bytes": (f"--hostname={'a' * 64}", "network"),
    "host name over 64 bytes": (f"--hostname={'a' * 40}.{'b' * 40}", "network"),
    "bootproto": ("--device=eth0 --bootproto=query", "network --bootproto=query"),
    "device": ("--device=this-name-is-too-long", "network"),
    "static without address": ("--bootproto=static --device=eth0", "network --bootproto=static"),
    "address": ("--bootproto=static --ip=192.0.2.256 --netmask=255.255.255.0", "network --ip"),
    "netmask with a hole": ("--bootproto=static --ip=192.0.2.2 --netmask=255.255.0.255", "network --netmask"),
    "netmask turned over": ("--bootproto=static --ip=192.0.2.2 --netmask=0.0.0.255", "network --netmask"),
    "prefix": ("--bootproto=static --ip=192.0.2.2/40", "network --ip=192.0.2.2/40"),
    "prefix and netmask": (
        "--bootproto=static --ip=192.0.2.2/24 --netmask=255.255.0.0", "network --ip=192.0.2.2/24",
    ),
    "gateway": ("--device=eth0 --gateway=here", "network --gateway"),
    "name server": ("--device=eth0 --nameserver=ns.example", "network --nameserver"),
    "IPv6 address": ("--device=eth0 --ipv6=2001:db8::g/64", "network --ipv6"),
    "IPv6 off": ("--device=eth0 --ipv6=off", "network --ipv6"),
    "IPv6 prefix": ("--device=eth0 --ipv6=2001:db8::1/129", "network --ipv6"),
    "IPv6 gateway": ("--device=eth0 --ipv6gateway=192.0.2.1", "network --ipv6gateway"),
    "search domain": ("--device=eth0 --ipv4-dns-search=-a", "network --ipv4-dns-search"),
    "mtu": ("--device=eth0 --mtu=big", "network --mtu=big"),
    "mtu out of range": ("--device=eth0 --mtu=67", "network --mtu=67"),
    "vlan": ("--device=eth0 --vlanid=5000", "network --vlanid=5000"),
    "bond option": ("--device=bond0 --bondslaves=eth0 --bondopts=fast", "network --bondopts"),
    "bridge option": ("--device=br0 --bridgeslaves=eth0 --bridgeopts=colour=3", "network --bridgeopts"),
    "team's configuration": ("--device=t --teamslaves=eth0 --teamconfig={a", "network"),
    "ethtool": ("--device=eth0 --ethtool='-K tso off'", 'network --ethtool="-K tso off"'),
    "speed without duplex": ("--device=eth0 --ethtool='speed 1000'", 'network --ethtool="speed 1000"'),
}  # fmt: skip


@pytest.mark.parametrize(("options", "expected"), MISTAKES.values(), ids=MISTAKES)
def test_value_that_no_network_has_is_an_error(tmp_path: Path, options: str, expected: str) -> None:
    _, findings = plan_text(tmp_path, f"{DISK}network {options}\n{END}")

    assert [problem.where for problem in findings.errors] == [f"{tmp_path}/test.ks:4"]
    assert findings.errors[0].message.startswith(f"{expected}:")


WARNED = {
    "address of a device": ("--device=00:11:22:33:44:55", "works only in a guest with this address"),
    "bound to an address": ("--device=eth0 --bindto=mac", "the device's name is used"),
    "address without static": ("--device=eth0 --ip=192.0.2.2 --netmask=255.255.255.0", "is not used"),
    "no netmask": ("--device=eth0 --bootproto=static --ip=192.0.2.2", "255.255.255.0 is taken"),
    "gateway elsewhere": (
        "--bootproto=static --ip=192.0.2.2 --netmask=255.255.255.0 --gateway=198.51.100.1",
        "is not in the network",
    ),
    "an option twice": (
        "--device=eth0 --nameserver=192.0.2.1 --nameserver=192.0.2.2",
        "a second --nameserver in one line",
    ),
}


@pytest.mark.parametrize(("options", "expected"), WARNED.values(), ids=WARNED)
def test_line_that_hardly_means_what_it_says_is_warned_about(
    tmp_path: Path, options: str, expected: str
) -> None:
    _, findings = plan_text(tmp_path, f"{DISK}network {options}\n{END}")

    assert not findings.errors
    assert [expected in problem.message for problem in findings.warnings] == [True]


FULL = NetworkInterface(
    name="eth0", device="eth0", bootproto="static", ip="192.0.2.2", prefix=24, gateway="192.0.2.1",
    ipv6="2001:db8::2/64", ipv6_gateway="2001:db8::1", nameservers=("192.0.2.53", "2001:db8::53"),
    dns_search4=("a.example",), ignore_dns6=True, default_route=False, mtu=1400,
    ethtool=(("autoneg", "off"), ("speed", "1000"), ("duplex", "full")),
)  # fmt: skip


def test_keyfile_holds_all_of_a_static_connection() -> None:
    assert keyfile(FULL, seed="s").splitlines() == [
        "[connection]", "id=eth0", "uuid=e207917c-f45d-5421-adc6-19ed567fd51d", "type=ethernet",
        "autoconnect=true", "interface-name=eth0", "",
        "[ethernet]", "mtu=1400", "auto-negotiate=false", "speed=1000", "duplex=full", "",
        "[ipv4]", "method=manual", "address1=192.0.2.2/24,192.0.2.1", "dns=192.0.2.53;",
        "dns-search=a.example;", "never-default=true", "",
        "[ipv6]", "method=manual", "address1=2001:db8::2/64,2001:db8::1", "dns=2001:db8::53;",
        "ignore-auto-dns=true", "never-default=true",
    ]  # fmt: skip


SECTIONS = {
    "bond": (
        dataclasses.replace(BOND, options=(("mode", "1"), ("miimon", "100"))),
        "[bond]\nmode=1\nmiimon=100\n",
    ),
    "bridge": (
        NetworkInterface(name="br0", device="br0", kind="bridge", options=(("stp", "no"),)),
        "[bridge]\nstp=false\n",
    ),
    "vlan": (
        NetworkInterface(name="v", device="v", kind="vlan", vlan_id=7, parent="eth0"),
        "[vlan]\nid=7\nparent=eth0\n",
    ),
    "team": (
        NetworkInterface(name="t", device="t", kind="team", team_config='{"runner":1}'),
        '[team]\nconfig={"runner":1}\n',
    ),
    "device in a bond": (_slaves("bond0", "bond", "eth0")[0], "master=bond0\nslave-type=bond\n"),
    "device by its address": (NetworkInterface(name="m", mac="00:11:22:33:44:55"), "mac-address=00:11"),
    "DHCP class": (dataclasses.replace(ETH0, dhcp_class="x"), "dhcp-vendor-class-identifier=x\n"),
    "IPv6 by DHCP": (dataclasses.replace(ETH0, ipv6="dhcp"), "[ipv6]\nmethod=dhcp\n"),
    "no IPv6": (dataclasses.replace(ETH0, noipv6=True), "[ipv6]\nmethod=disabled\n"),
}


@pytest.mark.parametrize(("interface", "expected"), SECTIONS.values(), ids=SECTIONS)
def test_keyfile_has_the_section_of_its_kind(interface: NetworkInterface, expected: str) -> None:
    assert expected in keyfile(interface, seed="s")


def test_device_of_a_bond_has_no_addresses_of_its_own() -> None:
    assert "[ipv4]" not in keyfile(_slaves("bond0", "bond", "eth0")[0], seed="s")


def test_networkd_has_the_same_addresses_routes_and_name_servers() -> None:
    lines = networkd(FULL).splitlines()

    assert {"Name=eth0", "MTUBytes=1400", "Address=192.0.2.2/24", "Address=2001:db8::2/64"} <= set(lines)
    assert {"DNS=192.0.2.53", "DNS=2001:db8::53", "Domains=a.example", "UseGateway=no"} <= set(lines)
    assert not any(line.startswith("Gateway=") for line in lines)


def test_ifcfg_of_a_bond_and_its_device() -> None:
    bond = dataclasses.replace(BOND, options=(("mode", "1"), ("miimon", "100")), dhcp_class="a b")

    assert ifcfg(bond).splitlines() == [
        "DEVICE=bond0", "TYPE=Bond", "ONBOOT=yes", "BONDING_MASTER=yes", "BONDING_OPTS='mode=1 miimon=100'",
        "BOOTPROTO=dhcp", "DHCP_VENDOR_CLASS_IDENTIFIER='a b'", "IPV6INIT=yes",
    ]  # fmt: skip
    assert ifcfg(_slaves("bond0", "bond", "eth0")[0]).splitlines() == [
        "NAME=bond0_slave_1", "DEVICE=eth0", "TYPE=Ethernet", "ONBOOT=yes", "MASTER=bond0", "SLAVE=yes",
    ]  # fmt: skip
