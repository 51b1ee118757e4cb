# SPDX-License-Identifier: MIT
"""The services of Essex under a real sysvinit, from the RPMs for EL 6; stubs are their daemons."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from builder.catalogue.load import load_catalogue
from builder.catalogue.model import Catalogue
from builder.report import Report
from builder.runner import Runner
from tests.rig.machine.machine import Machine, booted
from tests.rig.machine.stubs import EVENTS, build_essex_stub
from tests.rig.machine.trees import Tree
from tests.support.services import build, build_second, choose, happened, services_of

pytestmark = pytest.mark.root
TARGET = "epel-6"
NOVA = "openstack-nova-scheduler"
PID_FILE = f"/var/run/nova/{NOVA}.pid"
LOCK = f"/var/lock/subsys/{NOVA}"
# service $verb for every name, side by side.
EVERY = """\
for name; do service "$name" $verb & all="$all $!"; done
for one in $all; do wait $one || status=$?; done
exit $status
"""


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    """The catalogue."""
    return load_catalogue()


@pytest.fixture(scope="module")
def rpms(tmp_path_factory: pytest.TempPathFactory, catalogue: Catalogue) -> list[Path]:
    """All RPMs of services for EL 6, and the stubs of their daemons."""
    stub = build_essex_stub(tmp_path_factory.mktemp("stub"), catalogue)
    return [stub, *build(tmp_path_factory.mktemp(TARGET), TARGET)]


@pytest.fixture
def machine(sysv_tree: Tree, rpms: list[Path]) -> Iterator[Machine]:
    """A machine with the scheduler of Nova, whose script waits one second for an early death."""
    with booted(sysv_tree, Runner(Report(quiet=True))) as running:
        running.install(*choose(rpms, "openstack-stub-essex", "openstack-nova-common", NOVA))
        running.write(f"/etc/sysconfig/{NOVA}", "STARTUP_WAIT=1\n")
        yield running


def service(machine: Machine, verb: str, name: str = NOVA) -> int:
    """Run `service NAME VERB` and return its exit status."""
    return machine.run(["service", name, verb], ok=()).returncode


def test_every_service_of_essex(sysv_tree: Tree, catalogue: Catalogue, rpms: list[Path]) -> None:
    services = services_of(catalogue, "essex")
    with booted(sysv_tree, Runner(Report(quiet=True))) as machine:
        machine.install(*rpms)
        machine.run(["sh", "-c", "for f in /etc/sysconfig/*; do echo STARTUP_WAIT=1 >>$f; done"])
        for _, user in services.values():
            said = machine.run(["id", user.name]).stdout
            assert said.startswith(f"uid={user.uid}({user.name}) gid={user.uid}({user.name})"), said
        for name in services:
            levels = machine.run(["chkconfig", "--list", name]).stdout.split()[1:]
            assert levels == [f"{level}:off" for level in range(7)], name
            assert service(machine, "status", name) == 3, name

        machine.run(["env", "verb=start", "sh", "-c", EVERY, "sh", *services])

        for name, (each, user) in services.items():
            (pid_file,) = machine.path("/var/run").glob(f"*/{name}.pid")
            assert machine.path(f"/var/lock/subsys/{name}").exists(), name
            argv = ["ps", "-o", "user=,args=", "-p", pid_file.read_text().strip()]
            assert machine.run(argv).stdout.split() == [user.name, "/usr/bin/python3", *each.run]
        machine.run(["env", "verb=status", "sh", "-c", EVERY, "sh", *services])
        machine.run(["env", "verb=stop", "sh", "-c", EVERY, "sh", *services])
        for name in services:
            assert service(machine, "status", name) == 3, name
            assert not machine.path(f"/var/lock/subsys/{name}").exists(), name


def test_states_have_their_codes(machine: Machine) -> None:
    for verb, code in {"status": 3, "reload": 7, "condrestart": 0, "stop": 0, "nonsense": 2}.items():
        assert service(machine, verb) == code, verb
    assert happened(machine, 0) == []

    assert service(machine, "start") == 0
    pid = machine.read(PID_FILE)
    assert service(machine, "status") == 0
    assert service(machine, "start") == 0
    assert machine.read(PID_FILE) == pid
    assert happened(machine, 1) == ["start nova-scheduler"]

    for verb in ("reload", "condrestart", "restart"):
        assert service(machine, verb) == 0, verb
        assert happened(machine, 2) == ["stop nova-scheduler", "start nova-scheduler"], verb

    machine.run(["kill", "-KILL", machine.read(PID_FILE).strip()])
    machine.run(["sh", "-c", f"while kill -0 $(cat {PID_FILE}); do sleep 0.1; done"])
    assert service(machine, "status") == 1
    machine.path(PID_FILE).unlink()
    assert service(machine, "status") == 2
    assert service(machine, "start") == 0
    assert service(machine, "stop") == 0
    assert service(machine, "status") == 3
    assert not machine.path(LOCK).exists()


def test_a_daemon_that_dies_at_once_has_not_started(machine: Machine) -> None:
    machine.write("/etc/stub/nova-scheduler.dies", "")

    done = machine.run(["service", NOVA, "start"], ok=())

    assert done.returncode == 1
    assert "[FAILED]" in done.stdout
    assert "OK" not in done.stdout
    output = f"/var/log/nova/{NOVA}.out"
    assert output in done.stderr
    assert "the stub was asked to die" in machine.read(output)
    assert service(machine, "status") == 3
    assert not machine.path(LOCK).exists()


def test_the_exit_code_says_what_is_missing(machine: Machine) -> None:
    machine.run(["mv", "/etc/nova/nova.conf", "/etc/nova/nova.conf.away"])
    assert service(machine, "start") == 6
    machine.run(["rm", "/usr/bin/nova-scheduler"])
    assert service(machine, "start") == 5


def test_it_starts_late_and_stops_early(machine: Machine) -> None:
    # With the numbers of EL 6's own.
    header = "#!/bin/sh\n# chkconfig: - 64 36\n# description: a database\n"
    tell = f"case $1 in start|stop) echo $1 mysqld >>{EVENTS} ;; esac\n"
    machine.write("/etc/rc.d/init.d/mysqld", header + tell, mode=0o755)
    machine.run(["chkconfig", "--add", "mysqld"])
    for name in (NOVA, "mysqld"):
        machine.run(["chkconfig", name, "on"])
        assert service(machine, "start", name) == 0
    happened(machine, 2)

    machine.reboot()

    order = ["stop nova-scheduler", "stop mysqld", "start mysqld", "start nova-scheduler"]
    assert happened(machine, len(order)) == order
    assert service(machine, "status") == 0


def test_an_upgrade_keeps_edits_and_restarts_what_runs(
    machine: Machine, rpms: list[Path], tmp_path: Path
) -> None:
    packages = ("openstack-nova-common", "openstack-nova-cert", NOVA)
    second = build_second(tmp_path, TARGET, "openstack-nova", {"nova.conf": "# of release 2\n"})
    machine.install(*choose(rpms, "openstack-nova-cert"))
    machine.run(["chkconfig", NOVA, "on"])
    assert service(machine, "start") == 0
    edited = machine.read("/etc/nova/nova.conf") + "verbose=true\n"
    machine.write("/etc/nova/nova.conf", edited, mode=0o640)
    happened(machine, 1)

    machine.install(*choose(second, *packages))

    assert happened(machine, 2) == ["stop nova-scheduler", "start nova-scheduler"]
    assert service(machine, "status") == 0
    assert service(machine, "status", "openstack-nova-cert") == 3
    assert "3:on" in machine.run(["chkconfig", "--list", NOVA]).stdout
    assert machine.read("/etc/nova/nova.conf") == edited
    assert "of release 2" in machine.read("/etc/nova/nova.conf.rpmnew")

    machine.remove(*packages)

    assert happened(machine, 1) == ["stop nova-scheduler"]
    assert list(machine.path("/etc/rc.d").glob(f"*/*{NOVA}")) == []
    assert not machine.path(LOCK).exists()
    assert machine.read("/etc/nova/nova.conf.rpmsave") == edited
    assert machine.run(["id", "-u", "nova"]).stdout == "162\n"
