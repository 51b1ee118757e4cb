# SPDX-License-Identifier: MIT
"""A whole cloud on one booted host, set up by openstack-demo-install: every unit answers, by its own API."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from builder.places import SPECS
from builder.report import Report
from builder.runner import Completed
from tests.rig.machine.machine import Machine
from tests.rig.talk.host import find_wants
from tests.rig.talk.machine import cloud_machine, install
from tests.support.bundled import PYTHON
from tests.support.rpm_tool import builder

pytestmark = [pytest.mark.root, pytest.mark.slow]

PROJECTS = ("keystone", "glance", "placement", "nova", "neutron", "cinder", "heat", "swift")
PACKAGES = (
    "openstack-utils", "openstack-keystone", "openstack-glance", "openstack-placement-api",
    "openstack-nova-api", "openstack-nova-conductor", "openstack-nova-scheduler", "openstack-nova-compute",
    "openstack-neutron", "openstack-neutron-openvswitch", "openstack-cinder", "openstack-heat-api",
    "openstack-heat-engine", "openstack-swift-account", "openstack-swift-container",
    "openstack-swift-object", "openstack-swift-proxy",
)  # fmt: skip
SECONDS = 900
# The version document of each API asks for no token.
APIS = {
    "keystone": "http://127.0.0.1:5000/v3",
    "glance": "http://127.0.0.1:9292/versions",
    "placement": "http://127.0.0.1:8778/",
    "nova": "http://127.0.0.1:8774/",
    "neutron": "http://127.0.0.1:9696/",
    "cinder": "http://127.0.0.1:8776/",
    "heat": "http://127.0.0.1:8004/",
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
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if shutil.which("apt-get") is None:
        pytest.skip("Fixture Linux is made of Debian's packages, and apt-get is not installed")
    for want in find_wants(SPECS):
        pytest.skip(want)
    folder = tmp_path_factory.mktemp("cloud")
    words = ["openstack-utils", "openstack-python-bundled", *(f"openstack-{name}" for name in PROJECTS)]
    builder("rpm", *words, "-t", "fixture-12", "--with", "bundled", "--repo", "--local-key", cwd=folder)
    return folder / "out/rpm/fixture-12/repo"


@pytest.fixture(scope="module")
def host(repository: Path) -> Iterator[Machine]:
    """A host with all packages, and nothing set up."""
    with cloud_machine(repository, Report(quiet=True)) as machine:
        install(machine, *PACKAGES)
        yield machine


@pytest.fixture(scope="module")
def cloud(host: Machine) -> Machine:
    demo(host, "--network", "10.20.0.0/24")
    return host


def demo(host: Machine, *words: str, ok: tuple[int, ...] = (0,)) -> Completed:
    return host.run(["openstack-demo-install", *words], ok=ok, timeout=SECONDS)


def ask(host: Machine, script: str) -> str:
    """Run Python in the environment, with the admin's login; return what it printed."""
    words = ["bash", "-c", f'. /root/keystonerc_admin && exec {PYTHON} -c "$0"', script]
    return host.run(words, timeout=300).stdout


def status_of(host: Machine, url: str) -> int:
    argv = ["curl", "--silent", "--max-time", "60", "--output", "/dev/null", "--write-out", "%{http_code}"]
    return int(host.run([*argv, url], ok=(), timeout=90).stdout)


@pytest.mark.parametrize("project", APIS)
def test_api_answers(project: str, cloud: Machine) -> None:
    assert status_of(cloud, APIS[project]) in (200, 300)


def test_workers_are_seen_by_the_api_of_their_project(cloud: Machine) -> None:
    script = WORKERS.format(wanted=WANTED)

    assert set(json.loads(ask(cloud, script))) >= WANTED


def test_objects_are_stored_listed_and_deleted(cloud: Machine) -> None:
    assert ask(cloud, OBJECTS) == "Folsom\n['paper']\n[]\n"


def test_no_unit_has_failed(cloud: Machine) -> None:
    argv = ["systemctl", "--failed", "--no-legend", "--plain", "list-units", "openstack-*", "neutron-*"]

    assert cloud.run(argv).stdout == ""


def test_second_run_changes_nothing(cloud: Machine) -> None:
    done = demo(cloud, "--network", "10.20.0.0/24", "--json")

    results = {step["title"]: step["result"] for step in json.loads(done.stdout)["steps"]}
    assert results == dict.fromkeys(results, "unchanged")


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
        done = cloud.run(words, ok=(0, 137), timeout=SECONDS)
        kills += done.returncode == 137
        if done.returncode == 0:
            demo(cloud, "--undo", "--yes")

    demo(cloud, "--network", "10.20.0.0/24")

    answers = {project: status_of(cloud, url) for project, url in APIS.items()}
    assert set(answers.values()) <= {200, 300}, answers
    again = json.loads(demo(cloud, "--network", "10.20.0.0/24", "--json").stdout)
    assert {step["result"] for step in again["steps"]} == {"unchanged"}


# The last: nothing is set up after it.
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
    verified = cloud.run(["rpm", "--verify", "openstack-nova-common", "openstack-glance"], ok=()).stdout
    assert [line for line in verified.splitlines() if line.endswith(".conf")] == []
    left = cloud.run(["find", "/root", "-maxdepth", "1", "-name", "*demo*", "-o", "-name", "keystonerc*"])
    assert left.stdout == ""
    assert (
        "no run of this command has set these services up" in demo(cloud, "--undo", "--yes", ok=(2,)).stderr
    )
