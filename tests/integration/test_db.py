# SPDX-License-Identifier: MIT
"""openstack-db against MariaDB with the real Keystone and Glance: actions, passwords, secrets, options."""

from __future__ import annotations

import json
import os
import pty
import shutil
import stat
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from builder.report import Report
from tests.rig.plane import environment, mariadb, template
from tests.rig.plane.mariadb import MariaDB, RootLogin
from tests.rig.plane.plane import Options, Until, private
from tests.support.databases import COMMAND, GLANCE, KEYSTONE, RUNNER, Host, wait_for, watched
from tests.support.other_user import run_as_plain_user
from tests.support.own_certificate import make_certificate

PASSWORDS = {
    "at": "p@ss",
    "dollar": "p$foo",
    "sed": r"a&b|c\d",
    "injection": 'it\'s; DROP DATABASE x;-- "y"',
    "percent": "p%41",
    "blanks": " two  blanks ",
    "hash": "#hash#",
    "semicolon": "p ;x",
    "utf8": "Пароль-密碼-𝕡",
    "long": "x" * 32 + "@/?#[]:%" * 4,
}
# What Keystone does with its file, by the same libraries, without Keystone's own imports.
READERS = """
import sys
from alembic.config import Config
from oslo_config import cfg
import sqlalchemy

conf = cfg.ConfigOpts()
conf.register_opts([cfg.StrOpt("connection")], group="database")
conf(["--config-file", sys.argv[1]], project="x")
url = conf.database.connection
config = Config()
config.set_main_option("sqlalchemy.url", url.replace("%", "%%"))
for each in (url, config.get_main_option("sqlalchemy.url")):
    with sqlalchemy.create_engine(each).connect() as connection:
        print(connection.execute(sqlalchemy.text("SELECT CURRENT_USER()")).scalar())
"""


# A stand-in for keystone-manage, not Keystone: says who it is in the service's log, and makes a table.
AS_USER = """#!/bin/sh
set -eu
echo "$(id -u) $(id -g)" >>"$(dirname "$2")/../../var/log/keystone/keystone-manage.log"
url=$(sed -n 's|^connection = mysql+pymysql://||p' "$2")
login=${url%@*}
place=${url#*@}
port=${place#*:}
echo 'CREATE TABLE thing (id INT)' | MYSQL_PWD=${login#*:} mariadb --no-defaults -h 127.0.0.1 \\
    -P "${port%/*}" -u "${login%:*}" keystone
"""


@pytest.fixture
def host(tmp_path: Path, by_password: MariaDB, services: environment.Environment) -> Iterator[Host]:
    """A host with empty files of Keystone and Glance, and a server that knows root by password."""
    secret = tmp_path / "root.pw"
    secret.write_text(f"{by_password.root_password}\n")
    secret.chmod(0o600)
    root = ("--host", "127.0.0.1", "--port", str(by_password.port), "--rootpw-file", str(secret))
    host = Host(folder=tmp_path / "host", server=by_password, programs=(services.folder / "bin",), root=root)
    host.write("keystone", KEYSTONE)
    host.write("glance", GLANCE)
    yield host
    host.clean()


def as_the_services_read_it(services: environment.Environment, path: Path) -> list[str]:
    """Return who the service's libraries are on the server, by the URL in its file."""
    done = subprocess.run(
        [services.python, "-c", READERS, path], capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_init_makes_all_for_two_services_at_once_and_a_second_run_nothing(host: Host) -> None:
    both = ("--service", "keystone", "--service", "glance")
    first = host.run("--init", *both, "--json")
    check = host.run("--check", *both, "--json")
    texts = host.state()
    again = host.run("--init", *both, "--json")
    update = host.run("--update", *both)

    assert first.code == 0, first.err
    assert [each["result"] for each in first.json["services"]] == ["created", "created"]
    assert host.databases() == {"keystone", "glance"}
    assert host.accounts() == {
        f"{name}@{at}" for name in ("keystone", "glance") for at in ("localhost", "127.0.0.1")
    }
    assert int(host.sql("SELECT COUNT(*) FROM information_schema.TABLES WHERE TABLE_SCHEMA='keystone'")) >= 49
    schema = "information_schema.SCHEMATA WHERE SCHEMA_NAME='glance'"
    charset = f"SELECT DEFAULT_CHARACTER_SET_NAME FROM {schema}"
    assert host.sql(charset).split() == ["utf8mb4"]
    assert check.code == 0, check.err
    assert [each["result"] for each in check.json["services"]] == ["current", "current"]
    assert again.code == 0, again.err
    assert [each["result"] for each in again.json["services"]] == ["unchanged", "unchanged"]
    assert host.state() == texts
    assert update.code == 0, update.err
    # The example of the distribution became the option; a placeholder stays, the option after it.
    assert len(host.conf("glance").read_text().splitlines()) == len(GLANCE.splitlines())
    text = host.conf("keystone").read_text()
    assert text.startswith(KEYSTONE + "connection = mysql+pymysql://keystone:")
    assert stat.S_IMODE(host.conf("keystone").stat().st_mode) == 0o640
    left = {path.name for path in host.folder.rglob("*") if path.is_file()}
    assert left == {
        "keystone.conf", "glance-api.conf", "keystone.lock", "glance.lock",
        "db-keystone.log", "db-glance.log",
    }  # fmt: skip


def test_drop_takes_every_host_of_the_account_and_nothing_else(host: Host) -> None:
    host.stand_in("keystone-manage", "make_tables()")
    host.run("--init", "--service", "keystone")
    host.sql(
        "CREATE USER keystone@'10.%' IDENTIFIED BY 'x'; CREATE DATABASE other; CREATE USER other@localhost"
    )

    declined = host.run("--drop", "--service", "keystone")
    there = host.databases()
    planned = host.run("--drop", "--service", "keystone", "--dry-run")
    dropped = host.run("--drop", "--service", "keystone", "--yes")
    again = host.run("--drop", "--service", "keystone", "-y", "--json")

    assert declined.code == 3
    assert "keystone@10.%" in declined.err
    assert there == {"keystone", "other"}
    assert "DROP DATABASE `keystone`;" in planned.out
    assert "DROP USER 'keystone'@'10.%';" in planned.out
    assert dropped.code == 0, dropped.err
    assert (host.databases(), host.accounts()) == ({"other"}, {"other@localhost"})
    assert again.code == 0
    assert again.service["result"] == "unchanged"


def test_dry_run_shows_all_and_changes_nothing(host: Host) -> None:
    before = host.state()

    planned = host.run("--init", "--service", "keystone", "--dry-run")

    assert planned.code == 0, planned.err
    lines = [line.strip() for line in planned.out.splitlines()]
    assert "CREATE DATABASE `keystone` CHARACTER SET utf8mb4;" in lines
    assert "CREATE USER 'keystone'@'127.0.0.1' IDENTIFIED BY '***';" in lines
    path = host.conf("keystone")
    url = f"mysql+pymysql://keystone:***@127.0.0.1:{host.server.port}/keystone"
    assert f"{path} [database] connection = {url}" in lines
    assert f"keystone-manage --config-file {path} db_sync" in lines
    assert host.state() == before
    assert not (host.folder / "var").exists()


@pytest.mark.parametrize("name", PASSWORDS)
def test_password_is_read_back_by_sqlalchemy_oslo_config_and_alembic(
    host: Host, services: environment.Environment, name: str
) -> None:
    host.stand_in("keystone-manage", "make_tables()")
    password = host.folder / "password"
    password.write_text(PASSWORDS[name] + "\n")

    done = host.run("--init", "--service", "keystone", "--password-file", str(password))
    again = host.run("--init", "--service", "keystone", "--password-file", str(password))

    assert done.code == 0, done.err
    assert as_the_services_read_it(services, host.conf("keystone")) == ["keystone@127.0.0.1"] * 2
    assert again.out.split() == ["keystone", "unchanged"], again.err
    assert PASSWORDS[name] not in done.out + done.err


def test_worst_password_goes_through_the_real_keystone_and_stands_nowhere_else(host: Host) -> None:
    secret = "".join(PASSWORDS[name] for name in ("at", "dollar", "sed", "percent", "semicolon", "utf8"))

    assert isinstance(host.server, MariaDB)
    secrets = {"the password": secret, "its text": "p%40ssp%24foo", "root's": str(host.server.root_password)}
    with watched(secrets) as found:
        done = host.run("--init", "--service", "keystone", "--password-file", "-", input=secret + "\n")
        check = host.run("--check", "--service", "keystone", "--json")

    assert done.code == 0, done.err
    assert check.code == 0, check.err
    assert found == []
    holding = [
        str(path.relative_to(host.folder))
        for path in host.folder.rglob("*")
        if path.is_file() and (b"p%40ss" in path.read_bytes() or secret.encode() in path.read_bytes())
    ]
    assert holding == ["etc/keystone/keystone.conf"]
    for text in (done.out, done.err, check.out, check.err):
        assert secret not in text
        assert secrets["root's"] not in text
        assert "p%40ss" not in text


def test_the_watcher_sees_what_it_is_to_see() -> None:
    with watched({"it": "a-word-to-be-seen"}) as found:
        with subprocess.Popen(["sleep", "600"], env={**os.environ, "X": "a-word-to-be-seen"}) as process:
            try:
                wait_for(lambda: found)
            finally:
                process.kill()

    assert any("environ of" in each for each in found)


def test_old_options_work_with_a_warning(host: Host) -> None:
    host.stand_in("keystone-manage", "make_tables()")
    assert isinstance(host.server, MariaDB)
    host.root = ("--host", "127.0.0.1", "--port", str(host.server.port), "-r", str(host.server.root_password))

    done = host.run("--init", "--service", "keystone", "-p", "s3cret-word", "-y", "--json")

    assert done.code == 0, done.err
    assert any("--password shows in the list of processes" in each for each in done.json["warnings"])
    assert any("--rootpw shows in the list of processes" in each for each in done.json["warnings"])
    assert ":s3cret-word@" in host.conf("keystone").read_text()
    assert "s3cret-word" not in done.out + done.err


def test_a_server_that_ends_one_of_two_writers_is_warned_of(host: Host) -> None:
    host.stand_in("keystone-manage", "make_tables()")
    assert isinstance(host.server, MariaDB)
    if not host.server.execute("SHOW GLOBAL VARIABLES LIKE 'innodb_snapshot_isolation'", RUNNER):
        pytest.skip("MariaDB before 10.6.18 has no innodb_snapshot_isolation")
    try:
        said = {}
        for value in ("ON", "OFF"):
            host.server.execute(f"SET GLOBAL innodb_snapshot_isolation = {value}", RUNNER)
            done = host.run("--init", "--service", "keystone", "--yes", "--json")
            assert done.code == 0, done.err
            said[value] = [one for one in done.json["warnings"] if "innodb_snapshot_isolation" in one]
    finally:
        host.server.execute("SET GLOBAL innodb_snapshot_isolation = OFF", RUNNER)

    assert (len(said["ON"]), len(said["OFF"])) == (1, 0)


def test_password_of_the_url_stays_and_the_rest_of_the_url_too(host: Host) -> None:
    host.stand_in("keystone-manage", "make_tables()")
    query = "charset=utf8mb4&connect_timeout=7"
    url = f"mysql://keystone:old%40one@localhost:{host.server.port}/keystone?{query}"
    host.write("keystone", f"[database]\nconnection={url}\n")
    host.root = ("--socket", str(host.server.folder / "mysql.sock"), *host.root[-2:])

    done = host.run("--init", "--service", "keystone")

    assert done.code == 0, done.err
    new = url.replace("mysql://", "mysql+pymysql://").replace("localhost", "127.0.0.1")
    expected = {new, new.replace("127.0.0.1", "localhost")}
    assert host.conf("keystone").read_text().split("=", 1)[1].strip() in expected


@pytest.mark.parametrize(
    "old", ["sqlite:////var/lib/keystone/keystone.sqlite", "postgresql://k:x@db/keystone"]
)
def test_another_kind_of_database_is_replaced_after_asking(host: Host, old: str) -> None:
    host.stand_in("keystone-manage", "make_tables()")
    host.write("keystone", f"[database]\nconnection = {old}\n")

    declined = host.run("--init", "--service", "keystone", "--engine", "mysql")
    untouched = host.conf("keystone").read_text()
    done = host.run("--init", "--service", "keystone", "--engine", "mysql", "--yes")

    assert declined.code == 3
    assert old.partition(":")[0] in declined.err
    assert old in untouched
    assert done.code == 0, done.err
    assert "connection = mysql+pymysql://keystone:" in host.conf("keystone").read_text()


def test_check_reports_what_is_wrong(host: Host) -> None:
    unset = host.run("--check", "--service", "keystone", "--json")
    host.run("--init", "--service", "keystone")
    host.sql(
        "UPDATE keystone.alembic_version SET version_num = 'e8725d6fa226' WHERE version_num = '742c857f1dfb'"
    )
    behind = host.run("--check", "--service", "keystone", "--json")
    refused = host.run("--init", "--service", "keystone")
    host.sql("SET FOREIGN_KEY_CHECKS=0; DROP DATABASE keystone; CREATE DATABASE keystone")
    empty = host.run("--check", "--service", "keystone", "--json")
    not_updated = host.run("--update", "--service", "keystone")
    host.sql("DROP DATABASE keystone")
    missing = host.run("--check", "--service", "keystone", "--json")
    host.sql("DROP USER keystone@'127.0.0.1'")
    denied = host.run("--check", "--service", "keystone", "--json")

    results = [run.service["result"] for run in (unset, behind, empty, missing, denied)]
    assert results == ["not set", "behind", "empty", "missing", "denied"]
    assert [run.code for run in (unset, behind, empty, missing)] == [1, 1, 1, 1]
    assert denied.code == 4
    assert refused.code == 1
    assert "--update migrates them" in refused.err
    assert not_updated.code == 1
    assert "is empty" in not_updated.err


def test_host_of_the_old_tool_is_taken_over(host: Host) -> None:
    host.stand_in("keystone-manage", "make_tables()")
    host.sql(
        "CREATE DATABASE keystone CHARACTER SET utf8; CREATE TABLE keystone.migrate_version (version INT);"
        "CREATE USER keystone@localhost IDENTIFIED BY 'keystone';"
        "GRANT ALL ON keystone.* TO keystone@localhost;"
        "CREATE USER keystone@'%' IDENTIFIED BY 'keystone';"
        "GRANT ALL ON keystone.* TO keystone@'%'"
    )
    there = host.sql("SHOW CREATE USER keystone@'%'")
    host.write("keystone", "[database]\nconnection = mysql://keystone:keystone@localhost/keystone\n")

    done = host.run("--init", "--service", "keystone")
    again = host.run("--init", "--service", "keystone")
    anew = host.run("--init", "--service", "keystone", "--generate-password")

    assert done.code == 0, done.err
    assert "account keystone@127.0.0.1" in done.err
    assert again.out.split() == ["keystone", "unchanged"], again.err
    assert anew.code == 0, anew.err
    assert ":keystone@" not in host.conf("keystone").read_text()
    # Who logs in from elsewhere is not ours to shut out.
    assert host.sql("SHOW CREATE USER keystone@'%'") == there


def test_trove_by_its_configuration_and_sql(host: Host) -> None:
    host.stand_in("trove-manage", "assert sys.argv[-1] == 'db_sync'\nmake_tables()")
    host.write("trove", "[DEFAULT]\n")

    done = host.run("--init", "--service", "trove", "--json")
    check = host.run("--check", "--service", "trove", "--json")

    assert done.code == 0, done.err
    assert host.databases() == {"trove"}
    text = host.conf("trove").read_text()
    assert text.startswith("[DEFAULT]\n\n[database]\nconnection = mysql+pymysql://trove:")
    # Nobody knows which version it wants.
    assert (check.code, check.service["result"]) == (1, "unknown")


def test_dialog_of_services_without_a_database_and_unknown_ones(host: Host) -> None:
    none = host.run("--init", "--service", "horizon")
    unknown = host.run("--init", "--service", "keyston")
    nothing = host.run("--service", "keystone")

    assert (none.code, none.out, none.err) == (0, "horizon  has no database\n", "")
    assert (unknown.code, nothing.code) == (2, 2)
    assert "did you mean keystone?" in unknown.err


def test_all_installed_are_those_with_files_and_programs(host: Host) -> None:
    host.write("nova", "[DEFAULT]\n")

    done = host.run("--check", "--all-installed", "--json")

    assert [each["service"] for each in json.loads(done.out)["services"]] == ["glance", "keystone"]


def test_unreachable_server_is_exit_5(host: Host) -> None:
    host.root = ("--host", "127.0.0.1", "--port", "1", *host.root[-2:])

    done = host.run("--init", "--service", "keystone")

    assert done.code == 5
    assert "--host, --port, --socket" in done.err


def test_wrong_password_of_root_is_exit_4(host: Host) -> None:
    host.root = (*host.root[:-1], "/dev/null")

    done = host.run("--init", "--service", "keystone")

    assert done.code == 4
    assert "--rootpw-file" in done.err


@pytest.mark.skipif(os.geteuid() != 0, reason="only root logs into MariaDB as root by socket")
def test_root_by_socket_runs_commands_as_the_services_user(
    tmp_path: Path, services: environment.Environment
) -> None:
    with private(Options(until=Until.MARIADB, root=RootLogin.SOCKET)) as plane:
        server = plane.mariadb
        host = Host(folder=tmp_path, server=server, programs=(), root=("--socket", str(server.socket)))
        host.write("keystone", KEYSTONE)
        for path in (*reversed(tmp_path.parents[:4]), tmp_path, tmp_path / "etc", tmp_path / "etc/keystone"):
            path.chmod(path.stat().st_mode | 0o055)
        (tmp_path / "etc/passwd").write_text(f"keystone:x:64163:64163::{tmp_path}:/sbin/nologin\n")
        os.chown(host.conf("keystone"), 0, 64163)
        log = tmp_path / "var/log/keystone/keystone-manage.log"
        log.parent.mkdir(parents=True)
        os.chown(log.parent, 64163, 64163)
        log.write_text("made by root\n")
        # Not in Python: another user may not enter the folders of ours.
        script = host.folder / "bin/keystone-manage"
        script.parent.mkdir()
        script.write_text(AS_USER)
        script.chmod(0o755)
        host.programs = (script.parent,)
        script.parent.chmod(0o755)

        done = host.run("--init", "--service", "keystone")

        assert done.code == 0, done.err
        assert f"@127.0.0.1:{server.port}/keystone" in host.conf("keystone").read_text()
        assert log.read_text() == "made by root\n64163 64163\n"
        status = host.conf("keystone").stat()
        assert (status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode)) == (0, 64163, 0o640)
        assert log.stat().st_uid == 64163


def on_a_terminal(host: Host, words: tuple[str, ...], answers: list[tuple[str, str]]) -> tuple[int, str]:
    """Run the command on a terminal of its own; answer what it asks. Return exit code and screen."""
    argv = host.argv(*words)
    pid, terminal = pty.fork()
    if pid == 0:
        os.execve(argv[0], argv, host.environment)
    shown = b""
    waiting = list(answers)
    while True:
        try:
            data = os.read(terminal, 4096)
        except OSError:
            break
        if not data:
            break
        shown += data
        if waiting and shown.rstrip().endswith(waiting[0][0].encode()):
            # Before getpass has turned echo off the answer would show; a question leaves it on.
            while waiting[0][0].endswith(":") and termios.tcgetattr(terminal)[3] & termios.ECHO:
                time.sleep(0.01)
            os.write(terminal, waiting.pop(0)[1].encode() + b"\n")
    os.close(terminal)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), shown.decode()


def test_passwords_are_asked_for_on_a_terminal_without_echo(host: Host) -> None:
    host.stand_in("keystone-manage", "make_tables()")
    assert isinstance(host.server, MariaDB)
    host.root = host.root[:-2]
    answers = [
        ("the password:", "first-word"),
        ("the password again:", "second-word"),
        ("the password:", "s3cret-word"),
        ("the password again:", "s3cret-word"),
        ("database server's root:", str(host.server.root_password)),
    ]

    code, shown = on_a_terminal(host, ("--init", "--service", "keystone", "--password-file", "-"), answers)

    assert code == 0, shown
    assert "they differ" in shown
    assert ":s3cret-word@" in host.conf("keystone").read_text()
    assert "word" not in shown.replace("password", "")
    assert str(host.server.root_password) not in shown


def test_questions_are_answered_on_a_terminal(host: Host) -> None:
    host.stand_in("keystone-manage", "make_tables()")
    host.run("--init", "--service", "keystone")

    no, _ = on_a_terminal(host, ("--drop", "--service", "keystone"), [("[y/N]", "no")])
    there = host.databases()
    yes, shown = on_a_terminal(host, ("--drop", "--service", "keystone"), [("[y/N]", "y")])

    assert (no, there) == (3, {"keystone"})
    assert yes == 0, shown
    assert host.databases() == set()


def test_accounts_log_in_from_where_the_options_say(host: Host) -> None:
    host.stand_in("keystone-manage", "make_tables()")

    done = host.run("--init", "--service", "keystone", "--grant-from", "%", "--charset", "latin2")

    assert done.code == 0, done.err
    assert host.accounts() == {"keystone@%"}
    sql = "SELECT DEFAULT_CHARACTER_SET_NAME FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = 'keystone'"
    assert host.sql(sql).strip() == "latin2"


@pytest.mark.skipif(os.geteuid() != 0, reason="becoming a plain user needs root")
def test_a_plain_user_works_on_files_of_his_own(host: Host, services: environment.Environment) -> None:
    folder = host.folder.parent / "plain"
    shutil.copytree(host.folder, folder / "conf")
    (folder / "conf/keystone.conf").write_text(KEYSTONE)
    shutil.copy(host.root[-1], folder / "root.pw")
    argv = [sys.executable, "-I", str(COMMAND), "--init", "--service", "keystone", "--config-dir"]
    argv += [str(folder / "conf"), *host.root[:-1], str(folder / "root.pw")]
    stand_in = host.stand_in("keystone-manage", "make_tables()")
    shutil.copytree(stand_in.parent, folder / "bin")

    done = run_as_plain_user(argv, folder, environment={"PATH": f"{folder / 'bin'}:/usr/bin:/bin"})

    assert done.returncode == 0, done.stderr
    assert "connection = mysql+pymysql://keystone:" in (folder / "conf/keystone.conf").read_text()
    assert (folder / "conf/.openstack-db/db-keystone.log").is_file()


def test_tls_is_spoken_by_us_and_by_the_service(tmp_path: Path, services: environment.Environment) -> None:
    key, certificate, other = tmp_path / "server.key", tmp_path / "server.pem", tmp_path / "other.pem"
    make_certificate(certificate, key)
    make_certificate(other, tmp_path / "other.key")
    empty = template.prepare_empty(Report(quiet=True), RUNNER)
    extra = {"ssl-cert": certificate, "ssl-key": key, "require-secure-transport": 1}
    with mariadb.running(tmp_path / "db", RUNNER, template=empty, extra=extra) as server:
        secret = tmp_path / "root.pw"
        secret.write_text(str(server.root_password))
        root = ("--host", "127.0.0.1", "--port", str(server.port), "--rootpw-file", str(secret))
        programs = (services.folder / "bin",)
        host = Host(folder=tmp_path / "host", server=server, programs=programs)
        host.write("keystone", KEYSTONE)

        host.root = (*root, "--ssl-ca", str(other))
        refused = host.run("--init", "--service", "keystone")
        host.root = (*root, "--ssl-ca", str(certificate))
        done = host.run("--init", "--service", "keystone")
        check = host.run("--check", "--service", "keystone")

    assert refused.code == 5
    assert "CERTIFICATE_VERIFY_FAILED" in refused.err
    assert done.code == 0, done.err
    assert f"/keystone?ssl_ca={certificate}" in host.conf("keystone").read_text()
    assert check.code == 0, check.err
