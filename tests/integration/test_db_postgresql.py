# SPDX-License-Identifier: MIT
"""openstack-db on PostgreSQL, with the real Keystone: root by password and by socket, faults, secrets."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from builder import files
from builder.report import Report
from tests.rig.plane import environment, postgresql
from tests.rig.plane.postgresql import PostgreSQL
from tests.support.databases import GLANCE, KEYSTONE, RUNNER, Host, wait_for, watched

SERVICE = ("--service", "keystone", "--engine", "postgresql")


@pytest.fixture(scope="module")
def server() -> Iterator[PostgreSQL]:
    # Not in pytest's folders: the server's own user has to get there.
    with files.work_folder(Path("/tmp"), "pg") as folder:
        folder.chmod(0o755)
        with postgresql.running(folder / "s", RUNNER) as server:
            yield server


@pytest.fixture
def host(tmp_path: Path, server: PostgreSQL) -> Iterator[Host]:
    """A host with empty files of Keystone and Glance, and a server that knows postgres by password."""
    venv = environment.prepare(Report(quiet=True), RUNNER)
    secret = tmp_path / "root.pw"
    secret.write_text(server.password)
    root = ("--host", "127.0.0.1", "--port", str(server.port), "--rootpw-file", str(secret))
    host = Host(folder=tmp_path / "host", server=server, programs=(venv.folder / "bin",), root=root)
    host.write("keystone", KEYSTONE)
    host.write("glance", GLANCE)
    yield host
    host.clean()


def test_all_actions_with_the_real_keystone_and_a_hostile_password(host: Host, server: PostgreSQL) -> None:
    secret = 'it\'s $x%41 @; DROP ROLE x;-- "Ж"'
    with watched({"the password": secret}) as found:
        done = host.run("--init", *SERVICE, "--password-file", "-", input=secret)
    again = host.run("--init", *SERVICE)
    check = host.run("--check", "--service", "keystone", "--json")
    update = host.run("--update", "--service", "keystone")
    log = (server.folder / "postgresql.log").read_text()
    dropped = host.run("--drop", "--service", "keystone", "--yes")

    assert done.code == 0, done.err
    assert "connection = postgresql+psycopg2://keystone:" in host.conf("keystone").read_text()
    assert again.out.split() == ["keystone", "unchanged"], again.err
    assert check.code == 0, check.err
    assert check.service["result"] == "current"
    assert update.code == 0, update.err
    assert found == []
    # The server logs every statement here: it gets the password in the form that it keeps.
    assert "CREATE ROLE" in log
    assert secret.replace("'", "''") not in log
    assert re.search(r"PASSWORD 'SCRAM-SHA-256\$", log)
    assert dropped.code == 0, dropped.err
    assert (host.databases(), host.accounts()) == (set(), set())


def test_a_sync_that_fails_leaves_nothing(host: Host) -> None:
    host.stand_in("keystone-manage", "sys.exit(7)")
    host.sql("CREATE ROLE other LOGIN")
    before = host.state()

    done = host.run("--init", *SERVICE, "--json")

    assert done.code == 1
    assert host.state() == before


def test_database_of_somebody_else_is_opened_for_the_account(host: Host) -> None:
    host.sql("CREATE DATABASE keystone")

    done = host.run("--init", *SERVICE)
    host.sql("SELECT 1")
    host.run("--drop", "--service", "keystone", "--yes")

    assert done.code == 0, done.err
    assert (host.databases(), host.accounts()) == (set(), set())


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be the user postgres at the socket")
def test_root_gets_in_at_the_socket_and_glance_is_checked_by_its_revisions(
    host: Host, server: PostgreSQL
) -> None:
    host.root = ("--socket", str(server.folder), "--port", str(server.port), "--engine", "postgresql")

    done = host.run("--init", "--service", "glance")
    check = host.run("--check", "--service", "glance", "--json")

    assert done.code == 0, done.err
    assert f"@127.0.0.1:{server.port}/glance" in host.conf("glance").read_text()
    # `glance-manage db_check` knows MySQL only.
    assert check.service["result"] == "current", check.err


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("--init", "--service", "neutron", "--engine", "postgresql"), "neutron does not run on postgresql"),
        (("--init", *SERVICE, "--grant-from", "10.0.0.1"), "pg_hba.conf"),
    ],
)
def test_what_postgresql_cannot_is_refused(host: Host, words: tuple[str, ...], text: str) -> None:
    host.write("neutron", "[database]\n")

    done = host.run(*words)

    assert done.code == 2
    assert text in done.err


REFUSALS = {
    "connection limit": (
        "ALTER ROLE keystone CONNECTION LIMIT 0", "too many connections for role", "CONNECTION LIMIT -1",
    ),
    "closed database": (
        "ALTER DATABASE keystone ALLOW_CONNECTIONS false",
        "is not currently accepting connections", "ALLOW_CONNECTIONS true",
    ),
    "no login": ("ALTER ROLE keystone NOLOGIN", "is not permitted to log in", "ALTER ROLE ... LOGIN"),
    "past its time": (
        "ALTER ROLE keystone VALID UNTIL '2020-01-01'", "password authentication failed", "denied",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("statement", "said", "hint"), REFUSALS.values(), ids=REFUSALS)
def test_words_of_the_server_are_shown_with_a_hint(
    host: Host, server: PostgreSQL, statement: str, said: str, hint: str
) -> None:
    host.sql("CREATE ROLE keystone LOGIN PASSWORD 'pw-of-the-operator'")
    host.sql("CREATE DATABASE keystone OWNER keystone")
    host.sql(statement)
    url = f"postgresql+psycopg2://keystone:pw-of-the-operator@127.0.0.1:{server.port}/keystone"
    host.write("keystone", f"[database]\nconnection = {url}\n")

    check = host.run("--check", "--service", "keystone")
    # What is taken away after a test are the roles that may log in.
    host.sql("ALTER ROLE keystone LOGIN")

    assert (check.code, check.out) == (4, "keystone  denied\n")
    assert said in check.err
    assert hint in check.err + check.out


def reload(host: Host, conf: Path, text: str) -> None:
    """Write pg_hba.conf and wait until the server goes by it: the same signal has it read both its files."""
    loaded = host.sql("SELECT pg_conf_load_time()")
    conf.write_text(text)
    host.sql("SELECT pg_reload_conf()")
    wait_for(lambda: host.sql("SELECT pg_conf_load_time()") != loaded)


@pytest.mark.parametrize(
    ("line", "said", "hint"),
    [
        (
            "host keystone all 127.0.0.1/32 ident",
            "Ident authentication failed",
            "scram-sha-256 takes passwords",
        ),
        ("host keystone all 127.0.0.1/32 reject", "pg_hba.conf rejects connection", "before that"),
        # What it had for this host is gone.
        ("", "no pg_hba.conf entry", "add a line for the account"),
    ],
    ids=["ident", "reject", "no entry"],
)
def test_refusal_of_pg_hba_is_shown_with_a_hint(
    host: Host, server: PostgreSQL, line: str, said: str, hint: str
) -> None:
    conf = server.folder / "data" / "pg_hba.conf"
    old = conf.read_text()
    host.sql("CREATE ROLE keystone LOGIN PASSWORD 'pw-of-the-operator'")
    host.sql("CREATE DATABASE keystone OWNER keystone")
    url = f"postgresql+psycopg2://keystone:pw-of-the-operator@127.0.0.1:{server.port}/keystone"
    host.write("keystone", f"[database]\nconnection = {url}\n")
    root = "host all postgres 127.0.0.1/32 scram-sha-256\n"
    try:
        reload(host, conf, f"{line}\n{root}")
        check = host.run("--check", "--service", "keystone")
    finally:
        reload(host, conf, old)

    assert (check.code, check.out) == (4, "keystone  denied\n")
    assert said in check.err
    assert hint in check.err


ASCII = "CREATE DATABASE keystone ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0"
ENCODINGS = "SELECT datname || '=' || pg_encoding_to_char(encoding) FROM pg_database WHERE datname ~ 'stone'"


def test_empty_database_of_another_encoding_is_made_again_when_that_is_wanted(host: Host) -> None:
    host.sql("CREATE ROLE keystone LOGIN; CREATE ROLE dba LOGIN")
    host.sql(ASCII + " OWNER dba")
    host.sql("GRANT ALL ON DATABASE keystone TO keystone")
    given = (*SERVICE, "--generate-password")

    foreseen = host.run("--init", *given, "--dry-run")
    declined = host.run("--init", *given)
    untouched = host.sql(ENCODINGS).split()
    host.stand_in("keystone-manage", "sys.exit(3)")
    taken_back = host.run("--init", *given, "--yes")
    again = host.sql(ENCODINGS).split()
    host.programs = host.programs[1:]
    made = host.run("--init", *given, "--yes")
    owner = host.sql("SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = 'keystone'").split()
    check = host.run("--check", "--service", "keystone")

    assert foreseen.code == 0, foreseen.err
    assert '  DROP DATABASE "keystone";\n' in foreseen.out
    assert declined.code == 3
    assert "has the encoding SQL_ASCII: drop it, and make it again with UTF8?" in declined.err
    assert (taken_back.code, made.code) == (1, 0), made.err
    assert untouched == again == ["keystone=SQL_ASCII"]
    assert host.sql(ENCODINGS).split() == ["keystone=UTF8"]
    assert (owner, check.out) == (["dba"], "keystone  current\n"), check.err


CUTS = {
    "before all": 'CREATE DATABASE "openstack_db_keystone"',
    "two databases": 'DROP DATABASE "keystone"',
    "none of that name": 'ALTER DATABASE "openstack_db_keystone" RENAME',
    "all done": "GRANT",
}


@pytest.mark.parametrize("is_well", [True, False], ids=["the next run succeeds", "the next run fails"])
@pytest.mark.parametrize("cut", CUTS.values(), ids=CUTS)
def test_sigkill_between_the_statements_of_a_conversion(host: Host, cut: str, is_well: bool) -> None:
    host.sql("CREATE ROLE keystone LOGIN")
    host.sql(ASCII)
    before = host.state()
    given = (*SERVICE, "--generate-password", "--yes")
    died = host.run("--init", *given, dies_before=cut)
    if not is_well:
        host.stand_in("keystone-manage", "sys.exit(3)")

    done = host.run("--init", *given)

    assert (died.code, done.code) == (-9, 0 if is_well else 1), done.err
    assert "continues a run that was interrupted" in done.err
    assert host.sql(ENCODINGS).split() == [f"keystone={'UTF8' if is_well else 'SQL_ASCII'}"]
    assert is_well or host.state() == before


@pytest.mark.parametrize(
    ("database", "statement", "lost"),
    [
        ("keystone", "CREATE FUNCTION one() RETURNS int LANGUAGE sql AS 'SELECT 1'", "other objects in it"),
        ("keystone", "CREATE SCHEMA theirs; CREATE TABLE theirs.data (id int)", "other objects in it"),
        ("postgres", "REVOKE CONNECT ON DATABASE keystone FROM PUBLIC", "grants of its own"),
        ("postgres", "ALTER DATABASE keystone SET work_mem = '8MB'", "settings of its own"),
    ],
)
def test_database_of_another_encoding_that_has_anything_stays(
    host: Host, server: PostgreSQL, database: str, statement: str, lost: str
) -> None:
    host.sql(ASCII)
    server.execute(statement, RUNNER, database=database)
    before = host.state()

    done = host.run("--init", *SERVICE, "--yes")

    assert (done.code, host.state()) == (1, before)
    assert f"has the encoding SQL_ASCII, not UTF8, no tables, but {lost}" in done.err


def test_names_of_the_url_are_the_operators(host: Host, server: PostgreSQL) -> None:
    host.sql("CREATE DATABASE keystone")
    url = f"postgresql+psycopg2://ks_user:pw-of-the-operator@127.0.0.1:{server.port}/ks_prod"
    host.write("keystone", f"[database]\nconnection = {url}\n")

    made = host.run("--init", "--service", "keystone", "--yes")
    check = host.run("--check", "--service", "keystone")
    databases, accounts = host.databases(), host.accounts()
    dropped = host.run("--drop", "--service", "keystone", "--yes")

    assert made.code == 0, made.err
    assert (check.code, check.out) == (0, "keystone  current\n"), check.err
    assert (databases, accounts) == ({"keystone", "ks_prod"}, {"ks_user"})
    assert dropped.code == 0, dropped.err
    assert (host.databases(), host.accounts()) == ({"keystone"}, set())
