# SPDX-License-Identifier: MIT
"""A whole cloud on one booted host, set up by openstack-demo-install: every unit answers, by its own API."""

from __future__ import annotations

import json
import random
import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from builder.catalogue.load import load_catalogue
from builder.catalogue.services import Service
from builder.places import SPECS
from builder.report import Report
from builder.runner import Completed
from tests.rig.machine.machine import Machine
from tests.rig.talk.host import find_wants, has_device_mapper
from tests.rig.talk.machine import cloud_machine, install
from tests.rig.talk.rpms import build_rpms
from tests.support.bundled import PYTHON

pytestmark = [pytest.mark.root, pytest.mark.slow]


def current_services() -> dict[str, Service]:
    """Return every service of every project of today, by the name of its unit."""
    projects = load_catalogue().projects.values()
    releases = [project.releases["current"] for project in projects if "current" in project.releases]
    return {name: service for release in releases for name, service in release.services.items()}


ALL = current_services()
# A host has one for each of its disks, say: NAME@INSTANCE.service.
TEMPLATES = {name for name, service in ALL.items() if service.instance and not service.run}
PACKAGES = ("openstack-utils", "novnc", "lvm2", *sorted({service.home for service in ALL.values()}))
UNITS = "/usr/lib/systemd/system"
# On a busy machine; an idle one needs two minutes for the longest.
SECONDS = 3000
NETWORK = ("--network", "10.20.0.0/24")
# The version document of each API asks for no token.
APIS = {
    "keystone": "http://127.0.0.1:5000/v3",
    "glance": "http://127.0.0.1:9292/versions",
    "placement": "http://127.0.0.1:8778/",
    "nova": "http://127.0.0.1:8774/",
    "neutron": "http://127.0.0.1:9696/",
    "cinder": "http://127.0.0.1:8776/",
    "heat": "http://127.0.0.1:8004/",
    "heat-cfn": "http://127.0.0.1:8000/",
    "metadata": "http://127.0.0.1:8775/",
    "swift": "http://127.0.0.1:8080/healthcheck",
}
# What runs without an API of its own is seen by that of its project.
WORKERS = """\
import json, openstack, time
cloud = openstack.connect()
def workers():
    yield from ((each.binary, each.state == "up") for each in cloud.compute.services())
    yield from ((each.binary, each.is_alive) for each in cloud.network.agents())
    yield from ((each.binary, each.state == "up") for each in cloud.block_storage.services())
    engines = cloud.orchestration.get("/services").json()["services"]
    yield from ((each["binary"], each["status"] == "up") for each in engines)
wanted = {wanted!r}
deadline = time.monotonic() + 120
while not wanted <= {{name for name, is_up in workers() if is_up}} and time.monotonic() < deadline:
    time.sleep(2)
print(json.dumps(sorted({{name for name, is_up in workers() if is_up}})))
"""
WANTED = {
    "nova-conductor", "nova-scheduler", "nova-compute", "neutron-openvswitch-agent", "neutron-dhcp-agent",
    "neutron-metadata-agent", "cinder-scheduler", "heat-engine",
}  # fmt: skip
OBJECTS = """\
import openstack
store = openstack.connect().object_store
store.create_container("talk")
store.upload_object(container="talk", name="paper", data="Folsom")
print(store.download_object("paper", container="talk").decode())
print([each.name for each in store.objects("talk")])
store.delete_object("paper", container="talk")
print([each.name for each in store.objects("talk")])
"""


@pytest.fixture(scope="module")
def repository() -> Path:
    if shutil.which("apt-get") is None:
        pytest.skip("Fixture Linux is made of Debian's packages, and apt-get is not installed")
    for want in find_wants(SPECS):
        pytest.skip(want)
    return build_rpms()


@pytest.fixture(scope="module")
def host(repository: Path) -> Iterator[Machine]:
    """A host with all packages, and nothing set up."""
    with cloud_machine(repository, Report(quiet=True)) as machine:
        install(machine, *PACKAGES)
        yield machine


@pytest.fixture(scope="module")
def cloud(host: Machine) -> Machine:
    demo(host, *NETWORK)
    return host


def demo(host: Machine, *words: str, ok: tuple[int, ...] = (0,)) -> Completed:
    done = host.run(["openstack-demo-install", *words], ok=(), timeout=SECONDS)
    assert done.returncode in ok, f"{done.stderr}\n{said_of(host, done.stderr)}"
    return done


def said_of(host: Machine, error: str) -> str:
    """Return what systemd and the logs say of the unit in the hint of an error; nothing without one."""
    found = re.search(r"journalctl -u (\S+)", error)
    if found is None:
        return ""
    unit = found[1]
    show = ["systemctl", "show", "--property=ActiveState,SubState,Result,NRestarts,ExecMainStatus", unit]
    logs = host.run(["bash", "-c", "tail --lines=40 /var/log/{cinder,nova,neutron,heat}/*.log"], ok=()).stdout
    return "\n".join([host.run(show, ok=()).stdout, journal(host, unit), logs])


def journal(host: Machine, unit: str) -> str:
    """Return what a unit said last."""
    return host.run(["journalctl", "--quiet", "--lines=60", "--unit", unit], ok=()).stdout


def ask(host: Machine, script: str) -> str:
    """Run Python in the environment, with the admin's login; return what it printed."""
    words = ["bash", "-c", f'. /root/keystonerc_admin && exec {PYTHON} -c "$0"', script]
    return host.run(words, timeout=300).stdout


def status_of(host: Machine, url: str) -> int:
    argv = ["curl", "--silent", "--max-time", "60", "--output", "/dev/null", "--write-out", "%{http_code}"]
    return int(host.run([*argv, url], ok=(), timeout=90).stdout)


def units(host: Machine) -> list[str]:
    """Return the full names of our units, those of instances apart."""
    return [f"{name}.service" for name in ALL if (host.path(f"{UNITS}/{name}.service")).exists()]


def states(host: Machine, names: list[str]) -> dict[str, dict[str, str]]:
    """Return what systemd says of units."""
    keys = "Id,ActiveState,Result,NRestarts,InvocationID,UnitFileState"
    said = host.run(["systemctl", "show", f"--property={keys}", *names]).stdout
    rows = [dict(line.split("=", 1) for line in block.splitlines()) for block in said.strip().split("\n\n")]
    return {row["Id"]: row for row in rows}


def odd_ones(host: Machine, names: list[str], *, wanted: tuple[str, str, str]) -> dict[str, str]:
    """Return the units whose state, result or restarts are others: these, and what each said last."""
    found = {}
    for name, row in states(host, names).items():
        state = (row["ActiveState"], row["Result"], row["NRestarts"])
        if state != wanted:
            found[name] = f"{state}\n{journal(host, name)}"
    return found


def active(host: Machine) -> list[str]:
    return [name for name, state in states(host, units(host)).items() if state["ActiveState"] == "active"]


# Before anything is set up: some answers of the tests below change the host.
def test_systemd_finds_nothing_wrong_with_any_unit(host: Machine) -> None:
    names = units(host)
    paths = [f"{UNITS}/{name}" for name in names]
    templates = [f"{UNITS}/{name}@.service" for name, service in ALL.items() if service.instance]

    done = host.run(["systemd-analyze", "verify", "--recursive-errors=no", *paths, *templates], ok=())

    said = done.stdout + done.stderr
    ours = [line for line in said.splitlines() if any(name in line for name in (*names, *ALL))]
    assert ours == []
    assert set(names) == {f"{name}.service" for name in set(ALL) - TEMPLATES}


@pytest.mark.parametrize("project", APIS)
def test_api_answers(project: str, cloud: Machine) -> None:
    assert status_of(cloud, APIS[project]) in (200, 300)


def test_workers_are_seen_by_the_api_of_their_project(cloud: Machine) -> None:
    script = WORKERS.format(wanted=WANTED)

    assert set(json.loads(ask(cloud, script))) >= WANTED


# Nothing boots from an empty disk, but Nova calls an instance active when Neutron has told it that its port
# is plugged, else not at all: vif_plugging_is_fatal is Nova's default. It is of another project than
# Neutron's account.
INSTANCE = """\
import openstack
cloud = openstack.connect()
image = cloud.image.create_image(
    name="empty", data=bytes(1 << 20), disk_format="raw", container_format="bare", wait=True
)
flavor = cloud.compute.create_flavor(name="tiny", ram=64, vcpus=1, disk=1)
network = cloud.network.find_network("demo", ignore_missing=False)
server = cloud.compute.create_server(
    name="plugged", image_id=image.id, flavor_id=flavor.id, networks=[{"uuid": network.id}]
)
server = cloud.compute.wait_for_server(server, wait=250, interval=1)
(port,) = cloud.network.ports(device_id=server.id)
print(server.status, port.status)
cloud.compute.delete_server(server)
cloud.compute.wait_for_delete(server, wait=60)
cloud.compute.delete_flavor(flavor)
cloud.image.delete_image(image)
"""


def test_an_instance_hears_from_neutron_that_its_port_is_plugged(cloud: Machine) -> None:
    assert ask(cloud, INSTANCE) == "ACTIVE ACTIVE\n"


# Nova's release notes: what is under way is waited for, 180 s at most. Nothing is.
@pytest.mark.parametrize(
    "name", ["openstack-nova-compute", "openstack-nova-api", "neutron-openvswitch-agent"]
)
def test_what_has_nothing_to_do_is_stopped_at_once(name: str, cloud: Machine) -> None:
    unit = f"{name}.service"

    cloud.run(["systemctl", "stop", unit], timeout=50)

    state = states(cloud, [unit])[unit]
    assert (state["ActiveState"], state["Result"]) == ("inactive", "success")
    cloud.run(["systemctl", "start", unit], timeout=120)


def test_objects_are_stored_listed_and_deleted(cloud: Machine) -> None:
    assert ask(cloud, OBJECTS) == "Folsom\n['paper']\n[]\n"


def test_no_unit_has_failed(cloud: Machine) -> None:
    argv = ["systemctl", "--failed", "--no-legend", "--plain", "list-units", "openstack-*", "neutron-*"]

    assert cloud.run(argv).stdout == ""


def test_second_run_changes_nothing(cloud: Machine) -> None:
    done = demo(cloud, *NETWORK, "--json")

    results = {step["title"]: step["result"] for step in json.loads(done.stdout)["steps"]}
    assert results == dict.fromkeys(results, "unchanged")


# A kernel without device-mapper has no LVM, and one without NFS mounts no share: a folder of this host takes
# its place. Driver, privileges, files and API are the real ones.
MOUNT = """\
#!/bin/sh
# mount.nfs SERVER:FOLDER PLACE [-o OPTIONS]
exec mount --bind "${1#*:}" "$2"
"""
SHARE = "/srv/nfs"
BACKEND = {
    "DEFAULT": {"enabled_backends": "nfs"},
    "nfs": {
        "volume_driver": "cinder.volume.drivers.nfs.NfsDriver",
        "volume_backend_name": "nfs",
        "nfs_shares_config": "/etc/cinder/nfs_shares",
    },
}
VOLUME = """\
import openstack, time
store = openstack.connect().block_storage
def volumes():
    return [each.state for each in store.services() if each.binary == "cinder-volume"]
deadline = time.monotonic() + 120
# The service reports its backend to the scheduler some time after it has started.
while not ("up" in volumes() and list(store.backend_pools())) and time.monotonic() < deadline:
    time.sleep(1)
print(*volumes())
volume = store.create_volume(name="paper", size=1)
store.wait_for_status(volume, "available", failures=["error"], wait=120)
print(volume.id)
"""
REMOVE = """\
import openstack
store = openstack.connect().block_storage
volume = store.find_volume("paper")
store.delete_volume(volume)
store.wait_for_delete(volume, wait=120)
"""


@pytest.mark.skipif(
    has_device_mapper(), reason="this kernel has device-mapper: --nova-volumes makes real ones"
)
def test_volumes_are_files_of_a_folder_that_stands_in_for_an_nfs_share(cloud: Machine) -> None:
    cloud.write("/usr/sbin/mount.nfs", MOUNT, mode=0o755)
    cloud.run(["install", "-d", "-o", "cinder", "-g", "cinder", SHARE])
    cloud.write("/etc/cinder/nfs_shares", f"localhost:{SHARE}\n")
    for section, options in BACKEND.items():
        for name, value in options.items():
            cloud.run(["openstack-config", "--set", "/etc/cinder/cinder.conf", section, name, value])
    cloud.run(["systemctl", "start", "openstack-cinder-volume"], timeout=120)

    state, volume = ask(cloud, VOLUME).splitlines()

    assert state == "up"
    assert cloud.run(["stat", "-c", "%s", f"{SHARE}/volume-{volume}"]).stdout == f"{1 << 30}\n"
    ask(cloud, REMOVE)
    assert not cloud.path(f"{SHARE}/volume-{volume}").exists()
    cloud.run(["systemctl", "stop", "openstack-cinder-volume"], timeout=120)


# Units that no first cloud has, but a host may: what each says when it is well. They are started by hand.
OTHERS = (
    "openstack-cinder-backup", "openstack-cinder-volume", "openstack-glance-scrubber", "neutron-l3-agent",
    "neutron-metering-agent", "neutron-netns-cleanup", "neutron-ovs-cleanup", "openstack-nova-serialproxy",
    "openstack-nova-spicehtml5proxy", "openstack-swift-account-replicator",
    "openstack-swift-container-reconciler", "openstack-swift-container-replicator",
    "openstack-swift-container-sharder", "openstack-swift-container-sync",
    "openstack-swift-object-reconstructor", "openstack-swift-object-replicator",
)  # fmt: skip
# What is not started here, and why not.
NOT_STARTED = {
    "neutron-macvtap-agent": "an agent of its own kind of host: this one has Open vSwitch's",
    "neutron-ovn-agent": "OVN's databases are not in the fixture",
    "neutron-ovn-maintenance-worker": "OVN's databases are not in the fixture",
    "neutron-ovn-metadata-agent": "OVN's databases are not in the fixture",
    "neutron-sriov-nic-agent": "no network card has virtual functions here",
    "openstack-barbican-api": "openstack-demo-install does not set Barbican up",
    "openstack-barbican-keystone-listener": "the same",
    "openstack-barbican-retry": "the same",
    "openstack-barbican-worker": "the same",
}


def test_every_unit_is_started_or_has_a_reason_not_to_be(cloud: Machine) -> None:
    started = {name.removesuffix(".service") for name in active(cloud)}

    assert set(ALL) - TEMPLATES - started == set(OTHERS) | set(NOT_STARTED)


def test_what_no_first_cloud_has_starts_stays_and_stops(cloud: Machine) -> None:
    names = [f"{name}.service" for name in OTHERS]
    # The pages of spice-html5, which its package recommends, are not in the fixture: the proxy ends without.
    cloud.write("/usr/share/spice-html5/spice_auto.html", "<title>SPICE</title>\n")
    # What fails to start is seen below, with what it said.
    cloud.run(["systemctl", "start", *names], timeout=300, ok=())
    time.sleep(10)
    started = odd_ones(cloud, names, wanted=("active", "success", "0"))
    cloud.run(["systemctl", "stop", *names], timeout=300, ok=())
    stopped = odd_ones(cloud, names, wanted=("inactive", "success", "0"))

    assert (started, stopped) == ({}, {})


def test_uwsgi_that_is_stopped_while_it_loads_has_not_failed(cloud: Machine) -> None:
    unit, settings = "openstack-heat-api.service", "/etc/heat/openstack-heat-api-uwsgi.ini"
    kept = cloud.read(settings)
    cloud.write(settings, kept.replace("processes = 1", "processes = 4"))
    for pause in (0.0, 0.3, 1.0):
        cloud.run(["systemctl", "restart", unit], timeout=120)
        time.sleep(pause)
        cloud.run(["systemctl", "stop", unit], timeout=120)

        assert states(cloud, [unit])[unit]["ActiveState"] == "inactive", journal(cloud, unit)
    cloud.write(settings, kept)
    cloud.run(["systemctl", "start", unit], timeout=120)


def test_an_upgrade_restarts_what_runs(cloud: Machine) -> None:
    before = states(cloud, active(cloud))
    packages = sorted({ALL[name.removesuffix(".service")].home for name in before})

    cloud.run(["dnf", "--assumeyes", "--quiet", "reinstall", *packages], timeout=SECONDS)

    after = states(cloud, list(before))
    assert {name: row["ActiveState"] for name, row in after.items()} == dict.fromkeys(before, "active")
    same = {name for name, row in after.items() if row["InvocationID"] == before[name]["InvocationID"]}
    # Swift's too: as in RDO, an administrator restarts a store one host after the other.
    kept = {f"{name}.service" for name, service in ALL.items() if service.upgrade == "keep"}
    assert same == kept & set(before)


@pytest.mark.skipif(has_device_mapper(), reason="this kernel has device-mapper")
def test_group_of_volumes_is_refused_where_the_kernel_has_none(cloud: Machine) -> None:
    done = demo(cloud, "--nova-volumes", "/root/volumes.img", ok=(4,))

    assert "--nova-volumes: the kernel has no device-mapper: /dev/mapper/control: no such " in done.stderr
    assert not cloud.path("/root/volumes.img").exists()


KILLS = 20
# Each run gets further than the one before, as far as this time lets it.
LONGEST = 20.0
KILL = """\
openstack-demo-install --network 10.20.0.0/24 >/root/run.log 2>&1 &
run=$!
(sleep "$1"; kill -9 $run) >/dev/null 2>&1 &
wait $run
"""


def test_runs_killed_at_random_moments_are_completed_by_the_next(cloud: Machine) -> None:
    chance = random.Random(2012)
    demo(cloud, "--undo", "--yes")
    kills = 0
    while kills < KILLS:
        words = ["bash", "-c", KILL, "kill", f"{chance.uniform(0, LONGEST):.2f}"]
        done = cloud.run(words, ok=(), timeout=SECONDS)
        assert done.returncode in (0, 137), cloud.read("/root/run.log")[-4000:]
        kills += done.returncode == 137
        if done.returncode == 0:
            demo(cloud, "--undo", "--yes")

    demo(cloud, *NETWORK)

    answers = {project: status_of(cloud, url) for project, url in APIS.items()}
    assert set(answers.values()) <= {200, 300}, answers
    again = json.loads(demo(cloud, *NETWORK, "--json").stdout)
    assert {step["result"] for step in again["steps"]} == {"unchanged"}


# Nothing is set up after it.
def test_undo_takes_everything_back(cloud: Machine) -> None:
    demo(cloud, "--undo", "--yes")

    active = [
        "systemctl",
        "--state=active",
        "--no-legend",
        "--plain",
        "list-units",
        "openstack-*",
        "neutron-*",
    ]
    assert cloud.run(active).stdout == ""
    assert cloud.run(["mariadb", "--skip-column-names", "-e", "show databases"]).stdout.split() == [
        "information_schema", "mysql", "performance_schema", "sys",
    ]  # fmt: skip
    # Written again with the bytes that the packages have: the time is another.
    verify = ["rpm", "--verify", "--nomtime", "openstack-nova-common", "openstack-glance"]
    verified = cloud.run(verify, ok=()).stdout
    assert [line for line in verified.splitlines() if line.endswith(".conf")] == []
    left = cloud.run(["find", "/root", "-maxdepth", "1", "-name", "*demo*", "-o", "-name", "keystonerc*"])
    assert left.stdout == ""
    assert (
        "no run of this command has set up these services" in demo(cloud, "--undo", "--yes", ok=(2,)).stderr
    )


# The last: the packages are gone.
def test_packages_are_removed_without_leftovers(cloud: Machine) -> None:
    demo(cloud, *NETWORK)
    names = units(cloud)

    # All that is ours is on the environment.
    cloud.run(["dnf", "--assumeyes", "--quiet", "remove", "openstack-*"], timeout=SECONDS)

    found = cloud.run(["systemctl", "list-units", "--all", "--no-legend", "--plain", *names]).stdout
    assert found == ""
    links = cloud.run(["find", "/etc/systemd/system", "-xtype", "l"]).stdout
    assert [line for line in links.splitlines() if line.rpartition("/")[2] in names] == []
    running = cloud.run(["ps", "-e", "-o", "args="]).stdout
    assert [line for line in running.splitlines() if "/usr/lib/openstack/" in line] == []
    assert not cloud.path("/usr/lib/openstack").exists()
    # What was edited is kept under another name; what nobody edited is gone.
    kept = cloud.run(["find", "/etc/nova", "/etc/heat", "/etc/neutron", "-type", "f"], ok=()).stdout
    assert [line for line in kept.splitlines() if not line.endswith(".rpmsave")] == []
