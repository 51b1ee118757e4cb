# SPDX-License-Identifier: MIT
"""openstack-db's server on a host like EL 6: init scripts, chkconfig, yum, and MySQL's names of the time."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from builder.places import SPECS
from tests.integration.test_db_server import ensure
from tests.rig.machine.machine import SHARED, Machine
from tests.rig.machine.stubs import build_rpm

pytestmark = pytest.mark.root

# A stand-in for EL 6's mysql-server: its names and the shape of its script around Debian's mariadbd.
INIT_SCRIPT = """\
#!/bin/bash
# chkconfig: - 64 36
# description: MySQL database server
. /etc/rc.d/init.d/functions
data=/var/lib/mysql
pid=/var/run/mysqld/mysqld.pid
start() {
    [ -d $data/mysql ] || mariadb-install-db --no-defaults --datadir=$data --user=mysql >/dev/null || return 1
    mariadbd --no-defaults --datadir=$data --user=mysql --socket=$data/mysql.sock --pid-file=$pid \\
        --bind-address=127.0.0.1 >/dev/null 2>&1 </dev/null &
    for i in $(seq 300); do
        mariadb-admin --no-defaults -S $data/mysql.sock ping >/dev/null 2>&1 && break
        sleep 0.1
    done
    [ -S $data/mysql.sock ] && touch /var/lock/subsys/mysqld
}
case $1 in
    start) start ;;
    stop) killproc -p $pid mysqld && rm -f /var/lock/subsys/mysqld ;;
    status) status -p $pid mysqld ;;
    *) exit 2 ;;
esac
"""
SPEC = """\
Name: mysql-server
Version: 5.1.73
Release: 1
Summary: stand-in for EL 6's mysql-server
License: MIT
BuildArch: noarch
%description
%pre
getent passwd mysql >/dev/null || useradd -r -d /var/lib/mysql -s /sbin/nologin mysql
%post
[ $1 -gt 1 ] || /sbin/chkconfig --add mysqld
%install
install -D -m 755 %{_sourcedir}/mysqld %{buildroot}/etc/rc.d/init.d/mysqld
install -d %{buildroot}/var/lib/mysql %{buildroot}/var/run/mysqld
%files
/etc/rc.d/init.d/mysqld
%attr(755,mysql,mysql) /var/lib/mysql
%attr(755,mysql,mysql) /var/run/mysqld
"""
# A double: EL 6's repositories are not there.
YUM = f"""\
#!/bin/sh
[ "$1 $2" = "-y install" ] || exit 1
exec rpm --upgrade --nodeps {SHARED}/rpms/"$3"-*.rpm
"""


@pytest.fixture(scope="module")
def mysql_server(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The stand-in for EL 6's mysql-server, built."""
    return build_rpm(tmp_path_factory.mktemp("mysql-server"), SPEC, {"mysqld": INIT_SCRIPT})


def offer(machine: Machine, rpm: Path) -> None:
    """Let `yum install` find an RPM."""
    machine.write("/usr/bin/yum", YUM, mode=0o755)
    (machine.shared / "rpms").mkdir()
    shutil.copy(rpm, machine.shared / "rpms")


def test_a_server_of_el_6_is_installed_started_and_enabled(sysv_machine: Machine, mysql_server: Path) -> None:
    machine = sysv_machine
    offer(machine, mysql_server)
    assert ensure(machine, "mysql", answer="no")["exit"] == 3
    assert machine.run(["rpm", "-q", "mysql-server"], ok=()).returncode == 1

    result = ensure(machine, "mysql", answer="yes")

    assert result == {
        "fresh": True,
        "socket": "/var/lib/mysql/mysql.sock",
        "asked": ["MySQL is not installed. Install mysql-server, and start it, now and at boot?"],
        "said": ["installing mysql-server", "starting mysqld"],
    }
    assert machine.run(["service", "mysqld", "status"], ok=()).returncode == 0
    assert "3:on" in machine.run(["chkconfig", "--list", "mysqld"]).stdout
    assert ensure(machine, "mysql", answer="no") == {**result, "fresh": False, "asked": [], "said": []}


def test_a_stopped_server_of_el_6_is_started(sysv_machine: Machine, mysql_server: Path) -> None:
    machine = sysv_machine
    machine.install(mysql_server)

    result = ensure(machine, "mysql", answer="yes")

    assert result["asked"] == ["MySQL is installed and does not run. Start mysqld, now and at boot?"]
    assert (result["fresh"], result["said"]) == (False, ["starting mysqld"])
    machine.reboot()
    assert machine.run(["service", "mysqld", "status"], ok=()).returncode == 0


# A stand-in for Essex's keystone-manage, not Keystone: it makes its table as the service.
KEYSTONE_MANAGE = """\
#!/usr/bin/python3
import re, sys, pymysql
from urllib.parse import unquote
assert sys.argv[1:] == ["db_sync"]
text = open("/etc/keystone/keystone.conf").read()
user, password, name = map(unquote, re.search("mysql://(.*?):(.*?)@localhost/(.*)", text).groups())
cursor = pymysql.connect(host="localhost", user=user, password=password, database=name).cursor()
cursor.execute("CREATE TABLE IF NOT EXISTS migrate_version (version INT)")
open("/var/log/keystone/keystone-manage.log", "a").write(user + " ")
"""


def test_openstack_db_brings_essex_from_no_server_to_a_database(
    sysv_machine: Machine, mysql_server: Path
) -> None:
    machine = sysv_machine
    offer(machine, mysql_server)
    shutil.copytree(SPECS.parent / "utils", machine.shared / "utils")
    machine.run(["useradd", "-r", "keystone"])
    machine.run(["install", "-d", "-o", "keystone", "/var/log/keystone"])
    conf = "[DEFAULT]\n\n[sql]\nconnection = mysql://keystone:keystone@localhost/keystone\n"
    machine.write("/etc/keystone/keystone.conf", conf, mode=0o640)
    machine.run(["chgrp", "keystone", "/etc/keystone/keystone.conf"])
    machine.write("/usr/bin/keystone-manage", KEYSTONE_MANAGE, mode=0o755)
    python = "/opt/rh/rh-python36/root/usr/bin/python3"
    command = [
        python,
        "-B",
        "-I",
        f"{SHARED}/utils/bin/openstack-db",
        "--service",
        "keystone",
        "--init",
        "--json",
    ]

    first = machine.run([*command, "--yes", "--generate-password", "--rootpw-file", "-"], input="s3cret\n")
    again = machine.run(command)

    assert "installing mysql-server" in first.stderr
    assert json.loads(first.stdout)["services"][0]["result"] == "created"
    assert json.loads(again.stdout)["services"][0]["result"] == "unchanged"
    assert machine.read("/var/log/keystone/keystone-manage.log").split()[0] == "keystone"
    assert "connection = mysql://keystone:keystone@" not in machine.read("/etc/keystone/keystone.conf")
    assert "3:on" in machine.run(["chkconfig", "--list", "mysqld"]).stdout
