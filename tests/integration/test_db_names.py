# SPDX-License-Identifier: MIT
"""openstack-db goes by the operator's configuration (names, drop-ins), and by what the server says."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.rig.plane import environment
from tests.rig.plane.mariadb import MariaDB, RootLogin
from tests.rig.plane.plane import Options, Until, private
from tests.support.databases import GLANCE, KEYSTONE, Host

ONE = ("--service", "keystone")


@pytest.fixture
def host(tmp_path: Path, by_password: MariaDB, services: environment.Environment) -> Iterator[Host]:
    """A host with empty files of Keystone and Glance, and a server that knows root by password."""
    secret = tmp_path / "root.pw"
    secret.write_text(f"{by_password.root_password}\n")
    root = ("--host", "127.0.0.1", "--port", str(by_password.port), "--rootpw-file", str(secret))
    host = Host(folder=tmp_path / "host", server=by_password, programs=(services.folder / "bin",), root=root)
    host.write("keystone", KEYSTONE)
    host.write("glance", GLANCE)
    yield host
    host.clean()


def url(host: Host, user: str, database: str, password: str = "pw-of-the-operator") -> str:
    """Return a URL of the server."""
    return f"mysql+pymysql://{user}:{password}@127.0.0.1:{host.server.port}/{database}"


def with_url(host: Host, user: str, database: str, **more: str) -> Path:
    """Write keystone.conf with a URL in it."""
    return host.write("keystone", f"[database]\nconnection = {url(host, user, database, **more)}\n")


def test_database_and_account_are_those_of_the_url(host: Host) -> None:
    host.sql("CREATE DATABASE keystone")
    conf = with_url(host, "ks_user", "ks_prod")
    text = conf.read_text()

    declined = host.run("--init", *ONE)
    nothing = host.databases(), host.accounts()
    made = host.run("--init", *ONE, "--yes", "--json")
    check = host.run("--check", *ONE, "--json")
    again = host.run("--init", *ONE, "--json")

    assert declined.code == 3
    assert "the configuration names the database ks_prod and the account ks_user" in declined.err
    assert nothing == ({"keystone"}, set())
    assert made.code == 0, made.err
    assert made.service["databases"] == ["ks_prod"]
    assert host.databases() == {"keystone", "ks_prod"}
    assert host.accounts() == {"ks_user@localhost", "ks_user@127.0.0.1"}
    assert conf.read_text() == text
    assert (check.code, check.service["result"]) == (0, "current"), check.err
    # What is there under its own names needs no question.
    assert (again.code, again.service["result"]) == (0, "unchanged"), again.err

    dropped = host.run("--drop", *ONE, "--yes")
    assert dropped.code == 0, dropped.err
    assert host.databases() == {"keystone"}
    assert host.accounts() == set()


def test_account_that_others_use_stays(host: Host) -> None:
    host.sql("CREATE DATABASE ks_prod; CREATE DATABASE glance_prod; CREATE USER openstack@localhost")
    for name in ("ks_prod", "glance_prod"):
        host.sql(f"GRANT ALL ON {name}.* TO openstack@localhost")
    with_url(host, "openstack", "ks_prod")

    run = host.run("--drop", *ONE, "--yes")

    assert run.code == 0, run.err
    assert "the account openstack stays: it is used for glance_prod" in run.err
    assert (host.databases(), host.accounts()) == ({"glance_prod"}, {"openstack@localhost"})


@pytest.mark.parametrize("action", ["--init", "--drop"])
@pytest.mark.parametrize(
    ("user", "database", "said"),
    [
        pytest.param("keystone", "mysql", "names the server's own database mysql", id="database"),
        pytest.param("root", "keystone", "logs in as root, the server's own account", id="account"),
        pytest.param("k%60x", "keystone", "is not a name that can be used", id="backtick"),
    ],
)
def test_what_belongs_to_the_server_is_refused(
    host: Host, action: str, user: str, database: str, said: str
) -> None:
    with_url(host, user, database)
    before = host.state()

    run = host.run(action, *ONE, "--yes")

    assert (run.code, host.state()) == (2, before)
    assert said in run.err


def test_drop_in_that_wins_is_named_and_checked(host: Host) -> None:
    host.sql("CREATE DATABASE ks_in")
    host.sql("CREATE USER ks_in@127.0.0.1 IDENTIFIED BY 'pw-of-the-operator'")
    host.sql("GRANT ALL ON ks_in.* TO ks_in@127.0.0.1")
    with_url(host, "keystone", "keystone")
    drop_in = host.write("keystone/keystone.conf.d/10.conf", "")
    drop_in.write_text(f"[database]\nconnection = {url(host, 'ks_in', 'ks_in')}\n")
    before = host.state()

    runs = [host.run(action, *ONE, "--yes") for action in ("--init", "--drop", "--update")]
    check = host.run("--check", *ONE, "--json")

    for run in runs:
        assert run.code in (1, 2), run.err
        assert f"{drop_in} sets [database] connection, which wins over {host.conf('keystone')}" in run.err
    assert host.state() == before
    assert check.service["databases"] == {"ks_in": "empty"}


def test_grant_is_for_one_database_and_not_for_those_of_like_names(host: Host) -> None:
    host.sql("CREATE DATABASE kszprod")
    with_url(host, "ks_user", "ks_prod")

    made = host.run("--init", *ONE, "--yes")

    assert made.code == 0, made.err
    assert set(host.sql("SELECT Db FROM mysql.db WHERE User = 'ks_user'").split()) == {r"ks\\_prod"}


def test_empty_database_of_another_character_set_is_converted(host: Host) -> None:
    host.sql("CREATE DATABASE glance CHARACTER SET latin1")

    made = host.run("--init", "--service", "glance")

    assert made.code == 0, made.err
    assert "glance is empty: its character set latin1 becomes utf8mb4" in made.err
    assert charset_of(host, "glance") == "utf8mb4"


def charset_of(host: Host, database: str) -> str:
    """Return the character set of new tables in a database."""
    sql = "SELECT DEFAULT_CHARACTER_SET_NAME FROM information_schema.SCHEMATA WHERE SCHEMA_NAME="
    return host.sql(f"{sql}'{database}'").strip()


@pytest.mark.parametrize("cut", ["ALTER DATABASE", "CREATE USER", "GRANT"])
def test_sigkill_around_a_conversion_and_a_run_that_fails_leave_the_old_character_set(
    host: Host, cut: str
) -> None:
    host.sql("CREATE DATABASE glance CHARACTER SET latin1")
    before = host.state()
    died = host.run("--init", "--service", "glance", dies_before=cut)
    host.stand_in("glance-manage", "sys.exit(3)")

    done = host.run("--init", "--service", "glance")

    assert (died.code, done.code) == (-9, 1), done.err
    assert (host.state(), charset_of(host, "glance")) == (before, "latin1")


@pytest.mark.parametrize(
    ("statement", "said", "hint"),
    [
        pytest.param("ACCOUNT LOCK", "account is locked", "ACCOUNT UNLOCK", id="locked"),
        pytest.param("PASSWORD EXPIRE", "SET PASSWORD", "--generate-password sets a new one", id="expired"),
        # Not SSL: from 11.4 on the server has a certificate of itself, and PyMySQL speaks TLS where it can.
        pytest.param("REQUIRE X509", "Access denied", "requires TLS", id="TLS"),
    ],
)
def test_words_of_the_server_are_shown_with_a_hint(host: Host, statement: str, said: str, hint: str) -> None:
    host.sql("CREATE DATABASE keystone; CREATE USER keystone@127.0.0.1 IDENTIFIED BY 'pw-of-the-operator'")
    host.sql("GRANT ALL ON keystone.* TO keystone@127.0.0.1; CREATE TABLE keystone.thing (id INT)")
    host.sql(f"ALTER USER keystone@127.0.0.1 {statement}")
    with_url(host, "keystone", "keystone")

    check = host.run("--check", *ONE)
    init = host.run("--init", *ONE)

    for run in (check, init):
        assert run.code in (1, 4), run.err
        assert said.lower() in run.err.lower()
        assert hint in run.err


@pytest.mark.parametrize("password", ["root", "password", "a"])
def test_short_password_neither_breaks_our_words_nor_shows_in_them(host: Host, password: str) -> None:
    secret = host.folder / "wrong.pw"
    secret.write_text(password)
    host.root = (*host.root[:-1], str(secret))

    run = host.run("--init", *ONE)

    assert run.code == 4
    assert "***" not in run.err.replace("'***'", "")
    assert "hint: --rootpw-file" in run.err


def test_folders_of_a_call_may_be_relative(host: Host) -> None:
    argv = [word if word != str(host.folder) else "host" for word in host.argv("--init", *ONE)]

    run = subprocess.run(
        argv, cwd=host.folder.parent, env=host.environment, capture_output=True, text=True, check=False
    )

    assert run.returncode == 0, run.stderr
    assert host.databases() == {"keystone"}


def test_dry_run_says_what_would_be(host: Host) -> None:
    init = host.run("--init", *ONE, "--dry-run", "--json")
    host.sql("CREATE DATABASE keystone")
    drop = host.run("--drop", *ONE, "--dry-run")

    assert init.service["result"] == "would create"
    assert drop.out.split("\n")[0] == "keystone  would drop"
    assert os.listdir(host.folder) == ["etc"]


# In a mount namespace of its own: the configuration file is one that something is mounted at.
BIND = 'set -eu; mount --bind "$2" "$1"; shift 2; exec "$@"'


@pytest.mark.skipif(os.geteuid() != 0, reason="only root mounts")
@pytest.mark.parametrize("stand_in", [None, "sys.exit(3)"], ids=["done", "taken back"])
def test_a_mounted_file_is_written_in_place(host: Host, stand_in: str | None) -> None:
    if stand_in:
        host.stand_in("keystone-manage", stand_in)
    conf, mounted = host.conf("keystone"), host.folder / "mounted.conf"
    mounted.write_text(KEYSTONE)

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        argv = ["unshare", "--mount", "sh", "-c", BIND, "sh", str(conf), str(mounted), *host.argv(*words)]
        return subprocess.run(argv, env=host.environment, capture_output=True, text=True, check=False)

    refused = run("--init", *ONE)
    nothing = host.databases()
    done = run("--init", *ONE, "--inplace")

    assert (refused.returncode, nothing) == (1, set())
    assert "use --inplace" in refused.stderr
    assert done.returncode == (1 if stand_in else 0), done.stderr
    assert ("connection = mysql" in mounted.read_text()) == (stand_in is None)
    assert mounted.read_text() == KEYSTONE or stand_in is None
    assert not list(host.folder.rglob("*openstack-db-old"))


def test_tables_are_not_left_on_another_server(host: Host, tmp_path: Path) -> None:
    made = host.run("--init", *ONE)
    before = host.state()

    with private(Options(until=Until.MARIADB, root=RootLogin.PASSWORD)) as other:
        host.root = (*host.root[:3], str(other.mariadb.port), *host.root[4:])
        moved = host.run("--init", *ONE, "--yes")

    assert made.code == 0, made.err
    assert (moved.code, host.state()) == (2, before)
    assert "--init does not move them" in moved.err
    assert "hint: dump and load them" in moved.err


def test_reason_of_a_refused_password_is_shown(host: Host) -> None:
    host.sql("CREATE USER keystone@localhost IDENTIFIED BY 'theirs'")
    host.sql("INSTALL SONAME 'simple_password_check'")
    secret = host.folder / "weak.pw"
    secret.write_text("weak")
    try:
        run = host.run("--init", *ONE, "--password-file", str(secret))
    finally:
        host.sql("UNINSTALL SONAME 'simple_password_check'")

    assert run.code == 1
    assert "password does not satisfy the current policy" in run.err
    assert host.accounts() == {"keystone@localhost"}


def test_account_for_another_host_alone_is_said_as_that(host: Host) -> None:
    run = host.run("--init", *ONE, "--grant-from", "192.0.2.7")

    assert run.code == 1
    assert "--grant-from lets it in from 192.0.2.7 only" in run.err
    assert "hint: name this host with another --grant-from" in run.err
    assert (host.databases(), host.accounts()) == (set(), set())


def test_account_without_a_name_that_is_taken_first_is_named(host: Host) -> None:
    host.sql("CREATE USER ''@'127.0.0.1'")
    before = host.state()
    try:
        run = host.run("--init", *ONE, "--grant-from", "%")
        after = host.state()
    finally:
        host.sql("DROP USER ''@'127.0.0.1'")

    assert (run.code, after) == (1, before)
    assert "accounts without a name come first: ''@'127.0.0.1'" in run.err
    assert "hint: DROP USER ''@'127.0.0.1'; or --grant-from names this host" in run.err
