# SPDX-License-Identifier: MIT
"""openstack-db on a booted host: from no server at all to a service that is let in.

MariaDB is installed, started and stopped for real; the sync is a stand-in.
"""

from __future__ import annotations

import json
import shutil

import pytest

from builder.places import SPECS
from tests.rig.machine.machine import SHARED, Machine

pytestmark = pytest.mark.root

ROOT_PASSWORD = 'r00t\'s "word"'
# A stand-in for keystone-manage, not Keystone: says who it is, and makes a table as the service.
KEYSTONE_MANAGE = """\
#!/usr/bin/python3
import os, re, sys
from urllib.parse import unquote
import pymysql
if sys.argv[-1] == "--check":
    sys.exit(2)
text = open(sys.argv[2]).read()
found = re.search(r"^connection = mysql\\+pymysql://(.*?):(.*?)@(.*?)/(.*)$", text, re.M).groups()
user, password, host, name = map(unquote, found)
cursor = pymysql.connect(host=host, user=user, password=password, database=name, autocommit=True).cursor()
cursor.execute("CREATE TABLE IF NOT EXISTS thing (id INT)")
open("/var/log/keystone/keystone-manage.log", "a").write("%d\\n" % os.getuid())
"""
COMMAND = ["python3", "-B", "-I", f"{SHARED}/utils/bin/openstack-db", "--service", "keystone"]


def prepare(machine: Machine) -> None:
    """Make the machine a host with openstack-utils, PyMySQL and a Keystone that was just installed."""
    machine.run(["sed", "-i", "s/^enabled=0/enabled=1/", "/etc/yum.repos.d/fixture.repo"])
    machine.dnf("install", "python3-pymysql")
    shutil.copytree(SPECS.parent / "utils", machine.shared / "utils")
    machine.run(["useradd", "-r", "-d", "/var/lib/keystone", "-s", "/sbin/nologin", "keystone"])
    machine.run(["install", "-d", "-o", "keystone", "-g", "keystone", "/var/log/keystone"])
    machine.run(["install", "-d", "/etc/keystone"])
    machine.write(
        "/etc/keystone/keystone.conf", "[DEFAULT]\n\n[database]\n#connection = <None>\n", mode=0o640
    )
    machine.run(["chgrp", "keystone", "/etc/keystone/keystone.conf"])
    machine.write("/usr/bin/keystone-manage", KEYSTONE_MANAGE, mode=0o755)
    machine.write("/root/root.pw", ROOT_PASSWORD + "\n", mode=0o600)


def test_from_no_server_to_a_service_that_is_let_in(fixture_machine: Machine) -> None:
    machine = fixture_machine
    prepare(machine)

    declined = machine.run([*COMMAND, "--init"], ok=(3,))
    there = machine.run(["rpm", "-q", "mariadb-server"], ok=(0, 1)).returncode
    first = machine.run(
        [*COMMAND, "--init", "--yes", "--json", "--rootpw-file", "/root/root.pw"], timeout=900
    )
    again = machine.run([*COMMAND, "--init", "--json"])
    checked = machine.run([*COMMAND, "--check", "--json"], ok=(1,))
    machine.run(["systemctl", "stop", "mariadb"])
    gone = machine.run([*COMMAND, "--check"], ok=(5,))
    started = machine.run([*COMMAND, "--init", "--yes", "--json"])
    dropped = machine.run([*COMMAND, "--drop", "--yes", "--json"])

    assert "Install mariadb-server" in declined.stderr
    assert there == 1
    assert json.loads(first.stdout)["services"][0]["result"] == "created", first.stderr
    assert ROOT_PASSWORD not in first.stdout + first.stderr
    assert json.loads(again.stdout)["services"][0]["result"] == "unchanged"
    assert json.loads(checked.stdout)["services"][0]["result"] == "behind"
    assert "127.0.0.1" in gone.stderr
    assert "starting mariadb" in started.stderr
    assert json.loads(started.stdout)["services"][0]["result"] == "unchanged"
    assert json.loads(dropped.stdout)["services"][0]["result"] == "dropped"
    uid = machine.run(["id", "-u", "keystone"]).stdout
    assert machine.read("/var/log/keystone/keystone-manage.log") == uid
    assert (
        machine.run(["stat", "-c", "%U %G %a", "/etc/keystone/keystone.conf"]).stdout == "root keystone 640\n"
    )
    assert "connection = mysql+pymysql://keystone:" in machine.read("/etc/keystone/keystone.conf")
    # The password works where the socket does not identify the user.
    machine.write("/tmp/client.cnf", f"[client]\nuser=root\npassword={json.dumps(ROOT_PASSWORD)}\n")
    client = [
        "runuser",
        "-u",
        "nobody",
        "--",
        "mariadb",
        "--defaults-file=/tmp/client.cnf",
        "-BNe",
        "SELECT 1",
    ]
    assert machine.run(client).stdout == "1\n"
