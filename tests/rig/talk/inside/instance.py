# SPDX-License-Identifier: MIT
"""Inside: keypair, flavor, a rule for ssh, and an instance of an image; prints what was done, a line each.

    instance.py IMAGE KEYFILE NAME [HOST]

The login comes from the OS_* variables of a keystonerc.
"""

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import openstack

SECONDS = 600


def main(image_name: str, key_file: str, name: str, host: str = "") -> int:
    """Boot the instance and wait until it is active; return the exit code."""
    cloud = openstack.connect()
    key = Path(key_file)
    if not key.exists():
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key_file], check=True)
    if not cloud.compute.find_keypair("mykey"):
        public = key.with_suffix(".pub").read_text().strip()
        cloud.compute.create_keypair(name="mykey", public_key=public)
        print("keypair mykey", flush=True)
    flavor = cloud.compute.find_flavor("m1.small")
    if not flavor:
        flavor = cloud.compute.create_flavor(name="m1.small", ram=768, vcpus=1, disk=3)
        print("flavor m1.small: 768 MiB, 1 processor, 3 GiB", flush=True)
    open_ssh(cloud)
    network = cloud.network.find_network("demo", ignore_missing=False)
    image = cloud.image.find_image(image_name, ignore_missing=False)
    wait_for_host(cloud, host)
    place = {"availability_zone": f"nova:{host}"} if host else {}
    server = cloud.compute.create_server(
        name=name,
        image_id=image.id,
        flavor_id=flavor.id,
        networks=[{"uuid": network.id}],
        key_name="mykey",
        **place,
    )
    try:
        server = cloud.compute.wait_for_server(server, wait=SECONDS, interval=1)
    except openstack.exceptions.ResourceFailure as error:
        fault = cloud.compute.get_server(server.id).fault or {}
        raise SystemExit(f"{error}: {fault.get('message')}\n{fault.get('details', '')}") from None
    (address,) = [each["addr"] for each in server.addresses["demo"]]
    print(f"instance {name} is {server.status}", flush=True)
    print(f"{server.id} {network.id} {address}")
    return 0


def open_ssh(cloud: openstack.connection.Connection) -> None:
    """Let ssh in by the default group of this project."""
    project = cloud.current_project_id
    (group,) = cloud.network.security_groups(name="default", project_id=project)
    rules = cloud.network.security_group_rules(security_group_id=group.id, protocol="tcp")
    if not any(rule.port_range_min == 22 for rule in rules):
        cloud.network.create_security_group_rule(
            security_group_id=group.id,
            direction="ingress",
            protocol="tcp",
            port_range_min=22,
            port_range_max=22,
        )
        print("rule of the default group: tcp 22", flush=True)


def hosts_with_processors(cloud: openstack.connection.Connection) -> Iterator[str]:
    """Yield the names of hosts whose processors Placement knows."""
    for provider in cloud.placement.resource_providers():
        inventories = cloud.placement.resource_provider_inventories(provider)
        if any(inventory.resource_class == "VCPU" for inventory in inventories):
            yield provider.name


def wait_for_host(cloud: openstack.connection.Connection, wanted: str) -> None:
    """Wait until a host for instances (that `wanted`) can be chosen, and the agents of its network are alive.

    Nova chooses among the hosts that have processors in Placement. It enters them there after it has found a
    host.
    """
    deadline = time.monotonic() + SECONDS
    while True:
        known = {host.name for host in cloud.compute.hypervisors()}.intersection(hosts_with_processors(cloud))
        agents = {(agent.binary, agent.host) for agent in cloud.network.agents() if agent.is_alive}
        switched = {host for binary, host in agents if binary == "neutron-openvswitch-agent"}
        ready = known & switched
        has_dhcp = any(binary == "neutron-dhcp-agent" for binary, _ in agents)
        if has_dhcp and (wanted in ready if wanted else ready):
            print(f"hosts for instances: {', '.join(sorted(ready))}", flush=True)
            return
        if time.monotonic() > deadline:
            raise SystemExit(f"no host for instances: hosts {sorted(known)}, agents {sorted(agents)}")
        time.sleep(1)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
