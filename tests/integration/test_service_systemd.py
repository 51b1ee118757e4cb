# SPDX-License-Identifier: MIT
"""openstack-service under a real systemd, on the services' own units; a stub is their code."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from builder.catalogue.load import load_catalogue
from builder.report import Report
from builder.runner import Runner
from tests.rig.machine.machine import Machine, booted
from tests.rig.machine.stubs import build_current_stub
from tests.rig.machine.trees import Tree
from tests.support.services import build, happened

pytestmark = pytest.mark.root
TARGET = "fixture-12"
PACKAGES = (
    "openstack-utils",
    "openstack-nova",
    "openstack-neutron",
    "openstack-placement",
    "openstack-swift",
)
NOVA = ["openstack-nova-api", "openstack-nova-conductor", "openstack-nova-scheduler"]
AGENT, CLEANUP = "neutron-openvswitch-agent", "neutron-ovs-cleanup"
# In the order of their start.
ENABLED = [CLEANUP, AGENT, "openstack-placement-api", *NOVA]


@pytest.fixture(scope="module")
def installed(fixture_tree: Tree, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """A machine with openstack-utils and the services."""
    stub = build_current_stub(tmp_path_factory.mktemp("stub"), load_catalogue())
    rpms = build(tmp_path_factory.mktemp(TARGET), TARGET, *PACKAGES)
    with booted(fixture_tree, Runner(Report(quiet=True))) as machine:
        machine.install(stub, *(rpm for rpm in rpms if not rpm.name.startswith("python3-")))
        yield machine


@pytest.fixture
def machine(installed: Machine) -> Iterator[Machine]:
    """The machine with the ENABLED services, not running, and no other."""
    installed.run(["systemctl", "enable", *ENABLED])
    yield installed
    names = " ".join(f"'{pattern}'" for pattern in ("openstack-*", "neutron-*"))
    installed.run(["sh", "-c", f"systemctl stop {names}; systemctl reset-failed"], timeout=900, ok=())
    installed.run(["sh", "-c", "cd /etc/systemd/system && rm -rf */openstack-* */neutron-*"], ok=())
    installed.run(["systemctl", "daemon-reload"])
    installed.write("/var/log/stub/events", "", mode=0o666)


def service(machine: Machine, *words: str, code: int = 0) -> str:
    """Run openstack-service; return what it printed, stderr after stdout."""
    done = machine.run(["openstack-service", *words], ok=(code,), timeout=900)
    return done.stdout + done.stderr


def state(machine: Machine, *units: str) -> list[str]:
    """Return ActiveState of units."""
    said = machine.run(["systemctl", "show", "-p", "ActiveState", *units]).stdout
    return [line.partition("=")[2] for line in said.splitlines() if line]


def rows(machine: Machine, *words: str, code: int = 0) -> dict[str, dict[str, Any]]:
    """Run openstack-service with --json; return its services by name."""
    found = machine.run(["openstack-service", *words, "--json"], ok=(code,), timeout=900).stdout
    return {each["service"]: each for each in json.loads(found)["services"]}


def test_list_has_the_enabled_services_in_the_order_of_their_start(machine: Machine) -> None:
    assert service(machine, "list").splitlines() == ENABLED
    assert service(machine, "list", "nova").splitlines() == NOVA
    # The former name of the project.
    assert service(machine, "list", "quantum").splitlines() == [CLEANUP, AGENT]
    assert service(machine, "list", "nova-api").splitlines() == ["openstack-nova-api"]
    # RDO's name of it.
    assert service(machine, "list", "openstack-nova-os-compute-api").splitlines() == ["openstack-nova-api"]
    everything = service(machine, "list", "--all").splitlines()
    assert "openstack-nova-compute" in everything
    assert not any(name.endswith("@") for name in everything)


def test_start_and_stop_keep_the_order_and_leave_clean_up_alone(machine: Machine) -> None:
    said = service(machine, "start")

    assert "leaves out neutron-ovs-cleanup: it cleans up at boot" in said
    running = [name for name in ENABLED if name != CLEANUP]
    started = [event.split()[1] for event in happened(machine, len(running))]
    assert started == ["neutron-openvswitch-agent", "uwsgi", "uwsgi", "nova-conductor", "nova-scheduler"]
    assert state(machine, *running) == ["active"] * len(running)
    assert state(machine, CLEANUP) == ["inactive"]

    service(machine, "restart", "neutron")

    assert sorted(happened(machine, 2)) == [f"start {AGENT}", f"stop {AGENT}"]
    assert state(machine, CLEANUP) == ["inactive"]

    service(machine, "stop")

    stopped = [event.split()[1] for event in happened(machine, len(running))]
    assert stopped == ["nova-scheduler", "nova-conductor", "uwsgi", "uwsgi", "neutron-openvswitch-agent"]


def test_clean_up_named_whole_is_refused(machine: Machine) -> None:
    for verb in ("restart", "start", "stop", "try-restart", "reload-or-restart"):
        said = service(machine, verb, CLEANUP, code=1)
        assert f"error: {verb}: nothing is left to act on" in said
    assert state(machine, CLEANUP) == ["inactive"]


def test_status_shows_process_time_and_what_runs_it(machine: Machine) -> None:
    service(machine, "start", "nova")

    lines = {line.split()[0]: line for line in service(machine, "status").splitlines()}

    pid = machine.run(["systemctl", "show", "-p", "MainPID", "--value", NOVA[0]]).stdout.strip()
    assert lines[NOVA[0]].split()[1:3] == ["active", "enabled"]
    assert f" in uwsgi pid {pid} since 20" in lines[NOVA[0]]
    assert "in uwsgi" not in lines[NOVA[1]]
    assert lines["openstack-placement-api"].split()[1:3] == ["inactive", "enabled"]
    found = rows(machine, "status")[NOVA[0]]
    assert (found["state"], found["boot"], found["pid"], found["runs_in"]) == (
        "active", "enabled", int(pid), "uwsgi",
    )  # fmt: skip


def test_a_service_that_dies_is_reported_with_the_reason(machine: Machine) -> None:
    machine.write("/etc/stub/nova-conductor.dies", "")
    try:
        said = service(machine, "start", "nova", code=1)
        assert service(machine, "is-active", "nova", "--quiet", code=1) == ""
    finally:
        machine.run(["rm", "/etc/stub/nova-conductor.dies"])

    assert "error: openstack-nova-conductor: Job for openstack-nova-conductor.service failed" in said
    # The others are not kept from it.
    assert state(machine, NOVA[0], NOVA[2]) == ["active", "active"]


def test_instances_of_templates_are_named_whole(machine: Machine) -> None:
    for number in (1, 2):
        machine.write(f"/etc/swift/object-server/{number}.conf", "[DEFAULT]\n")
    service(machine, "enable", "swift-object@1")

    assert service(machine, "list", "swift").splitlines() == ["openstack-swift-object@1"]
    service(machine, "start", "swift")
    # Not enabled, but it runs.
    machine.run(["systemctl", "start", "openstack-swift-object@2"])
    assert service(machine, "list", "swift").splitlines() == ["openstack-swift-object@1"]
    assert {"openstack-swift-object@1", "openstack-swift-object@2"} <= set(
        service(machine, "list", "swift", "--all").splitlines()
    )
    service(machine, "stop", "swift-object@2", "--all")
    assert state(machine, "openstack-swift-object@1", "openstack-swift-object@2") == ["active", "inactive"]


def test_what_httpd_serves_is_shown_and_left_to_it(machine: Machine) -> None:
    machine.write(
        "/etc/httpd/conf.d/10-keystone_wsgi.conf",
        'WSGIDaemonProcess keystone user=keystone\nWSGIScriptAlias / "/usr/bin/keystone-wsgi-public"\n',
    )
    machine.write("/usr/lib/systemd/system/httpd.service", "[Service]\nExecStart=/bin/sleep 1000\n[Install]\n"
                  "WantedBy=multi-user.target\n")  # fmt: skip
    machine.run(["systemctl", "daemon-reload"])
    machine.run(["systemctl", "enable", "--now", "httpd"])
    try:
        found = rows(machine, "status", "keystone")["openstack-keystone"]
        assert (found["state"], found["runs_in"]) == ("active", "httpd")
        said = service(machine, "restart", "keystone", code=1)
        assert "leaves out openstack-keystone: it runs in httpd" in said
        assert state(machine, "httpd") == ["active"]
    finally:
        machine.run(["systemctl", "disable", "--now", "httpd"])
        machine.run(["rm", "/etc/httpd/conf.d/10-keystone_wsgi.conf"])


def test_a_dry_run_prints_the_commands_and_changes_nothing(machine: Machine) -> None:
    said = service(machine, "restart", "nova", "--dry-run")

    assert said.splitlines() == [f"systemctl --no-pager restart {name}.service" for name in NOVA]
    assert state(machine, *NOVA) == ["inactive"] * 3
    planned = rows(machine, "stop", "-n", "nova")
    assert [each["result"] for each in planned.values()] == ["not done"] * 3


def test_enable_and_disable_reach_what_is_installed(machine: Machine) -> None:
    service(machine, "enable", "nova-compute")
    assert "openstack-nova-compute" in service(machine, "list")

    service(machine, "disable", "nova-compute", "--now")

    assert "openstack-nova-compute" not in service(machine, "list")
    assert "error: enable without PREFIX" in service(machine, "enable", code=2)


def test_no_systemctl_is_called_for_an_unknown_prefix(machine: Machine) -> None:
    machine.write("/tmp/bin/systemctl", "#!/bin/sh\necho called >>/tmp/called\n", mode=0o755)
    run = ["env", "PATH=/tmp/bin:/usr/bin:/bin", "openstack-service", "restart", "nvoa"]

    done = machine.run(run, ok=(2,))

    assert done.stderr.startswith('error: unknown prefix "nvoa"\nhint: did you mean nova? known are keystone')
    assert not machine.path("/tmp/called").exists()


def test_a_plain_user_sees_all_and_changes_nothing(machine: Machine) -> None:
    as_nobody = ["runuser", "-u", "nobody", "--", "openstack-service"]
    seen = machine.run([*as_nobody, "status"]).stdout.splitlines()
    assert [line.split()[0] for line in seen] == ENABLED

    done = machine.run([*as_nobody, "start", "nova"], ok=(4,))

    assert "error: systemctl" in done.stderr
    assert "hint: run it as root: sudo" in done.stderr
    assert state(machine, *NOVA) == ["inactive"] * 3


def test_nothing_enabled_says_what_is_installed(machine: Machine) -> None:
    said = service(machine, "restart", "heat", code=1)
    assert "error: heat: none of its services is installed here" in said
    said = service(machine, "restart", "nova-serialproxy", code=1)
    assert "error: no OpenStack service of nova-serialproxy is enabled here" in said
    assert "--all takes the installed ones: openstack-nova-serialproxy" in said
