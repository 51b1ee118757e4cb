# SPDX-License-Identifier: MIT
"""openstack-service under a real sysvinit, on the init scripts of Essex; stubs are the daemons."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from builder.catalogue.load import load_catalogue
from builder.report import Report
from builder.runner import Runner
from tests.rig.machine.machine import Machine, booted
from tests.rig.machine.stubs import build_essex_stub
from tests.rig.machine.trees import Tree
from tests.support.services import build, choose, happened

pytestmark = pytest.mark.root
TARGET = "epel-6"
PACKAGES = ("openstack-utils", "openstack-nova", "openstack-keystone", "openstack-glance")
HERE = ("openstack-stub-essex", "openstack-utils", "openstack-keystone", "openstack-glance",
        "openstack-nova-common", "openstack-nova-scheduler", "openstack-nova-network")  # fmt: skip
# In the order of their start.
ENABLED = [
    "openstack-keystone",
    "openstack-glance-api",
    "openstack-glance-registry",
    "openstack-nova-scheduler",
]


@pytest.fixture(scope="module")
def rpms(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """openstack-utils, the services and the stubs of their daemons."""
    stub = build_essex_stub(tmp_path_factory.mktemp("stub"), load_catalogue())
    return [stub, *build(tmp_path_factory.mktemp(TARGET), TARGET, *PACKAGES)]


@pytest.fixture(scope="module")
def machine(sysv_tree: Tree, rpms: list[Path]) -> Iterator[Machine]:
    """A machine with the services, of which ENABLED are enabled, and none running."""
    with booted(sysv_tree, Runner(Report(quiet=True))) as running:
        running.install(*choose(rpms, *HERE))
        for name in (*ENABLED, "openstack-nova-network"):
            running.write(f"/etc/sysconfig/{name}", "STARTUP_WAIT=1\n")
        for name in ENABLED:
            running.run(["chkconfig", name, "on"])
        yield running


def service(machine: Machine, *words: str, code: int = 0) -> str:
    """Run openstack-service; return what it printed, stderr after stdout."""
    done = machine.run(["openstack-service", *words], ok=(code,), timeout=900)
    return done.stdout + done.stderr


def test_list_has_what_the_runlevel_starts(machine: Machine) -> None:
    assert service(machine, "list").splitlines() == ENABLED
    assert sorted(service(machine, "list", "nova", "--all").splitlines()) == [
        "openstack-nova-network", "openstack-nova-scheduler",
    ]  # fmt: skip


def test_start_status_and_stop(machine: Machine) -> None:
    service(machine, "start")

    started = [event.split()[1] for event in happened(machine, len(ENABLED))]
    assert started == ["keystone-all", "glance-api", "glance-registry", "nova-scheduler"]
    lines = {line.split()[0]: line for line in service(machine, "status", "--all").splitlines()}
    (pid_file,) = machine.path("/var/run/nova").glob("*.pid")
    assert lines[ENABLED[3]].split()[1:5] == ["active", "enabled", "pid", pid_file.read_text().strip()]
    assert " since 20" in lines[ENABLED[3]]
    assert lines["openstack-nova-network"].split()[1:3] == ["inactive", "disabled"]
    service(machine, "is-active")

    service(machine, "stop")

    stopped = [event.split()[1] for event in happened(machine, len(ENABLED))]
    assert stopped == ["nova-scheduler", "glance-registry", "glance-api", "keystone-all"]
    assert service(machine, "is-active", code=1).split()[1::2] == ["inactive"] * len(ENABLED)


def test_a_dead_daemon_with_its_pid_file_left_is_failed(machine: Machine) -> None:
    service(machine, "start", "keystone")
    (pid_file,) = machine.path("/var/run/keystone").glob("*.pid")
    machine.run(["kill", "-9", pid_file.read_text().strip()])

    found = json.loads(service(machine, "status", "keystone", "--json"))["services"][0]

    assert (found["state"], found["failure"]) == ("failed", "dead, with a pid file left")
    service(machine, "stop", "keystone")
    happened(machine, 1)


def test_a_daemon_that_does_not_start_is_exit_1(machine: Machine) -> None:
    machine.write("/etc/stub/glance-api.dies", "")
    try:
        said = service(machine, "start", "glance", code=1)
    finally:
        machine.run(["rm", "/etc/stub/glance-api.dies"])

    assert "error: openstack-glance-api: " in said
    # The one after it was started all the same.
    assert happened(machine, 1) == ["start glance-registry"]
    service(machine, "stop", "glance")
    happened(machine, 1)


def test_enable_and_disable_are_those_of_chkconfig(machine: Machine) -> None:
    service(machine, "enable", "nova-network")
    assert "3:on" in machine.run(["chkconfig", "--list", "openstack-nova-network"]).stdout
    assert "openstack-nova-network" in service(machine, "list")

    service(machine, "disable", "nova-network")

    assert service(machine, "list").splitlines() == ENABLED


def test_what_systemd_alone_can_do_is_refused(machine: Machine) -> None:
    said = service(machine, "mask", "nova", code=2)
    assert "error: mask needs systemd: this host has SysV init" in said


def test_a_dry_run_prints_the_commands(machine: Machine) -> None:
    said = service(machine, "stop", "-n")
    assert said.splitlines() == [f"service {name} stop" for name in reversed(ENABLED)]
    assert service(machine, "disable", "-n", "nova").splitlines() == [
        "chkconfig openstack-nova-scheduler off"
    ]
