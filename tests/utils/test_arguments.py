# SPDX-License-Identifier: MIT
"""What every utility does with its arguments: empty is not absent, and options are written in full."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

BIN = Path(__file__).parents[2] / "utils/bin"


@pytest.mark.parametrize(
    ("program", "words", "named"),
    [
        ("openstack-db", ["--init", "--service", "keystone", "--rootpw", ""], "--rootpw"),
        ("openstack-db", ["--init", "--service="], "--service"),
        ("openstack-db", ["--init", "--service", "keystone", "-p", ""], "-p"),
        ("openstack-keystone-sample-data", ["--region", ""], "--region"),
        ("openstack-keystone-sample-data", ["--file="], "--file"),
        ("openstack-service", ["list", ""], "argument 2"),
        ("openstack-demo-install", ["--output", ""], "--output"),
        ("openstack-status", ["--root="], "--root"),
    ],
)
def test_empty_value_is_refused_by_name(program: str, words: list[str], named: str) -> None:
    done = subprocess.run(
        [sys.executable, BIN / program, *words], capture_output=True, text=True, check=False, timeout=600
    )

    assert done.returncode == 2, done.stderr
    assert done.stdout == ""
    assert done.stderr.startswith(f"error: {named}: the value is empty\n")


@pytest.mark.parametrize(
    ("program", "words"),
    [
        ("openstack-db", ["--check", "--serv", "keystone"]),
        ("openstack-keystone-sample-data", ["--dry"]),
        ("openstack-service", ["list", "--js"]),
        ("openstack-demo-install", ["--dry"]),
        ("openstack-status", ["--js"]),
    ],
)
def test_an_option_that_is_cut_short_is_refused(program: str, words: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, BIN / program, *words], capture_output=True, text=True, check=False, timeout=600
    )

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: ")


@pytest.mark.parametrize("kind", ["device", "link to a device", "folder"])
def test_what_is_not_a_regular_file_is_left_as_it_is(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "target"
    if kind == "folder":
        path.mkdir()
    elif kind == "device":
        path = Path("/dev/null")
    else:
        path.symlink_to("/dev/null")
    before = path.lstat()

    done = subprocess.run(
        [sys.executable, BIN / "openstack-config", "--set", path, "a", "b", "c"],
        capture_output=True,
        check=False,
    )

    assert done.returncode != 0
    assert (path.lstat().st_mode, path.lstat().st_ino) == (before.st_mode, before.st_ino)
