# SPDX-License-Identifier: MIT
"""A booted machine for a whole cloud: our RPMs and the fixture's extra set in signed repositories."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from builder.report import Report
from builder.runner import Runner
from tests.rig.fixture.repository import KEY, build_repository
from tests.rig.machine.fixture_root import fixture_tree
from tests.rig.machine.machine import SHARED, Machine, booted

INSIDE = Path(__file__).parent / "inside"
EXTRA = "cloud"
ADDRESSES = ("192.0.2.1", "192.0.2.2")
# Files of a cloud, with an image and an instance's disk.
SIZE = "14g"
# Guests, name spaces of networks and a switch of its own; nothing of it is the host's but the two devices.
WORDS = ("--capability=all", "--bind=/dev/net/tun")
# What others package and OpenStack stands on: dnf installs no weak dependencies here.
COMPUTE_SUPPORTS = (
    "openvswitch", "libvirt-daemon-system", "libvirt-client", "libvirt-daemon-kvm", "python3-libvirt",
    "qemu-system-x86-core", "qemu-img", "iptables", "ipset", "conntrack-tools", "genisoimage",
)  # fmt: skip
SUPPORTS = (
    *COMPUTE_SUPPORTS, "mariadb-server", "python3-pymysql", "rabbitmq-server", "memcached", "dnsmasq",
    "haproxy", "iputils-arping", "httpd", "python3-mod_wsgi", "media-types",
)  # fmt: skip
REPOSITORY = """\
[{name}]
name={name}
baseurl=file://{folder}
enabled=1
gpgcheck=1
gpgkey=file://{folder}/{key}
"""


@contextlib.contextmanager
def cloud_machine(rpms: Path, report: Report, name: str = "controller") -> Iterator[Machine]:
    """Boot a machine with nothing installed yet, whose dnf has all that it needs.

    Args:
        rpms: a signed repository of ours, as `openstack-builder rpm --repo --local-key` leaves it.

    Raises:
        BuildError: the machine does not come up; Debian's mirror cannot be reached.
    """
    tree = fixture_tree(report)
    extra = build_repository(report, extra=EXTRA)
    words = (
        *WORDS,
        f"--hostname={name}",
        f"--bind-ro={extra.folder}:/srv/{EXTRA}",
        f"--bind-ro={rpms}:/srv/openstack",
    )
    with booted(tree, Runner(report), size=SIZE, words=words) as machine:
        for name, key in (("fixture", KEY), (EXTRA, KEY), ("openstack", "RPM-GPG-KEY-local")):
            text = REPOSITORY.format(name=f"{name}-here", folder=f"/srv/{name}", key=key)
            machine.write(f"/etc/yum.repos.d/{name}-here.repo", text)
            machine.run(["rpm", "--import", f"/srv/{name}/{key}"])
        # As Fedora's httpd makes it, before there is a file that it owns.
        machine.write("/etc/sysusers.d/httpd.conf", 'u apache 48 "Apache" /usr/share/httpd\n')
        machine.run(["systemd-sysusers"])
        for path in INSIDE.iterdir():
            shutil.copy(path, machine.shared)
        yield machine


def connect(runner: Runner, one: Machine, two: Machine) -> None:
    """Lay a cable between two machines; they have the addresses of ADDRESSES then."""
    runner.run(
        ["ip", "link", "add", "cable", "netns", str(one.pid), "type", "veth",
         "peer", "name", "cable", "netns", str(two.pid)],
    )  # fmt: skip
    for machine, address in zip((one, two), ADDRESSES, strict=True):
        machine.run(["ip", "address", "add", f"{address}/24", "dev", "cable"])
        machine.run(["ip", "link", "set", "cable", "up"])


def install(machine: Machine, *packages: str, supports: Sequence[str] = SUPPORTS, address: str = "") -> None:
    """Install packages of ours and what they stand on, signatures checked, as an administrator would.

    Args:
        address: that of the cable to another machine, if there is one.
    """
    argv = ["dnf", "--assumeyes", "--quiet", "--setopt=install_weak_deps=0", "--setopt=tsflags=nodocs"]
    machine.run([*argv, "install", *supports, *packages], timeout=900)
    machine.run(["bash", f"{SHARED}/prepare.sh", address], timeout=300)
