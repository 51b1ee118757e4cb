# SPDX-License-Identifier: MIT
"""openstack-db against MySQL itself, whose accounts have caching_sha2_password, with the real Keystone."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from builder.errors import BuildError
from builder.report import Report
from tests.rig.plane import environment, mysql
from tests.rig.plane.mysql import MySQL
from tests.support.databases import KEYSTONE, RUNNER, Host

pytestmark = pytest.mark.slow
ONE = ("--service", "keystone")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MySQL]:
    """MySQL of Debian's unstable suite."""
    if shutil.which("dpkg-deb") is None:
        pytest.skip("MySQL is had from Debian's packages, and this is not Debian")
    try:
        mysql.unpacked(RUNNER)
    except BuildError as error:
        pytest.skip(f"MySQL cannot be had: {error}")
    with mysql.running(tmp_path_factory.mktemp("m"), RUNNER) as running:
        yield running


@pytest.fixture
def host(tmp_path: Path, server: MySQL) -> Iterator[Host]:
    """A host with an empty file of Keystone, and a server that knows root by password."""
    secret = tmp_path / "root.pw"
    secret.write_text(server.root_password)
    root = ("--host", "127.0.0.1", "--port", str(server.port), "--rootpw-file", str(secret))
    programs = (environment.prepare(Report(quiet=True), RUNNER).folder / "bin",)
    host = Host(folder=tmp_path / "host", server=server, programs=programs, root=root)
    host.write("keystone", KEYSTONE)
    yield host
    for name in host.databases():
        host.sql(f"DROP DATABASE `{name}`")
    for account in accounts(host):
        user, _, at = account.rpartition("@")
        host.sql(f"DROP USER '{user}'@'{at}'")


def accounts(host: Host) -> set[str]:
    """Return the accounts that are not the server's own."""
    sql = "SELECT CONCAT(User, '@', Host) FROM mysql.user WHERE User NOT LIKE 'mysql.%' AND User <> 'root'"
    return set(host.sql(sql).split())


def test_all_actions(host: Host) -> None:
    made = host.run("--init", *ONE, "--json")
    check = host.run("--check", *ONE, "--json")
    again = host.run("--init", *ONE, "--json")
    update = host.run("--update", *ONE)
    plugin = host.sql("SELECT DISTINCT plugin FROM mysql.user WHERE User = 'keystone'")
    renewed = host.run("--init", *ONE, "--generate-password")
    current = host.run("--check", *ONE)
    dropped = host.run("--drop", *ONE, "--yes")

    assert "MySQL" not in made.err, made.err
    assert (made.code, made.service["result"]) == (0, "created"), made.err
    assert plugin.split() == ["caching_sha2_password"]
    assert (check.code, check.service["result"]) == (0, "current"), check.err
    assert (again.code, again.service["result"]) == (0, "unchanged"), again.err
    assert [update.code, renewed.code, current.code] == [0, 0, 0], update.err + renewed.err + current.err
    assert dropped.code == 0, dropped.err
    assert (host.databases(), accounts(host)) == (set(), set())


def test_failure_takes_back_the_password_too(host: Host) -> None:
    host.sql("CREATE USER keystone@localhost IDENTIFIED BY 'theirs'; CREATE DATABASE keystone")
    host.stand_in("keystone-manage", "sys.exit(3)")
    before = host.sql("SELECT authentication_string FROM mysql.user WHERE User = 'keystone'")

    run = host.run("--init", *ONE, "--generate-password")

    assert run.code == 1
    assert "ended with 3" in run.err
    assert host.sql("SELECT authentication_string FROM mysql.user WHERE User = 'keystone'") == before
    assert accounts(host) == {"keystone@localhost"}


def test_locked_account_is_said_in_the_servers_words(host: Host) -> None:
    host.sql("CREATE DATABASE keystone; CREATE USER keystone@127.0.0.1 IDENTIFIED BY 'pw' ACCOUNT LOCK")
    host.sql("GRANT ALL ON keystone.* TO keystone@127.0.0.1")
    url = f"mysql+pymysql://keystone:pw@127.0.0.1:{host.server.port}/keystone"
    host.write("keystone", f"[database]\nconnection = {url}\n")

    check = host.run("--check", *ONE)

    assert (check.code, check.out) == (4, "keystone  denied\n")
    assert "Account is locked" in check.err
    assert "ACCOUNT UNLOCK" in check.err
