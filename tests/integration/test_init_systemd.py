# SPDX-License-Identifier: MIT
"""The services of today under a real systemd, from the RPMs for Fixture Linux; a stub is their code."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from builder.catalogue.load import load_catalogue
from builder.catalogue.model import Catalogue
from builder.report import Report
from builder.runner import Runner
from tests.rig.machine.machine import Machine, booted
from tests.rig.machine.stubs import build_current_stub
from tests.rig.machine.trees import Tree
from tests.support.services import build, build_second, choose, happened, services_of

pytestmark = pytest.mark.root
TARGET = "fixture-12"
# All with services but Keystone and Glance, which run for real elsewhere.
PACKAGES = (
    "openstack-cinder", "openstack-heat", "openstack-neutron", "openstack-nova", "openstack-placement",
    "openstack-swift",
)  # fmt: skip
NEUTRON = (
    "openstack-neutron",
    "openstack-neutron-common",
    "openstack-neutron-openvswitch",
    "openstack-neutron-ml2",
)
SERVER, AGENT, CLEANUP = "neutron-rpc-server", "neutron-openvswitch-agent", "neutron-ovs-cleanup"


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    """The catalogue."""
    return load_catalogue()


@pytest.fixture(scope="module")
def rpms(tmp_path_factory: pytest.TempPathFactory, catalogue: Catalogue) -> list[Path]:
    """The RPMs of PACKAGES without their code, and the stub that stands in for that, in both releases."""
    stub = build_current_stub(tmp_path_factory.mktemp("stub"), catalogue, releases=(1, 2))
    built = build(tmp_path_factory.mktemp(TARGET), TARGET, *PACKAGES)
    return [stub, *(rpm for rpm in built if not rpm.name.startswith("python3-"))]


@pytest.fixture(scope="module")
def installed(fixture_tree: Tree, rpms: list[Path]) -> Iterator[Machine]:
    """A machine with all of them."""
    with booted(fixture_tree, Runner(Report(quiet=True))) as machine:
        machine.install(*rpms)
        yield machine


def show(machine: Machine, unit: str, *names: str) -> list[str]:
    """Return what systemd says of a unit: the values of its properties `names`."""
    said = machine.run(["systemctl", "show", f"--property={','.join(names)}", unit]).stdout
    values = dict(line.split("=", 1) for line in said.splitlines())
    return [values[name] for name in names]


def test_users_have_their_ids(installed: Machine, catalogue: Catalogue) -> None:
    for _, user in services_of(catalogue, "current", PACKAGES).values():
        said = installed.run(["id", user.name]).stdout
        wanted = f"uid={user.uid}({user.name})" if user.uid else f"({user.name})"
        assert wanted in said, said
        home, shell = installed.run(["getent", "passwd", user.name]).stdout.strip().split(":")[-2:]
        assert (home, shell) == (str(user.home), str(user.shell))


def test_the_account_of_migrations_is_made_and_reaches_no_password(installed: Machine) -> None:
    account = installed.run(["getent", "passwd", "nova_migration"]).stdout.strip()
    assert account.endswith(":OpenStack Nova Migration:/:/bin/bash")

    def read_as_it(path: str) -> int:
        return installed.run(["runuser", "-u", "nova_migration", "--", "cat", path], ok=()).returncode

    assert read_as_it("/etc/nova-migration/authorized_keys") == 0
    assert read_as_it("/etc/nova/nova.conf") != 0
    # The name alone is owned: whoever logs in has a key that the package does not bring.
    assert installed.run(["test", "-e", "/etc/nova-migration/identity"], ok=()).returncode == 1


def test_every_service_is_started_and_stopped(installed: Machine, catalogue: Catalogue) -> None:
    machine = installed
    services = services_of(catalogue, "current", PACKAGES)
    units = [f"{name}.service" for name in services]
    for unit in units:
        state = show(machine, unit, "LoadState", "UnitFileState", "ActiveState")
        assert state == ["loaded", "disabled", "inactive"], unit

    machine.run(["systemctl", "enable", "--now", *units], timeout=900)

    first = {}
    for name, (each, user) in services.items():
        active, enabled, pid = show(machine, f"{name}.service", "SubState", "UnitFileState", "MainPID")
        is_short = each.type == "oneshot"
        assert (active, enabled) == ("exited" if is_short else "running", "enabled"), name
        if not is_short:
            first[name] = pid
            owner, *argv = machine.run(["ps", "-o", "user:32=,args=", "-p", pid]).stdout.split()
            assert owner == (each.user or user.name), name
            assert argv[0] == "/usr/bin/python3", name
            if each.run:
                assert argv[-len(each.run) :] == list(each.run), name
    happened(machine, len(services))
    assert machine.run(["systemctl", "status", *units], ok=()).returncode == 0

    machine.run(["systemctl", "restart", *(f"{name}.service" for name in first)], timeout=900)

    for name, pid in first.items():
        active, now = show(machine, f"{name}.service", "SubState", "MainPID")
        assert active == "running", name
        assert now != pid, name
    machine.run(["systemctl", "stop", *units], timeout=900)
    for unit in units:
        assert show(machine, unit, "ActiveState", "Result") == ["inactive", "success"], unit
    assert machine.run(["systemctl", "status", *units], ok=()).returncode == 3
    assert machine.run(["systemctl", "--failed", "--plain", "--no-legend"]).stdout == ""
    machine.run(["systemctl", "disable", *units])


def test_a_daemon_that_dies_at_once_has_not_started(installed: Machine) -> None:
    installed.write("/etc/stub/nova-scheduler.dies", "")

    done = installed.run(["systemctl", "start", "openstack-nova-scheduler"], ok=())

    assert done.returncode == 1
    # Restart=always: the next try may have begun, so its result is none yet.
    assert show(installed, "openstack-nova-scheduler", "ActiveState") != ["active"]
    installed.run(["rm", "/etc/stub/nova-scheduler.dies"])
    installed.run(["systemctl", "stop", "openstack-nova-scheduler"])


def test_an_upgrade_keeps_edits_and_restarts_what_may_be(
    fixture_machine: Machine, rpms: list[Path], tmp_path: Path
) -> None:
    machine = fixture_machine
    second = build_second(tmp_path, TARGET, "openstack-neutron", {"neutron.conf": "# of release 2\n"})
    machine.install(*choose(rpms, "openstack-stub-current", *NEUTRON))
    units = [SERVER, AGENT, CLEANUP]
    machine.run(["systemctl", "enable", "--now", *units])
    before = {unit: show(machine, unit, "MainPID", "ActiveEnterTimestampMonotonic") for unit in units}
    edited = machine.read("/etc/neutron/neutron.conf") + "# by hand\n"
    machine.write("/etc/neutron/neutron.conf", edited, mode=0o640)
    happened(machine, 3)

    machine.install(*choose(second, *NEUTRON))

    assert "-2.fx12" in machine.run(["rpm", "-q", "openstack-neutron-openvswitch"]).stdout
    assert sorted(happened(machine, 4)) == [
        f"{verb} {name}" for verb in ("start", "stop") for name in (AGENT, SERVER)
    ]
    for unit in units:
        after = show(machine, unit, "MainPID", "ActiveEnterTimestampMonotonic")
        assert (after == before[unit]) is (unit == CLEANUP), unit
        assert show(machine, unit, "ActiveState", "UnitFileState") == ["active", "enabled"], unit
    # Of the same package, but it did not run.
    assert show(machine, "neutron-dhcp-agent", "ActiveState") == ["inactive"]
    assert machine.read("/etc/neutron/neutron.conf") == edited
    assert "of release 2" in machine.read("/etc/neutron/neutron.conf.rpmnew")

    machine.remove(*NEUTRON)

    assert sorted(happened(machine, 2)) == [f"stop {AGENT}", f"stop {SERVER}"]
    for unit in units:
        assert show(machine, unit, "LoadState", "ActiveState") == ["not-found", "inactive"], unit
    assert list(machine.path("/etc/systemd/system").rglob("neutron-*")) == []
    assert machine.read("/etc/neutron/neutron.conf.rpmsave") == edited
    assert machine.run(["id", "-un", "neutron"]).stdout == "neutron\n"
