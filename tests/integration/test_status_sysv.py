# SPDX-License-Identifier: MIT
"""openstack-status under a real sysvinit, on Essex's init scripts; stubs are the daemons."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from builder.catalogue.load import load_catalogue
from builder.report import Report
from builder.runner import Runner
from tests.rig.machine.machine import Machine, booted
from tests.rig.machine.stubs import build_essex_stub
from tests.rig.machine.trees import Tree
from tests.support.services import build, choose

pytestmark = pytest.mark.root
TARGET = "epel-6"
HERE = ("openstack-stub-essex", "openstack-utils", "openstack-keystone", "openstack-glance")
KEYSTONE, API, REGISTRY = "openstack-keystone", "openstack-glance-api", "openstack-glance-registry"


@pytest.fixture(scope="module")
def machine(sysv_tree: Tree, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """A machine with Keystone and Glance of Essex; the API of Glance is enabled and runs."""
    stub = build_essex_stub(tmp_path_factory.mktemp("stub"), load_catalogue())
    built = build(tmp_path_factory.mktemp(TARGET), TARGET, *HERE[1:])
    with booted(sysv_tree, Runner(Report(quiet=True))) as running:
        running.install(*choose([stub, *built], *HERE))
        for name in (KEYSTONE, API):
            running.write(f"/etc/sysconfig/{name}", "STARTUP_WAIT=1\n")
        running.run(["chkconfig", API, "on"])
        running.run(["service", API, "start"])
        yield running


def look(machine: Machine, *words: str) -> dict[str, Any]:
    """Run openstack-status with --json, which finds something that is not well; return its findings."""
    said = machine.run(["openstack-status", "--json", *words], ok=(1,), timeout=900).stdout
    report = json.loads(said)
    assert report["init"] == "sysv"
    return {each["name"]: each for section in report["sections"] for each in section["findings"]}


def test_scripts_are_asked_and_the_release_is_essex(machine: Machine) -> None:
    text = machine.run(["openstack-status"], ok=(1,), timeout=900).stdout
    assert "glance: Image service (essex)\n" in text

    found = look(machine)

    assert (found[API]["state"], found[API]["boot"], found[API]["well"]) == ("active", "enabled", True)
    assert found[API]["pid"]
    assert (found[REGISTRY]["state"], found[REGISTRY]["well"]) == ("inactive", None)
    # The stub does not listen, and the API is meant to.
    endpoint = found["http://127.0.0.1:9292/"]
    assert (endpoint["state"], endpoint["well"]) == ("connection refused", False)


def test_a_daemon_that_died_is_shown_with_the_last_error_of_its_log(machine: Machine) -> None:
    machine.run(["service", KEYSTONE, "start"])
    machine.run(["chkconfig", KEYSTONE, "on"])
    log = "INFO up\nCRITICAL keystone [-] (mysql://keystone:S3cret@db/keystone) is gone\nINFO more\n"
    machine.write("/var/log/keystone/keystone.log", log)
    (pid_file,) = machine.path("/var/run/keystone").glob("*.pid")
    machine.run(["kill", "-9", pid_file.read_text().strip()])

    found = look(machine, "keystone")[KEYSTONE]

    assert (found["state"], found["well"]) == ("failed", False)
    assert found["failure"] == "dead, with a pid file left"
    assert found["last_error"] == "CRITICAL keystone [-] (mysql://keystone:***@db/keystone) is gone"


def test_a_script_that_hangs_costs_its_limit_and_hides_no_other(machine: Machine) -> None:
    script = machine.read(f"/etc/rc.d/init.d/{REGISTRY}")
    machine.write(f"/etc/rc.d/init.d/{REGISTRY}", "#!/bin/sh\nsleep 60\n", mode=0o755)
    machine.run(["chkconfig", "--level", "3", REGISTRY, "on"], ok=())
    try:
        found = look(machine, "glance", "--timeout", "2")
    finally:
        machine.write(f"/etc/rc.d/init.d/{REGISTRY}", script, mode=0o755)

    assert found[REGISTRY]["state"] == "unknown"
    assert found[API]["state"] == "active"
