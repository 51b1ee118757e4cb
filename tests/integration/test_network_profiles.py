# SPDX-License-Identifier: MIT
"""Connections of network lines as NetworkManager's own reader takes them: all, and all that they say."""

from __future__ import annotations

import shutil
from configparser import ConfigParser
from pathlib import Path

import pytest

from builder.errors import BuildError
from builder.image.tree.settings.profiles import keyfile
from builder.kickstart.settings.network import Network
from tests.support.kickstart_text import DISK, plan_text
from tests.support.network_manager import NetworkManager

END = "rootpw --lock\n%packages\n%end\n"
STATIC = "--device=eth0 --bootproto=static --ip=192.0.2.2 --netmask=255.255.255.0"
LINES = {
    "any device": "--bootproto=dhcp --device=link",
    "not at boot": "--device=eth0 --onboot=off",
    "a device's address": "--device=00:11:22:33:44:55",
    "an address": f"{STATIC} --gateway=192.0.2.1 --nameserver=192.0.2.53,2001:db8::53 --mtu=1400",
    "no default route": f"{STATIC} --nodefroute",
    "IPv6": "--device=eth0 --noipv4 --ipv6=2001:db8::2/64 --ipv6gateway=2001:db8::1",
    "IPv6 of a router": "--device=eth0 --ipv6=auto",
    "IPv6 by DHCP": "--device=eth0 --ipv6=dhcp",
    "no IPv6": "--device=eth0 --noipv6",
    "name servers of its own": (
        "--device=eth0 --nodns --ipv4-dns-search=a.example,b.example --ipv6-dns-search=c.example"
    ),
    "DHCP class": "--device=eth0 --dhcpclass=site-a",
    "ethtool": "--device=eth0 --ethtool='autoneg off speed 1000 duplex full'",
    "negotiation": "--device=eth0 --ethtool='autoneg on'",
    "bond": "--device=bond0 --bondslaves=eth0,eth1 --bondopts=mode=active-backup,miimon=100,primary=eth0",
    "bond by LACP": (
        "--device=bond0 --bondslaves=eth0,eth1 "
        "--bondopts=mode=802.3ad,miimon=100,lacp_rate=fast,xmit_hash_policy=layer2+3"
    ),
    "bond that asks neighbours": (
        "--device=bond0 --bondslaves=eth0 "
        "--bondopts='mode=active-backup;arp_interval=100;arp_ip_target=192.0.2.1,192.0.2.3'"
    ),
    "bridge": "--device=br0 --bridgeslaves=eth0,eth1 --bridgeopts=stp=no,priority=4,forward-delay=10",
    "vlan": "--device=eth0 --vlanid=104",
    "vlan of a name": f"{STATIC} --vlanid=7 --interfacename=lan",
    "vlan on a bond": "--device=bond0 --bondslaves=eth0,eth1 --bondopts=mode=balance-rr --vlanid=7",
    "bond in a bridge": (
        "--device=bond0 --bondslaves=eth0 --noipv4\nnetwork --device=br0 --bridgeslaves=bond0"
    ),
    "team": """--device=team0 --teamslaves="eth0'{\\"prio\\": 1}',eth1" --teamconfig='{"runner": 1}'""",
}
# What NetworkManager writes in another way, and means the same by.
SAME = {("autoconnect", "true"), ("auto-negotiate", "false")}


@pytest.fixture(scope="module")
def manager() -> NetworkManager:
    """NetworkManager of Debian's release."""
    if shutil.which("dpkg-deb") is None:
        pytest.skip("NetworkManager is had from Debian's packages, and this is not Debian")
    try:
        return NetworkManager()
    except BuildError as error:
        pytest.skip(f"NetworkManager cannot be had: {error}")


def settings(text: str) -> set[tuple[str, str, str]]:
    """Return (section, key, value) of a keyfile; a gateway for itself, as newer releases write it."""
    parser = ConfigParser(interpolation=None, delimiters=("=",), comment_prefixes=("#",), strict=True)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read_string(text)
    found = set()
    for section in parser.sections():
        for key, value in parser.items(section):
            if key == "address1" and "," in value:
                value, _, gateway = value.partition(",")
                found.add((section, "gateway", gateway))
            if (key, value) not in SAME:
                found.add((section, key, value))
    return found


@pytest.mark.parametrize("line", LINES.values(), ids=LINES)
def test_networkmanager_reads_every_connection_and_loses_nothing(
    manager: NetworkManager, tmp_path: Path, line: str
) -> None:
    plan, findings = plan_text(tmp_path, f"{DISK}network {line}\n{END}")
    assert not findings.errors

    for interface in plan.of(Network).interfaces:
        text = keyfile(interface, seed="s")
        done = manager.read(text)

        assert (done.returncode, done.stderr) == (0, "")
        assert settings(text) - settings(done.stdout) == set()


def test_networkmanager_refuses_what_is_no_connection(manager: NetworkManager) -> None:
    assert manager.read("[connection]\nid=a\ntype=bond\n[bond]\nmode=nonsense\n").returncode != 0
