# SPDX-License-Identifier: MIT
"""openstack-status on a booted host: real systemd and MariaDB; stubs are the services' code."""

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
from tests.support.services import build

pytestmark = pytest.mark.root
TARGET = "fixture-12"
PACKAGES = ("openstack-utils", "openstack-nova", "openstack-neutron", "openstack-swift")
API, COMPUTE, SCHEDULER = "openstack-nova-api", "openstack-nova-compute", "openstack-nova-scheduler"
SECRET = "S3cretWord"
# A double of an API for a machine: `double.py PORT FILE` answers every GET with the file, or hangs without.
DOUBLE = """\
import http.server, sys, time
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if len(sys.argv) < 3:
            time.sleep(1000)
        body = open(sys.argv[2], "rb").read()
        self.send_response(302 if self.path == "/dashboard/" else 200)
        self.send_header("Location", "/dashboard/auth/login/")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""
DIES = f"""\
[Service]
ExecStart=
ExecStart=/bin/sh -c 'echo "ERROR nova (mysql+pymysql://nova:{SECRET}@db/nova) refused"; exit 3'
Restart=no
Type=simple
"""


@pytest.fixture(scope="module")
def machine(fixture_tree: Tree, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """A machine with openstack-utils, the services, and MariaDB running."""
    stub = build_current_stub(tmp_path_factory.mktemp("stub"), load_catalogue())
    rpms = build(tmp_path_factory.mktemp(TARGET), TARGET, *PACKAGES)
    with booted(fixture_tree, Runner(Report(quiet=True))) as running:
        running.install(stub, *(rpm for rpm in rpms if not rpm.name.startswith("python3-")))
        running.dnf("install", "mariadb-server")
        running.run(["systemctl", "enable", "--now", "mariadb"], timeout=900)
        running.write("/srv/double.py", DOUBLE)
        running.write(
            "/srv/versions", '{"versions": [{"id": "v2.1", "status": "CURRENT", "version": "2.96"}]}'
        )
        yield running


@pytest.fixture(autouse=True)
def quiet(machine: Machine) -> Iterator[None]:
    """Stop what a test has started."""
    yield
    machine.run(["sh", "-c", "systemctl stop 'openstack-*' 'neutron-*' 'double-*'"], ok=(), timeout=900)
    machine.run(
        ["systemctl", "disable", "--now", API, COMPUTE, SCHEDULER, "neutron-l3-agent", "httpd"], ok=()
    )
    machine.run(["rm", "-rf", f"/etc/systemd/system/{COMPUTE}.service.d"])
    machine.run(["sh", "-c", "systemctl daemon-reload; systemctl reset-failed"], ok=())


def answer(machine: Machine, port: int, file: str = "/srv/versions") -> None:
    """Let a double answer at a port with a file; without one it hangs."""
    argv = ["systemd-run", "-q", f"--unit=double-{port}", "python3", "/srv/double.py", str(port), file]
    machine.run(argv if file else argv[:-1])
    await_port(machine, port)


def await_port(machine: Machine, port: int) -> None:
    """Wait until something listens at a port."""
    connect = f"import socket; socket.create_connection(('127.0.0.1', {port}))"
    machine.run(["sh", "-c", f'until python3 -c "{connect}" 2>&-; do sleep .1; done'])


def look(machine: Machine, *words: str, code: int = 0, user: str = "") -> dict[str, Any]:
    """Run openstack-status with --json; return its report, with the findings by name as `all`."""
    argv = ["runuser", "-u", user, "--"] if user else []
    done = machine.run([*argv, "openstack-status", "--json", *words], ok=(code,))
    assert SECRET not in done.stdout + done.stderr
    report: dict[str, Any] = json.loads(done.stdout)
    report["all"] = {each["name"]: each for section in report["sections"] for each in section["findings"]}
    return report


def test_a_host_on_which_all_is_well(machine: Machine) -> None:
    # Free for the double: the stub in uwsgi's place does not listen.
    machine.run(["systemctl", "enable", "--now", API, "neutron-l3-agent"])
    answer(machine, 8774)

    report = look(machine, "nova", code=1)

    found = report["all"]
    assert (found[API]["state"], found[API]["well"], found[API]["runs_in"]) == ("active", True, "uwsgi")
    assert (found[SCHEDULER]["state"], found[SCHEDULER]["well"]) == ("inactive", None)
    endpoint = found["http://127.0.0.1:8774/"]
    assert (endpoint["well"], endpoint["status"], endpoint["version"]) == (True, 200, "v2.1 (2.96)")
    # Of services that are off nothing is said.
    assert not any(each["name"].startswith("http://127.0.0.1:6080") for each in found.values())
    # Nova's databases are not set up: its API is enabled, so that counts.
    assert report["not_well"] == ["database nova_api", "database nova", "database nova_cell0"]

    text = machine.run(["openstack-status", "neutron"], ok=(1,)).stdout
    assert "neutron: Networking service (current)\n" in text
    assert "\n  neutron-l3-agent" in text


def test_supports_answer_in_their_own_protocol(machine: Machine) -> None:
    found = look(machine, code=0)["all"]["MariaDB or MySQL (mariadb)"]

    assert (found["well"], found["answers"], found["state"]) == (True, True, "active")
    assert "MariaDB" in found["version"]

    machine.run(["systemctl", "stop", "mariadb"])
    try:
        found = look(machine, code=1)["all"]["MariaDB or MySQL (mariadb)"]
        assert (found["well"], found["state"]) == (False, "inactive")
    finally:
        machine.run(["systemctl", "start", "mariadb"], timeout=900)


def test_a_failed_service_is_shown_with_its_last_error_and_no_secret(machine: Machine) -> None:
    machine.write(f"/etc/systemd/system/{COMPUTE}.service.d/dies.conf", DIES)
    machine.run(["systemctl", "daemon-reload"])
    machine.run(["systemctl", "enable", COMPUTE])
    machine.run(["systemctl", "start", COMPUTE], ok=())
    machine.run(["sh", "-c", f"until systemctl is-failed -q {COMPUTE}; do sleep .1; done"])

    found = look(machine, "nova", code=1)["all"][COMPUTE]

    assert (found["well"], found["failure"]) == (False, "exit status 3")
    assert found["last_error"] == "ERROR nova (mysql+pymysql://nova:***@db/nova) refused"
    text = machine.run(["openstack-status", "nova"], ok=(1,)).stdout
    assert f"\n! {COMPUTE}" in text
    assert "\n      ERROR nova (mysql" in text
    # A plain user sees what is hidden from him.
    report = look(machine, "nova", code=1, user="nobody")
    assert report["all"][COMPUTE]["last_error"] is None
    assert f"last errors of {COMPUTE}: the journal may not be read" in report["left_out"]


def test_databases_are_those_of_openstack_db(machine: Machine) -> None:
    machine.run(["systemctl", "enable", "--now", SCHEDULER])
    before = machine.read("/etc/nova/nova.conf")
    url = f"connection=mysql+pymysql://nova:{SECRET}@127.0.0.1/"
    machine.write(
        "/etc/nova/nova.conf", f"[database]\n{url}nova\n[api_database]\n{url}nova_api\n", mode=0o640
    )
    machine.run(["chgrp", "nova", "/etc/nova/nova.conf"])
    try:
        found = look(machine, "nova", code=1)["all"]["database nova"]
        assert (found["state"], found["well"]) == ("denied", False)
        sql = f"CREATE USER nova@localhost IDENTIFIED BY '{SECRET}'; GRANT ALL ON *.* TO nova@localhost;"
        machine.run(["mariadb", "-e", sql])
        assert look(machine, "nova", code=1)["all"]["database nova"]["state"] == "missing"
        machine.run(["mariadb", "-e", "CREATE DATABASE nova"])
        assert look(machine, "nova", code=1)["all"]["database nova"]["state"] == "empty"
        report = look(machine, "nova", user="nobody")
        assert "database nova" not in report["all"]
        assert "databases of nova: /etc/nova/nova.conf may not be read" in report["left_out"]
    finally:
        machine.write("/etc/nova/nova.conf", before, mode=0o640)
        machine.run(["mariadb", "-e", "DROP DATABASE IF EXISTS nova; DROP USER IF EXISTS nova@localhost"])


def test_the_dashboard_is_well_when_it_leads_to_its_login_page(machine: Machine) -> None:
    unit = "[Service]\nExecStart=/usr/bin/python3 /srv/double.py 80 /srv/versions\n[Install]\n"
    machine.write("/usr/lib/systemd/system/httpd.service", unit + "WantedBy=multi-user.target\n")
    alias = "WSGIScriptAlias /dashboard /usr/share/openstack-dashboard/wsgi.py\n"
    machine.write("/etc/httpd/conf.d/openstack-dashboard.conf", alias)
    machine.run(["systemctl", "daemon-reload"])
    machine.run(["systemctl", "enable", "--now", "httpd"])
    await_port(machine, 80)

    report = look(machine, "horizon")

    dashboard = report["all"]["openstack-dashboard"]
    assert (dashboard["state"], dashboard["well"], dashboard["runs_in"]) == ("active", True, "httpd")
    assert report["all"]["http://127.0.0.1:80/dashboard/auth/login/"]["status"] == 200
    assert report["well"]


def test_a_service_that_hangs_costs_its_limit_and_no_more(machine: Machine) -> None:
    machine.run(["systemctl", "enable", "--now", API])
    answer(machine, 8774, "")

    report = look(machine, "nova", "--timeout", "1", code=1)

    assert report["all"]["http://127.0.0.1:8774/"]["state"] == "no answer within 1 s"
    # Its own second, and what the others take: it is never waited for to its end.
    assert report["seconds"] < 500


def test_disks_are_shown_once_with_the_folders_on_them(machine: Machine) -> None:
    machine.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", "/var/lib/nova/instances"])
    try:
        machine.run(["sh", "-c", "head -c 1040000 /dev/zero >/var/lib/nova/instances/disk"])
        report = look(machine, "nova", code=1)
    finally:
        machine.run(["umount", "/var/lib/nova/instances"])

    full = report["all"]["/var/lib/nova/instances"]
    assert (full["well"], full["state"], full["folders"]) == (False, "low", ["/var/lib/nova/instances"])
    assert "/var/lib/nova/instances" in report["not_well"]


def test_a_plain_user_sees_states_and_answers(machine: Machine) -> None:
    machine.run(["systemctl", "enable", "--now", API])
    answer(machine, 8774)
    found = look(machine, "nova", user="nobody")["all"]
    assert found[API]["well"] is True
    assert found["http://127.0.0.1:8774/"]["status"] == 200
