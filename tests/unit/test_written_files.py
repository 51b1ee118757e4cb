# SPDX-License-Identifier: MIT
"""Every option that takes a path: which are written to, and that only regular files are replaced.

The table is compared with the parsers, so that a new option that takes a path has to be thought of here.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import importlib
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from builder import cli

ROOT = Path(__file__).resolve().parents[2]
UTILITIES = ("db", "demo", "sample_data", "service", "status")
PLACES = ("FILE", "FILE.yaml", "DIR", "PATH", "FOLDER")

# What is only read: files of the user, folders in which nothing is written.
READ = {
    *(("bump", "--source"), ("check", "--gpgkey"), ("check-rpm", "file")),
    *(("export", "--gpgkey"), ("image", "--gpgkey"), ("repo", "--gnupghome")),
    *(("rpm", "--gnupghome"), ("rpm", "--source"), ("srpm", "--source"), ("upload", "image")),
    *(
        ("verify", "image"),
        ("koji import", "images"),
        ("koji build", "--source"),
        ("koji fetch", "--gnupghome"),
    ),
    *(("koji build", "--config"), ("koji fetch", "--config"), ("koji image", "--config")),
    *(("koji import", "--config"), ("koji watch", "--config")),
    *(("db", "--socket"), ("db", "--password-file"), ("db", "--rootpw-file"), ("db", "--ssl-ca")),
    *(("sample_data", "--file"), ("sample_data", "--passwords-file"), ("sample_data", "--keystone-conf")),
    *(("sample_data", "--cacert"), ("sample_data", "--cert"), ("sample_data", "--key")),
    *(("status", "--root"), ("status", "--config-dir")),
    # A path inside the image.
    ("image", "--keep-file"),
}
# Command lines that write the file {path}: here, on each kind of file.
FILES = {
    ("services", "--output"): ("-m", "builder", "services", "-o", "{path}"),
    ("flatten", "--output"): ("-m", "builder", "flatten", "{kickstart}", "-o", "{path}"),
    ("config", "FILE"): ("-I", "{bin}/openstack-config", "--set", "{path}", "s", "k", "v"),
    ("config", "--output"): (
        *("-I", "{bin}/openstack-config", "--output", "{path}", "--set", "{ini}", "s", "k", "v"),
    ),
    ("config", "--backup"): ("-I", "{bin}/openstack-config", "--backup", "--set", "{ini}", "s", "k", "v"),
}
# Where what is written is looked at: the test that does it.
ELSEWHERE = {
    ("image", "--out"): "tests/integration/test_image.py::test_what_stands_in_the_place_of_the_log_stays",
    ("image", "--timeline"): "tests/unit/test_page.py::test_a_trace_replaces_only_a_regular_file",
    ("rpm", "--out"): "tests/integration/test_rpm.py::test_what_stands_in_the_place_of_a_result_stays",
    ("srpm", "--out"): "tests/integration/test_rpm.py::test_what_stands_in_the_place_of_a_result_stays",
    ("repo", "folder"): "tests/unit/test_destination.py::test_a_folder_replaces_only_a_folder",
    ("rpm", "--work"): "tests/unit/test_destination.py::test_a_folder_replaces_only_a_folder",
    ("srpm", "--work"): "tests/unit/test_destination.py::test_a_folder_replaces_only_a_folder",
    ("export", "folder"): "tests/unit/test_dib_export.py::test_only_a_new_or_an_empty_folder_is_filled",
    ("koji build", "--out"): "tests/integration/test_rpm.py::test_what_stands_in_the_place_of_a_result_stays",
    ("koji build", "--work"): "tests/unit/test_destination.py::test_a_folder_replaces_only_a_folder",
    ("koji fetch", "--out"): "tests/koji/test_fetch.py::test_what_stands_in_the_place_of_a_file_stays",
    ("koji image", "--out"): "tests/koji/test_fetch.py::test_what_stands_in_the_place_of_a_file_stays",
    ("sample_data", "--output"): "tests/utils/test_private_files.py::test_only_a_regular_file_is_replaced",
    (
        "sample_data",
        "--clouds-file",
    ): "tests/utils/test_private_files.py::test_only_a_regular_file_is_replaced",
    ("demo", "--output"): "tests/utils/test_private_files.py::test_only_a_regular_file_is_replaced",
    ("demo", "--nova-volumes"): "tests/utils/test_demo_plan.py::test_wrong_usage_is_one_line_and_exit_2",
    ("db", "--root"): "tests/utils/test_config_safety.py",
    ("db", "--config-dir"): "tests/utils/test_config_safety.py",
}


def paths_of(parser: argparse.ArgumentParser, name: str) -> Iterator[tuple[str, str]]:
    """Yield (command, option or argument) of each that takes a path."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for word, inner in action.choices.items():
                yield from paths_of(inner, f"{name} {word}")
        elif action.type is Path or action.metavar in PLACES:
            yield name, action.option_strings[-1] if action.option_strings else action.dest


def every_path() -> set[tuple[str, str]]:
    """Return what the parsers of all programs say."""
    found = set()
    for command in cli.COMMANDS:
        parser = argparse.ArgumentParser()
        cli.load(command).add_arguments(parser)
        found |= set(paths_of(parser, command))
    for name in UTILITIES:
        module = importlib.import_module(f"openstack_utils.{name}.arguments")
        found |= set(paths_of(module.make_parser(), name))
    return found


def test_each_option_that_takes_a_path_is_known_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ROOT / "utils")
    known = {*READ, *FILES, *ELSEWHERE}
    # openstack-config has a parser of its own.
    here = {name for name in known if name[0] != "config"}

    assert every_path() - here == set()
    assert here - every_path() == set()


def test_the_tests_elsewhere_are_there() -> None:
    for place in ELSEWHERE.values():
        path, _, name = place.partition("::")
        assert f"def {name}" in (ROOT / path).read_text(), place


@pytest.mark.parametrize("kind", ["fifo", "device", "link", "folder"])
@pytest.mark.parametrize("name", FILES, ids=" ".join)
def test_only_a_regular_file_is_replaced(tmp_path: Path, name: tuple[str, str], kind: str) -> None:
    ini, kickstart = tmp_path / "a.conf", tmp_path / "a.ks"
    ini.write_text("[s]\nk=old\n")
    kickstart.write_text("lang C.UTF-8\n")
    path = tmp_path / ("a.conf.bak" if name[1] == "--backup" else "target")
    real = tmp_path / "real"
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "device":
        path.symlink_to("/dev/null")
    elif kind == "link":
        real.write_text("[s]\nk=old\n")
        path.symlink_to(real)
    else:
        path.mkdir()
    before = [(each.name, each.lstat().st_mode, each.lstat().st_ino) for each in (path, Path("/dev/null"))]
    words = [
        word.format(path=path, ini=ini, kickstart=kickstart, bin=ROOT / "utils" / "bin")
        for word in FILES[name]
    ]

    with with_a_reader(path) if kind == "fifo" else contextlib.nullcontext():
        done = subprocess.run(
            [sys.executable, *words], cwd=ROOT, capture_output=True, text=True, timeout=600, check=False
        )

    assert "Traceback" not in done.stderr
    assert before == [
        (each.name, each.lstat().st_mode, each.lstat().st_ino) for each in (path, Path("/dev/null"))
    ]
    if kind == "folder":
        assert done.returncode != 0
        assert list(path.iterdir()) == []
    elif kind == "link":
        assert done.returncode == 0, done.stderr
        assert stat.S_ISREG(real.stat().st_mode)
        assert "k=old\n" not in real.read_text() or name[1] == "--backup"


@contextlib.contextmanager
def with_a_reader(fifo: Path) -> Iterator[None]:
    """Hold a FIFO open for reading, with room for what is written: whoever writes into one waits for both."""
    descriptor = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        fcntl.fcntl(descriptor, fcntl.F_SETPIPE_SZ, 1 << 20)
        yield
    finally:
        os.close(descriptor)
