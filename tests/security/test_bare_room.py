# SPDX-License-Identifier: MIT
"""The rooms of the host's programs that write the disk, and of SQLite, after foreign code has run."""

from __future__ import annotations

import json
import os
import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from builder.errors import BuildError
from builder.image.isolation.bare_room import bare_room
from builder.image.tree import databases
from builder.image.tree.files import open_tree
from builder.report import Report
from builder.runner import Runner
from tests.support.inside import as_build, call_inside

pytestmark = pytest.mark.root

CALLS = Path(__file__).with_name("tried_calls.py").read_text()
PYTHON = [os.path.realpath(sys.executable), "-I", "-S", "-c"]
LOOK = """
import json, os, resource, sys
def names(folder):
    try:
        return sorted(os.listdir(folder))
    except OSError as error:
        return [error.strerror]
def write(path):
    try:
        open(path, "w").write("x")
    except OSError as error:
        return error.strerror
    return "written"
def is_open(number):
    try:
        os.fstat(number)
    except OSError:
        return False
    return True
def chown(path):
    try:
        os.chown(path, 1, 1)
    except OSError as error:
        return error.strerror
    return "changed"
print(json.dumps({
    "root": names("/"), "private": open("/tmp/given/private").read(), "descriptors": [
        number for number in range(1024) if is_open(number)
    ],
    "writes": {path: write(path) for path in (
        "/x", "/usr/x", "/tmp/x", "/tmp/given/private", "/tmp/given/x", "/tmp/own/x"
    )},
    "chown": chown("/tmp/own/x"), "chroot": [], "memory": resource.getrlimit(resource.RLIMIT_DATA)[0],
}))
"""


def in_a_room(program: str, folder: Path) -> dict[str, Any]:
    """Return what a program says in a room that reads /tmp/given and writes /tmp/own."""

    def inside() -> str:
        for name in ("given", "own"):
            Path("/tmp", name).mkdir()
        private = Path("/tmp/given/private")
        private.write_text("another's")
        os.chown(private, 1000, 1000)
        private.chmod(0o600)
        with bare_room(readable=[Path("/tmp/given")], writable=[Path("/tmp/own")], memory=1 << 30) as room:
            return as_build().runner.run([*PYTHON, program], child=room.child).stdout

    found: dict[str, Any] = json.loads(call_inside(inside, folder, Runner(Report(quiet=True))))
    return found


def test_a_program_on_the_disk_sees_what_it_works_on_and_nothing_else(tmp_path: Path) -> None:
    found = in_a_room(LOOK, tmp_path)

    assert not {"proc", "dev", "sys", "tree", "work", "cache", "disk.raw", "run", "home"} & set(found["root"])
    # It reads what others own, and can do nothing else that its user cannot.
    assert found["private"] == "another's"
    assert found["chown"] == "Operation not permitted"
    assert found["descriptors"] == [0, 1, 2]
    assert {path for path, said in found["writes"].items() if said == "written"} == {"/tmp/own/x"}
    assert found["memory"] == 1 << 30


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="the numbers of calls are x86-64's")
def test_a_program_on_the_disk_has_no_call_that_it_does_not_need(tmp_path: Path) -> None:
    found = in_a_room(CALLS, tmp_path)

    assert {name: said for name, said in found["calls"].items() if said not in ("EPERM", "ENOSYS")} == {}
    assert [name for name, said in found["families"].items() if said == "allowed"] == []


def endless(path: Path) -> None:
    """Make a history whose trigger never ends."""
    with sqlite3.connect(path) as connection:
        connection.executescript("""
            CREATE TABLE trans (dt_begin INTEGER, dt_end INTEGER, user_id INTEGER);
            INSERT INTO trans VALUES (1, 1, 0);
            CREATE VIEW numbers AS WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n)
                SELECT x FROM n;
            CREATE TRIGGER busy BEFORE UPDATE ON trans BEGIN SELECT count(*) FROM numbers; END;
        """)


def reaching(path: Path) -> None:
    """Make a history whose trigger writes a file of the host, where a library lets it."""
    with sqlite3.connect(path) as connection:
        connection.executescript("""
            CREATE TABLE trans (dt_begin INTEGER, dt_end INTEGER, user_id INTEGER);
            INSERT INTO trans VALUES (1, 1, 0);
            CREATE TRIGGER reach BEFORE UPDATE ON trans BEGIN SELECT load_extension('/tmp/x.so'); END;
        """)


HOSTILE: dict[str, tuple[Callable[[Path], Any], str]] = {
    "no database": (lambda path: path.write_bytes(b"x" * 100_000), "file is not a database"),
    "another table": (
        lambda path: sqlite3.connect(path).execute("CREATE TABLE x (y)"),
        "no such table: trans",
    ),
    "a trigger without an end": (endless, "did not end within 3 s"),
    "a trigger that loads a library": (
        reaching,
        "unsafe use of load_extension|not authorized|no such function",
    ),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_hostile_database_is_an_error_that_names_it(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    make, said = HOSTILE[kind]
    monkeypatch.setattr(databases, "LONGEST", 3.0)

    def inside() -> None:
        build = as_build()
        vars(build.options)["source_date_epoch"] = 1_700_000_000
        history = Path("/tree/history.sqlite")
        make(history)
        databases.settle(build, [open_tree(Path("/tree")) / "history.sqlite"])

    with pytest.raises(BuildError, match=said) as caught:
        call_inside(inside, tmp_path, Runner(Report(quiet=True)))

    if "did not end" not in said:
        assert "/history.sqlite of the image" in caught.value.message


def test_a_database_is_whole_without_its_log_and_says_no_time_after_the_epoch(tmp_path: Path) -> None:
    def inside() -> list[object]:
        build = as_build()
        vars(build.options)["source_date_epoch"] = 1_700_000_000
        history = Path("/tree/history.sqlite")
        writer = sqlite3.connect(history)
        writer.execute("PRAGMA journal_mode=WAL")
        writer.execute("CREATE TABLE trans (dt_begin INTEGER, dt_end INTEGER, user_id INTEGER)")
        writer.execute("INSERT INTO trans VALUES (1, 1999999999, 1000)")
        writer.commit()
        # Killed: what it wrote is in its log.
        assert Path("/tree/history.sqlite-wal").stat().st_size
        tree = open_tree(Path("/tree"))
        databases.settle(build, [tree / "missing.sqlite", tree / "history.sqlite"])
        left = sorted(name for name in os.listdir("/tree") if name.startswith("history"))
        rows = sqlite3.connect("file:/tree/history.sqlite?immutable=1", uri=True).execute(
            "SELECT * FROM trans"
        )
        return [left, rows.fetchall()]

    found = call_inside(inside, tmp_path, Runner(Report(quiet=True)))

    assert found == [["history.sqlite"], [(1, 1_700_000_000, -1)]]
