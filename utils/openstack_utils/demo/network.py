# SPDX-License-Identifier: MIT
"""The network for instances: its range of addresses is checked to be free, and Neutron is asked for it."""

import ipaddress
import socket
import struct

from ..errors import UsageError, UtilityError
from ..keystone.client import KeystoneClient, Transport
from ..keystone.credentials import Credentials, login_body

NAME = "demo"
ROUTES = "/proc/net/route"
# Addresses of the network, of DHCP and of an instance or two; a whole class A is too large for trying out.
LONGEST, SHORTEST = 29, 12


def read_range(text):
    """Return an IPv4 range as `10.20.0.0/24`. Raises UsageError."""
    try:
        wanted = ipaddress.IPv4Network(text)
    except ValueError as error:
        raise UsageError("--network: %s" % error, hint="such as --network 10.20.0.0/24") from None
    if not SHORTEST <= wanted.prefixlen <= LONGEST:
        message = "--network %s: a range of /%d to /%d is wanted" % (text, SHORTEST, LONGEST)
        raise UsageError(message, hint="such as --network 10.20.0.0/24")
    if not wanted.is_private or wanted.is_loopback or wanted.is_link_local:
        message = "--network %s: these addresses are not free to use" % text
        raise UsageError(message, hint="use addresses of 10.0.0.0/8, 172.16.0.0/12 or 192.168.0.0/16")
    return str(wanted)


def read_routes(text):
    """Yield (device, IPv4Network) of /proc/net/route, but for the default route. Pure (proc(5))."""
    for line in text.splitlines()[1:]:
        words = line.split()
        address, mask = (socket.inet_ntoa(struct.pack("=L", int(words[n], 16))) for n in (1, 7))
        if mask != "0.0.0.0":
            yield words[0], ipaddress.IPv4Network("%s/%s" % (address, mask))


def check_free(wanted, routes):
    """Raise UsageError where this host has a route to addresses of the range."""
    for device, network in routes:
        if network.overlaps(ipaddress.IPv4Network(wanted)):
            message = "--network %s: this host reaches %s by %s" % (wanted, network, device)
            raise UsageError(message, hint="name a range that is not in use here")


def check_free_here(wanted):
    """Raise UsageError where a route of this host leads into the range."""
    with open(ROUTES, encoding="ascii") as file:
        check_free(wanted, read_routes(file.read()))


def make(step, password):
    """See that the network is there; return whether it was not. Raises UtilityError, RemoteError."""
    token = _log_in(step.identity, password)
    neutron = KeystoneClient(Transport(step.url))
    neutron.token = token
    networks = neutron.get("/networks", name=NAME)["networks"]
    is_new = not networks
    if is_new:
        networks = [neutron.call("POST", "/networks", {"network": {"name": NAME, "shared": True}})["network"]]
    subnets = neutron.get("/subnets", network_id=networks[0]["id"])["subnets"]
    if not subnets:
        subnet = {
            "network_id": networks[0]["id"], "name": NAME, "ip_version": 4, "cidr": step.range,
            "gateway_ip": None, "enable_dhcp": True,
        }  # fmt: skip
        neutron.call("POST", "/subnets", {"subnet": subnet})
        return True
    ranges = ", ".join(each["cidr"] for each in subnets)
    if step.range not in ranges.split(", "):
        message = "the network %s is there, with the range %s" % (NAME, ranges)
        raise UtilityError(message, hint="openstack network delete %s" % NAME)
    return is_new


def _log_in(identity, password):
    auth = {"username": "admin", "project_name": "admin", "password": password}
    body = login_body(Credentials(identity, auth, "ADMIN_PASSWORD"))
    headers, _ = KeystoneClient(Transport(identity)).send("POST", "/auth/tokens", body)
    return headers["X-Subject-Token"]
