# SPDX-License-Identifier: MIT
"""The instance that a guest is, and the metadata documents that say so.

Formats: cloud-init's NoCloud; OpenStack's config drive and metadata service (nova's
`meta_data.json`, `network_data.json`); EC2's metadata tree. Pure: bytes out, nothing is written.
"""

from __future__ import annotations

import json
import secrets
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

OPENSTACK_VERSIONS = ("2012-08-10", "2018-08-27", "latest")
EC2_VERSIONS = ("2009-04-04", "2021-03-23", "latest")

# A document or a folder of them, as EC2's metadata service is laid out.
Tree = Mapping[str, "str | Tree"]


class Datasource(StrEnum):
    """How the guest learns who it is."""

    NOCLOUD = "nocloud"
    CONFIGDRIVE = "configdrive"
    EC2 = "ec2"
    OPENSTACK = "openstack"

    @property
    def is_network(self) -> bool:
        """Served on 169.254.169.254, not from a disk."""
        return self in (Datasource.EC2, Datasource.OPENSTACK)


@dataclass(frozen=True, kw_only=True, slots=True)
class Instance:
    """Who the guest is to be."""

    uuid: str
    hostname: str
    mac: str
    public_key: str
    address: str = "169.254.10.15"

    @property
    def ec2_id(self) -> str:
        """The identity in EC2's form."""
        return f"i-{self.uuid.replace('-', '')[:17]}"

    @property
    def ec2_uuid(self) -> str:
        """The system UUID in EC2's form."""
        return f"ec2{self.uuid[3:]}"


def new_instance(public_key: str) -> Instance:
    """Return an instance with a random identity, name and MAC (a locally administered one of qemu's)."""
    return Instance(
        # Never one that begins with ec2: that is how a guest knows EC2 (cloud-init, DataSourceEc2).
        uuid=f"{secrets.randbelow(0xEC200000):08x}{str(uuid.uuid4())[8:]}",
        hostname=f"verify-{secrets.token_hex(3)}",
        mac="52:54:00:" + ":".join(secrets.token_hex(1) for _ in range(3)),
        public_key=public_key,
    )


USER_DATA = "#cloud-config\n{}\n"


def nocloud_files(instance: Instance) -> dict[str, bytes]:
    """Return the files of a NoCloud seed (volume label `cidata`)."""
    meta = {
        "instance-id": instance.uuid,
        "local-hostname": instance.hostname,
        "public-keys": [instance.public_key],
    }
    return {"meta-data": _json(meta), "user-data": USER_DATA.encode()}


def config_drive_files(instance: Instance) -> dict[str, bytes]:
    """Return the files of a config drive (volume label `config-2`)."""
    files: dict[str, bytes] = {}
    for version in OPENSTACK_VERSIONS:
        for name, data in openstack_documents(instance).items():
            files[f"openstack/{version}/{name}"] = data.encode()
    return files


def openstack_documents(instance: Instance) -> dict[str, str]:
    """Return what nova gives below `openstack/VERSION/`."""
    meta = {
        "uuid": instance.uuid,
        "name": instance.hostname,
        "hostname": instance.hostname,
        "launch_index": 0,
        "availability_zone": "nova",
        "project_id": "0" * 32,
        "public_keys": {"verify": instance.public_key},
        "keys": [{"name": "verify", "type": "ssh", "data": instance.public_key}],
        "meta": {},
    }
    network = {
        "links": [
            {
                "id": "tap0",
                "vif_id": "00000000-0000-4000-8000-000000000001",
                "type": "ovs",
                "mtu": 1500,
                "ethernet_mac_address": instance.mac,
            }
        ],
        "networks": [
            {
                "id": "network0",
                "type": "ipv4_dhcp",
                "link": "tap0",
                "network_id": "00000000-0000-4000-8000-000000000002",
            }
        ],
        "services": [],
    }
    return {
        "meta_data.json": json.dumps(meta),
        "network_data.json": json.dumps(network),
        "vendor_data.json": "{}",
        "user_data": USER_DATA,
    }


def ec2_tree(instance: Instance) -> Tree:
    """Return what EC2 gives below `VERSION/`."""
    interface: Tree = {
        "device-number": "0",
        "local-hostname": instance.hostname,
        "local-ipv4s": instance.address,
        "mac": instance.mac,
        "subnet-ipv4-cidr-block": "169.254.0.0/16",
    }
    return {
        "meta-data": {
            "ami-id": "ami-00000001",
            "hostname": instance.hostname,
            "instance-action": "none",
            "instance-id": instance.ec2_id,
            "instance-type": "m1.tiny",
            "local-hostname": instance.hostname,
            "local-ipv4": instance.address,
            "mac": instance.mac,
            "network": {"interfaces": {"macs": {instance.mac: interface}}},
            "placement": {"availability-zone": "nova"},
            "public-keys": {"0=verify": {"openssh-key": instance.public_key}},
        },
        "user-data": USER_DATA,
        "dynamic": {"instance-identity": {"document": json.dumps({"instanceId": instance.ec2_id})}},
    }


def smbios(instance: Instance, datasource: Datasource) -> str | None:
    """Return qemu's `-smbios` value that lets the guest know its cloud; None: an ordinary machine."""
    match datasource:
        case Datasource.OPENSTACK:
            return (
                "type=1,manufacturer=OpenStack Foundation,product=OpenStack Nova,"
                f"version=32.0.0,serial={instance.uuid},uuid={instance.uuid},family=Virtual Machine"
            )
        case Datasource.EC2:
            return (
                "type=1,manufacturer=Amazon EC2,product=m1.tiny,"
                f"serial={instance.ec2_uuid},uuid={instance.ec2_uuid}"
            )
        case _:
            return None


def _json(value: object) -> bytes:
    return (json.dumps(value, indent=1) + "\n").encode()
