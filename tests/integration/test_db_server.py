# SPDX-License-Identifier: MIT
"""openstack-db's server: found, installed, started and enabled under a real systemd and a real sysvinit."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from typing import Any

import pytest

from builder.places import SPECS
from builder.report import Report
from builder.runner import Runner
from tests.rig.machine.machine import SHARED, Machine, booted
from tests.rig.machine.trees import Tree

pytestmark = pytest.mark.root

# Calls ensure() inside as openstack-db does; prints what came of it and what was asked.
DRIVER = """\
import json, os, signal, sys
from openstack_utils.db.server import local
from openstack_utils.errors import UtilityError
engine, answer, uid = sys.argv[1:]
os.setuid(int(uid))
signal.signal(signal.SIGTERM, signal.default_int_handler)
asked, said = [], []
def ask(question):
    asked.append(question)
    return answer == "yes"
try:
    result = local.ensure(engine, "", ask, said.append)._asdict()
except UtilityError as error:
    result = {"exit": error.exit_code, "error": error.message}
print(json.dumps(dict(result, asked=asked, said=said)))
"""
SET_PASSWORD = """\
import pymysql, sys
from openstack_utils.db.server import local
connection = pymysql.connect(unix_socket=sys.argv[1], user="root")
local.set_root_password(connection, sys.stdin.read())
"""
OTHER_VERSION = """\
import pymysql, sys
from openstack_utils.db.server.local import password_statements
cursor = pymysql.connect(unix_socket=sys.argv[1], user="root").cursor()
accounts = [("root", "127.0.0.1"), ("", "127.0.0.1")]
for statement in password_statements(sys.argv[2], accounts, sys.stdin.read()):
    cursor.execute(*statement)
"""
# What MariaDB is by default since 11.6.2; the fixture's is older.
NEWER_DEFAULT = "[mariadbd]\nloose_innodb_snapshot_isolation = ON\n"
SETTINGS_FOLDER = "/etc/mysql/mariadb.conf.d"
PASSWORD = 'it\'s; "y" \\ %s p@ss'


def ensure(machine: Machine, engine: str, *, answer: str, uid: int = 0) -> dict[str, Any]:
    """Run local.ensure() inside; `answer` is what the user says to each question."""
    shutil.copytree(SPECS.parent / "utils", machine.shared / "utils", dirs_exist_ok=True)
    done = python(machine, DRIVER, engine, answer, str(uid))
    return json.loads(done)


def python(machine: Machine, program: str, *words: str, input: str | None = None) -> str:
    """Run a program of Python inside, with openstack_utils."""
    argv = ["python3", "-B", "-c", program, *words]
    return machine.run(argv, env={"PYTHONPATH": f"{SHARED}/utils"}, input=input, timeout=900).stdout


def sql(machine: Machine, user: str, statement: str, password: str | None = None) -> str | None:
    """Run SQL as root of the database and `user` of the system; None: not let in."""
    machine.write("/tmp/client.cnf", f"[client]\nuser=root\npassword='{password or ''}'\n", mode=0o644)
    argv = ["runuser", "-u", user, "--", "mariadb", "--defaults-file=/tmp/client.cnf", "-BNe", statement]
    done = machine.run(argv, ok=())
    if done.returncode:
        assert "ERROR 1045" in done.stderr or "ERROR 1698" in done.stderr, done.stderr
        return None
    return done.stdout


def state(machine: Machine, unit: str) -> tuple[str, str]:
    """Return what systemd says of a unit: active?, enabled?"""
    words = [
        machine.run(["systemctl", verb, unit], ok=()).stdout.strip() for verb in ("is-active", "is-enabled")
    ]
    return words[0], words[1]


def enable_repository(machine: Machine) -> None:
    """Let dnf see the fixture's repository, as a host sees its own."""
    machine.run(["sed", "-i", "s/^enabled=0/enabled=1/", "/etc/yum.repos.d/fixture.repo"])


@pytest.fixture(scope="module")
def installed(fixture_tree: Tree) -> Iterator[tuple[Machine, dict[str, Any]]]:
    """A machine on which ensure() has installed MariaDB, and what it said."""
    with booted(fixture_tree, Runner(Report(quiet=True))) as machine:
        enable_repository(machine)
        machine.dnf("install", "python3-pymysql")
        machine.write(f"{SETTINGS_FOLDER}/10-newer.cnf", NEWER_DEFAULT, mode=0o644)
        yield machine, ensure(machine, "mysql", answer="yes")


def test_a_missing_server_is_installed_started_and_enabled(
    installed: tuple[Machine, dict[str, Any]],
) -> None:
    machine, result = installed

    assert result == {
        "fresh": True,
        "socket": "/run/mysqld/mysqld.sock",
        "asked": ["MySQL is not installed. Install mariadb-server, and start it, now and at boot?"],
        "said": [
            "installing mariadb-server",
            f"writing {SETTINGS_FOLDER}/openstack.cnf",
            "starting mariadb",
        ],
    }
    assert state(machine, "mariadb") == ("active", "enabled")


def test_a_server_that_was_installed_lets_two_requests_write_to_one_row(
    installed: tuple[Machine, dict[str, Any]],
) -> None:
    machine, _ = installed

    assert sql(machine, "root", "SELECT @@GLOBAL.innodb_snapshot_isolation") == "0\n"
    assert machine.run(["stat", "-c", "%a %U", f"{SETTINGS_FOLDER}/openstack.cnf"]).stdout == "644 root\n"


def test_root_gets_a_password_and_keeps_the_socket(installed: tuple[Machine, dict[str, Any]]) -> None:
    machine, result = installed
    sql(machine, "root", "CREATE USER ''@localhost; CREATE USER root@'127.0.0.1'")

    python(machine, SET_PASSWORD, result["socket"], input=PASSWORD)

    quoted = PASSWORD.replace("\\", "\\\\").replace("'", "\\'")
    assert sql(machine, "root", "SELECT 1") == "1\n"
    assert sql(machine, "nobody", "SELECT 1", quoted) == "1\n"
    assert sql(machine, "nobody", "SELECT 1") is None
    accounts = "SELECT User, Host, JSON_EXTRACT(Priv, '$.authentication_string') = '' FROM mysql.global_priv"
    rows = sql(machine, "root", f"{accounts} WHERE User IN ('', 'root') ORDER BY Host")
    assert rows == "root\t127.0.0.1\t0\nroot\tlocalhost\t0\n"


@pytest.mark.parametrize("version", ["5.1.73", "5.5.68-MariaDB", "8.4.6"])
def test_the_statements_for_other_versions_are_sql(
    installed: tuple[Machine, dict[str, Any]], version: str
) -> None:
    machine, result = installed
    sql(machine, "root", "CREATE OR REPLACE USER root@'127.0.0.1'; CREATE OR REPLACE USER ''@'127.0.0.1'")

    python(machine, OTHER_VERSION, result["socket"], version, input=PASSWORD)

    rows = sql(machine, "root", "SELECT User, plugin, authentication_string <> '' FROM mysql.user "
                                "WHERE Host = '127.0.0.1'")  # fmt: skip
    assert rows == "root\tmysql_native_password\t1\n"


def test_a_running_server_is_left_alone(installed: tuple[Machine, dict[str, Any]]) -> None:
    machine, first = installed
    machine.run(["systemctl", "disable", "mariadb"])

    result = ensure(machine, "mysql", answer="no")

    assert result == {"fresh": False, "socket": first["socket"], "asked": [], "said": []}
    assert state(machine, "mariadb") == ("active", "disabled")
    assert ensure(machine, "mysql", answer="no", uid=65534) == result


def test_a_stopped_server_is_started_and_enabled(installed: tuple[Machine, dict[str, Any]]) -> None:
    machine, first = installed
    machine.run(["systemctl", "disable", "--now", "mariadb"])

    declined = ensure(machine, "mysql", answer="no")
    assert (declined["exit"], declined["error"]) == (3, "no database server runs here")
    assert declined["asked"] == ["MySQL is installed and does not run. Start mariadb, now and at boot?"]
    assert state(machine, "mariadb") == ("inactive", "disabled")
    assert ensure(machine, "mysql", answer="yes", uid=65534)["exit"] == 4

    result = ensure(machine, "mysql", answer="yes")

    assert (result["fresh"], result["socket"]) == (False, first["socket"])
    assert result["said"] == ["starting mariadb"]
    machine.reboot()
    assert state(machine, "mariadb") == ("active", "enabled")


def test_a_server_that_does_not_start_is_reported(installed: tuple[Machine, dict[str, Any]]) -> None:
    machine, _ = installed
    machine.run(["systemctl", "stop", "mariadb"])
    machine.write("/etc/systemd/system/mariadb.service.d/broken.conf", "[Service]\nExecStartPre=/bin/false\n")
    machine.run(["systemctl", "daemon-reload"])

    result = ensure(machine, "mysql", answer="yes")

    machine.run(["rm", "-r", "/etc/systemd/system/mariadb.service.d"])
    assert result["exit"] == 1
    assert result["error"].startswith("systemctl start mariadb.service ended with 1: ")


def test_nothing_happens_without_consent_or_a_package(fixture_machine: Machine) -> None:
    machine = fixture_machine

    assert ensure(machine, "mysql", answer="no")["exit"] == 3
    assert machine.run(["rpm", "-q", "mariadb-server"], ok=()).returncode == 1
    assert ensure(machine, "mysql", answer="yes", uid=65534)["exit"] == 4
    # No repository is enabled.
    failed = ensure(machine, "mysql", answer="yes")
    assert failed["exit"] == 1
    assert failed["error"].startswith("dnf -y install mariadb-server ended with 1: ")
    machine.run(["mv", "/usr/bin/dnf", "/usr/bin/yum", "/root"])
    failed = ensure(machine, "mysql", answer="yes")
    assert (failed["exit"], failed["asked"]) == (4, [])


# A stand-in for dnf that is slow to end, as rpm is in a transaction.
SLOW_DNF = """\
#!/bin/sh
trap 'sleep 1; echo ended >>/tmp/dnf; exit 1' TERM
echo started >/tmp/dnf
sleep 1000 & wait
"""
INTERRUPT = """\
python3 -B -c "$0" mysql yes 0 & pid=$!
until grep -q started /tmp/dnf; do sleep 0.1; done
kill -TERM $pid
wait $pid
cat /tmp/dnf
"""


def test_dnf_is_never_killed(fixture_machine: Machine) -> None:
    machine = fixture_machine
    shutil.copytree(SPECS.parent / "utils", machine.shared / "utils")
    machine.write("/usr/local/sbin/dnf", SLOW_DNF, mode=0o755)

    done = machine.run(["sh", "-c", INTERRUPT, DRIVER], env={"PYTHONPATH": f"{SHARED}/utils"})

    assert done.stdout == "started\nended\n"
    assert "KeyboardInterrupt" in done.stderr


def test_postgresql_is_installed_with_its_data_folder(fixture_machine: Machine) -> None:
    machine = fixture_machine
    enable_repository(machine)

    result = ensure(machine, "postgresql", answer="yes")

    assert result == {
        "fresh": True,
        "socket": "/var/run/postgresql",
        "asked": ["PostgreSQL is not installed. Install postgresql-server, and start it, now and at boot?"],
        "said": [
            "installing postgresql-server",
            "preparing the data folder of PostgreSQL",
            "starting postgresql",
        ],
    }
    assert state(machine, "postgresql") == ("active", "enabled")
    psql = ["runuser", "-u", "postgres", "--", "psql", "-Atc"]
    assert machine.run([*psql, "SELECT current_user"]).stdout == "postgres\n"
    hosts = "SELECT DISTINCT auth_method FROM pg_hba_file_rules WHERE type = 'host'"
    assert machine.run([*psql, hosts]).stdout == "md5\n"
    assert ensure(machine, "postgresql", answer="no")["socket"] == "/var/run/postgresql"
    machine.run(["systemctl", "stop", "postgresql"])
    assert ensure(machine, "postgresql", answer="yes")["said"] == ["starting postgresql"]
