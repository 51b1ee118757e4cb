# SPDX-License-Identifier: MIT
"""openstack-db when something goes wrong: all of a run is taken back, and nothing else.

The sync is a stand-in here, since no real service fails or stops on request; MariaDB is real.
"""

from __future__ import annotations

import fcntl
import os
import select
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.rig.plane.mariadb import MariaDB, RootLogin
from tests.rig.plane.plane import Options, Until, private
from tests.support.databases import GLANCE, KEYSTONE, LONGEST, Host, interrupt, wait_for

SERVICE = ("--service", "keystone")
SLOW = "make_tables()\nopen(sys.argv[2] + '.started', 'w').close()\ntime.sleep(60)"
GOOD = "make_tables()"
# Ends with the error of a connection.
UNTIL_IT_IS_GONE = "while True:\n    connect().close()\n    time.sleep(0.05)"


@pytest.fixture(scope="module")
def server() -> Iterator[MariaDB]:
    """MariaDB whose root has a password."""
    with private(Options(until=Until.MARIADB, root=RootLogin.PASSWORD)) as plane:
        yield plane.mariadb


def make_host(folder: Path, server: MariaDB) -> Host:
    """Return a host with Keystone's file, and a server that knows root by password."""
    secret = folder / "root.pw"
    secret.write_text(f"{server.root_password}\n")
    root = ("--host", "127.0.0.1", "--port", str(server.port), "--rootpw-file", str(secret))
    host = Host(folder=folder / "host", server=server, programs=(), root=root)
    host.write("keystone", KEYSTONE)
    return host


@pytest.fixture
def host(tmp_path: Path, server: MariaDB) -> Iterator[Host]:
    host = make_host(tmp_path, server)
    yield host
    host.clean()


def seconds_of_a_run(host: Host) -> float:
    """Return how long `--init` takes here and now; what it made is taken away again."""
    kept = host.conf("keystone").read_bytes()
    done = host.run("--init", *SERVICE)
    assert done.code == 0, done.err
    assert host.run("--drop", *SERVICE, "--yes").code == 0
    host.conf("keystone").write_bytes(kept)
    return done.seconds


def unfinished(host: Host) -> list[str]:
    """Return the names of files that only an unfinished run has."""
    return sorted(path.name for path in host.folder.rglob("*") if path.suffix in (".journal", ".started")
                  or path.name.endswith("-old"))  # fmt: skip


def test_a_sync_that_fails_leaves_nothing(host: Host) -> None:
    host.stand_in("keystone-manage", "make_tables()\nprint('the last words')\nsys.exit(7)")
    host.sql("CREATE DATABASE other; CREATE USER other@localhost")
    before = host.state()

    done = host.run("--init", *SERVICE, "--json")

    assert done.code == 1
    assert "ended with 7" in done.service["error"]
    assert "| the last words" in done.err
    assert "database keystone" in done.service["taken_back"]
    assert host.state() == before
    assert unfinished(host) == []


def test_a_service_that_fails_does_not_harm_the_others(host: Host) -> None:
    host.stand_in("keystone-manage", GOOD)
    host.stand_in("glance-manage", "make_tables()\nsys.exit(7)")
    host.write("glance", GLANCE)

    done = host.run("--init", "--service", "glance", "--service", "keystone", "--json")

    assert done.code == 1
    results = {each["service"]: each["result"] for each in done.json["services"]}
    assert list(results.items()) == [("glance", "failed"), ("keystone", "created")]
    assert host.databases() == {"keystone"}
    assert host.conf("glance").read_text() == GLANCE


def test_a_program_that_is_missing_is_reported_before_anything_is_made(host: Host) -> None:
    before = host.state()

    done = host.run("--init", *SERVICE)

    assert done.code == 4
    assert "keystone-manage is not installed" in done.err
    assert host.state() == before
    assert "taken back" not in done.err


def test_a_configuration_that_is_missing_is_reported_with_the_way_out(host: Host) -> None:
    host.stand_in("keystone-manage", GOOD)
    host.conf("keystone").unlink()

    done = host.run("--init", *SERVICE)
    dropped = host.run("--drop", *SERVICE, "--yes")

    assert done.code == 1
    assert f"{host.conf('keystone')}: no such file" in done.err
    assert "hint: install the package of keystone first" in done.err
    # What is left of a service that was removed can be dropped all the same.
    assert dropped.code == 0, dropped.err
    assert host.databases() == set()


def test_what_was_there_stays_when_the_rest_is_taken_back(host: Host) -> None:
    host.stand_in("keystone-manage", "make_tables()\nsys.exit(7)")
    host.sql("CREATE DATABASE keystone; CREATE USER keystone@'10.%' IDENTIFIED BY 'theirs'")
    hash_before = host.sql("SHOW CREATE USER keystone@'10.%'")
    before = host.state()

    done = host.run("--init", *SERVICE)

    assert done.code == 1
    assert host.state() == before
    assert host.sql("SHOW CREATE USER keystone@'10.%'") == hash_before
    assert host.sql("SHOW GRANTS FOR keystone@'10.%'").count("GRANT") == 1
    # The database was empty, and is so again: half a schema would be taken for a whole one.
    assert host.sql("SHOW TABLES FROM keystone") == ""


def test_database_there_but_no_account(host: Host) -> None:
    host.stand_in("keystone-manage", GOOD)
    host.sql("CREATE DATABASE keystone CHARACTER SET latin1")

    done = host.run("--init", *SERVICE, "--json")

    assert done.code == 0, done.err
    assert host.accounts() == {"keystone@localhost", "keystone@127.0.0.1"}
    sql = "SELECT DEFAULT_CHARACTER_SET_NAME FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = 'keystone'"
    assert host.sql(sql).strip() == "utf8mb4"


def test_account_there_with_a_password_that_nobody_gave(host: Host) -> None:
    host.stand_in("keystone-manage", GOOD)
    host.sql("CREATE USER keystone@localhost IDENTIFIED BY 'theirs'")
    before = host.state()

    refused = host.run("--init", *SERVICE)
    after = host.state()
    done = host.run("--init", *SERVICE, "--generate-password")

    assert refused.code == 1
    assert "--generate-password sets a new one" in refused.err
    assert after == before
    assert done.code == 0, done.err


def test_password_set_anew_comes_back_when_the_sync_fails(host: Host) -> None:
    host.stand_in("keystone-manage", "make_tables()\nsys.exit(7)")
    host.sql("CREATE USER keystone@localhost IDENTIFIED BY 'theirs'")
    before = host.sql("SHOW CREATE USER keystone@localhost")

    done = host.run("--init", *SERVICE, "--generate-password")

    assert done.code == 1
    assert host.sql("SHOW CREATE USER keystone@localhost") == before
    assert host.accounts() == {"keystone@localhost"}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_in_mid_sync_takes_all_back(host: Host, number: int) -> None:
    host.stand_in("keystone-manage", SLOW)
    before = host.state()
    started = host.conf("keystone").with_name("keystone.conf.started")

    with host.started("--init", *SERVICE) as child:
        wait_for(started.exists)
        code, err = interrupt(child, number)

    started.unlink()
    assert code == 130, err
    assert "taken back" in err
    assert host.state() == before
    assert unfinished(host) == []


def test_ctrl_c_at_each_step(host: Host) -> None:
    host.stand_in("keystone-manage", "make_tables()\ntime.sleep(0.3)")
    usual = seconds_of_a_run(host)
    before = host.state()
    for step in range(1, 15):
        with host.started("--init", *SERVICE) as child:
            time.sleep(usual * step / 15)
            code, err = interrupt(child)
        if "keystone  done" in err:
            # Nothing was left to interrupt but the report.
            break
        # Python itself is interrupted while it still starts: nothing was begun.
        assert code in (130, 1, -signal.SIGINT), err
        assert host.state() == before, f"step {step}: {err}"
        assert unfinished(host) == []


def test_lock_on_the_configuration_is_waited_for_and_given_up_at_ctrl_c(host: Host) -> None:
    host.stand_in("keystone-manage", GOOD)
    before = host.state()
    with host.conf("keystone").open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with host.started("--init", *SERVICE) as child:
            assert child.stderr is not None
            reported = next(line for line in child.stderr if "waiting for another writer" in line)
            code, err = interrupt(child)
        locked = host.state()
        with host.started("--init", *SERVICE) as child:
            assert child.stderr is not None
            next(line for line in child.stderr if "waiting for another writer" in line)
            fcntl.flock(file, fcntl.LOCK_UN)
            _, second = child.communicate(timeout=LONGEST)
            done = child.returncode

    assert code == 130, err
    assert str(host.conf("keystone")) in reported
    assert locked == before
    assert done == 0, second


def test_full_disk_leaves_nothing(host: Host) -> None:
    if os.geteuid() != 0:
        pytest.skip("mounting a small disk needs root")
    host.stand_in("keystone-manage", GOOD)
    with ExitStack() as stack:
        folder = host.conf("keystone").parent
        shutil.rmtree(folder)
        folder.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16k", "tmpfs", folder], check=True)
        stack.callback(subprocess.run, ["umount", folder], check=True)
        host.write("keystone", KEYSTONE)
        (folder / "filler").write_bytes(b"x" * 8192)
        before = host.state()

        done = host.run("--init", *SERVICE)

        assert done.code == 1
        assert "no space left" in done.err
        assert host.state() == before


def test_two_runs_at_once_make_it_once(host: Host) -> None:
    # The one that comes first goes on when the other has said that it waits.
    go = host.folder / "go"
    waits = f"while not os.path.exists({os.fspath(go)!r}):\n    time.sleep(0.05)"
    host.stand_in("keystone-manage", f"make_tables()\n{waits}")

    with (
        host.started("--init", *SERVICE, "--json") as first,
        host.started("--init", *SERVICE, "--json") as second,
    ):
        said = wait_for_words("waiting for another openstack-db", first, second)
        go.touch()
        outs = [child.communicate(timeout=LONGEST) for child in (first, second)]
        codes = [first.returncode, second.returncode]

    assert codes == [0, 0], outs
    results = sorted(word for out, _ in outs for word in ("created", "unchanged") if f'"{word}"' in out)
    assert results == ["created", "unchanged"], said


def wait_for_words(words: str, *children: subprocess.Popen[str]) -> str:
    """Wait until one of them has said `words` as a message; return what was said until then."""
    said = b""
    while words.encode() not in said:
        streams = [child.stderr for child in children if child.stderr is not None]
        ready, _, _ = select.select(streams, [], [], LONGEST)
        pieces = [os.read(stream.fileno(), 4096) for stream in ready]
        assert any(pieces), said
        said += b"".join(pieces)
    return said.decode()


@pytest.mark.parametrize("cut", ["before the version", "after it"])
def test_a_run_after_sigkill_goes_on(host: Host, cut: str) -> None:
    if cut == "after it":
        slow = SLOW
    else:
        slow = SLOW.replace("make_tables()", "connect().cursor().execute('CREATE TABLE half (id INT)')")
    host.stand_in("keystone-manage", slow)
    started = host.conf("keystone").with_name("keystone.conf.started")
    with host.started("--init", *SERVICE) as child:
        wait_for(started.exists)
        child.kill()
        child.wait(LONGEST)
    started.unlink()
    # The program has died with us.
    wait_for(lambda: str(host.conf("keystone")) not in all_arguments())
    left = unfinished(host)
    password = host.conf("keystone").read_text()
    # Fails where the table of the half-made database is still there.
    fresh = "connect().cursor().execute('CREATE TABLE half (id INT)')\n" if cut != "after it" else ""
    host.stand_in("keystone-manage", fresh + GOOD)

    done = host.run("--init", *SERVICE, "--json")

    assert left == ["keystone.conf.openstack-db-old", "keystone.journal"]
    assert done.code == 0, done.err
    assert "continues a run that was interrupted" in done.err
    assert host.conf("keystone").read_text() == password
    assert unfinished(host) == []


def test_sigkill_at_each_step_and_the_next_run_succeeds(host: Host) -> None:
    host.stand_in("keystone-manage", "make_tables()\ntime.sleep(0.2)")
    kept = host.conf("keystone").read_bytes()
    usual = seconds_of_a_run(host)
    for step in range(1, 8):
        with host.started("--init", *SERVICE) as child:
            time.sleep(usual * step / 8)
            child.kill()
            child.wait(LONGEST)
        done = host.run("--init", *SERVICE)
        assert done.code == 0, f"step {step}: {done.err}"
        assert unfinished(host) == []
        assert host.run("--drop", *SERVICE, "--yes").code == 0
        assert (host.databases(), host.accounts()) == (set(), set())
        host.conf("keystone").write_bytes(kept)


def test_drop_after_sigkill_puts_the_configuration_back(host: Host) -> None:
    host.stand_in("keystone-manage", SLOW)
    before = host.state()
    started = host.conf("keystone").with_name("keystone.conf.started")
    with host.started("--init", *SERVICE) as child:
        wait_for(started.exists)
        child.kill()
        child.wait(LONGEST)
    started.unlink()

    done = host.run("--drop", *SERVICE, "--yes")

    assert done.code == 0, done.err
    assert host.state() == before
    assert unfinished(host) == []


def test_sigkill_before_the_configuration_was_kept(host: Host) -> None:
    host.stand_in("keystone-manage", SLOW)
    before = host.state()
    text = host.conf("keystone").read_bytes()
    started = host.conf("keystone").with_name("keystone.conf.started")
    with host.started("--init", *SERVICE) as child:
        wait_for(started.exists)
        child.kill()
        child.wait(LONGEST)
    started.unlink()
    # As if it had come a moment earlier: the journal names the file, and nothing has happened to it.
    host.conf("keystone").with_name("keystone.conf.openstack-db-old").unlink()
    host.conf("keystone").write_bytes(text)
    host.stand_in("keystone-manage", "sys.exit(7)")

    done = host.run("--init", *SERVICE)

    assert done.code == 1
    assert host.state() == before
    assert unfinished(host) == []


def test_failure_after_sigkill_takes_back_what_both_runs_made(host: Host) -> None:
    host.stand_in("keystone-manage", SLOW)
    before = host.state()
    started = host.conf("keystone").with_name("keystone.conf.started")
    with host.started("--init", *SERVICE) as child:
        wait_for(started.exists)
        child.kill()
        child.wait(LONGEST)
    started.unlink()
    host.stand_in("keystone-manage", "sys.exit(7)")

    done = host.run("--init", *SERVICE)

    assert done.code == 1
    assert host.state() == before
    assert unfinished(host) == []


def test_server_that_dies_in_mid_sync(tmp_path: Path) -> None:
    with private(Options(until=Until.MARIADB, root=RootLogin.PASSWORD)) as plane:
        host = make_host(tmp_path, plane.mariadb)
        host.stand_in("keystone-manage", SLOW.replace("time.sleep(60)", UNTIL_IT_IS_GONE))
        before = host.conf("keystone").read_bytes()
        started = host.conf("keystone").with_name("keystone.conf.started")
        with host.started("--init", *SERVICE) as child:
            wait_for(started.exists)
            plane.mariadb.server.process.kill()
            _, err = child.communicate(timeout=LONGEST)
            code = child.returncode
        started.unlink()
        left = unfinished(host)
        after = host.conf("keystone").read_bytes()

        # The server comes back with its old data: the next run takes what was left.
        (plane.mariadb.folder / "my.cnf").write_text(
            (plane.mariadb.folder / "my.cnf").read_text().replace("init-file", "# init-file")
        )
        argv = ["mariadbd", f"--defaults-file={plane.mariadb.folder / 'my.cnf'}"]
        argv += ["--user=root"] if os.geteuid() == 0 else []
        with (tmp_path / "again.log").open("w") as log, subprocess.Popen(argv, stderr=log) as again:
            try:
                wait_for(lambda: "keystone" in try_databases(host))
                host.stand_in("keystone-manage", GOOD)
                done = host.run("--drop", *SERVICE, "--yes")
                remains = (host.databases(), host.accounts())
            finally:
                again.terminate()

    assert code == 5 or "ended with" in err, err
    assert "left over" in err
    assert "database keystone" in err
    assert after == before
    assert left == ["keystone.journal"]
    assert done.code == 0, done.err
    assert remains == (set(), set())


def try_databases(host: Host) -> set[str]:
    """Return the databases, none while the server is not up yet."""
    try:
        return host.databases()
    except Exception:
        return set()


def all_arguments() -> str:
    """Return the arguments of all processes."""
    texts = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            texts.append(path.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
        except OSError:
            continue
    return "\n".join(texts)
