# SPDX-License-Identifier: MIT
"""network: the host name, and a profile for each connection in the form that the image reads.

ifcfg files in EL up to 8, as its installer writes them; NetworkManager keyfiles where there is
NetworkManager; else systemd-networkd's. An address of a device is only bound where the kickstart says it.
"""

from __future__ import annotations

from builder.errors import InputError
from builder.image.build import Build
from builder.image.tree import tree
from builder.image.tree.settings import profiles
from builder.kickstart.settings.network import Network, NetworkInterface
from builder.targets import Target, TargetFamily

SCRIPTS = "/etc/sysconfig/network-scripts"
LAST_WITH_SCRIPTS = {TargetFamily.EL: 8}
# Their `network` service does nothing without this file (sysconfig.txt of initscripts), which up to these
# releases also holds the host name.
SYSCONFIG = "/etc/sysconfig/network"
LAST_WITH_HOSTNAME = {TargetFamily.EL: 6, TargetFamily.FEDORA: 17}


def apply(build: Build, network: Network) -> None:
    """Write host name and connections."""
    if network.hostname:
        tree.write("/etc/hostname", network.hostname + "\n")
    text = sysconfig(build.target, network.hostname)
    if text and tree.path(SCRIPTS).is_dir() and not tree.path(SYSCONFIG).exists():
        tree.write(SYSCONFIG, text)
    for interface in network.interfaces:
        _write_interface(build, interface)


def sysconfig(target: Target, hostname: str | None) -> str:
    """Return the text of /etc/sysconfig/network; none where no release of the family has network scripts."""
    if target.is_up_to(LAST_WITH_HOSTNAME):
        return f"NETWORKING=yes\nHOSTNAME={hostname or 'localhost.localdomain'}\n"
    return "NETWORKING=yes\n" if target.is_up_to(LAST_WITH_SCRIPTS) else ""


def _write_interface(build: Build, interface: NetworkInterface) -> None:
    manager = tree.path("/usr/sbin/NetworkManager").exists()
    scripts = tree.path(SCRIPTS).is_dir()
    old = build.target.is_up_to(LAST_WITH_SCRIPTS)
    if (interface.device or interface.mac) and scripts and (old or (not manager and not _has_networkd())):
        tree.write(f"{SCRIPTS}/ifcfg-{interface.device or interface.name}", profiles.ifcfg(interface))
    elif manager:
        folder = "/etc/NetworkManager/system-connections"
        text = profiles.keyfile(interface, seed=build.seed)
        tree.write(f"{folder}/{interface.name}.nmconnection", text, mode=0o600)
    elif _has_networkd():
        _write_networkd(interface)
    else:
        raise InputError(
            f"{interface.place}: network: the image has neither NetworkManager nor systemd-networkd "
            "nor network-scripts",
            hint="put NetworkManager into %packages",
        )


def _has_networkd() -> bool:
    return tree.path("/usr/lib/systemd/system/systemd-networkd.service").exists()


def _write_networkd(interface: NetworkInterface) -> None:
    if interface.kind != "ethernet" or interface.controller or interface.ethtool:
        what = "--ethtool" if interface.ethtool else "a device of a bond, bridge or team"
        what = what if interface.kind == "ethernet" else f"a {interface.kind}"
        raise InputError(
            f"{interface.place}: network: {what} needs NetworkManager; the image has systemd-networkd only",
            hint="put NetworkManager into %packages",
        )
    tree.write(f"/etc/systemd/network/50-{interface.name}.network", profiles.networkd(interface))
