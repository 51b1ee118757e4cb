# SPDX-License-Identifier: MIT
"""Bad input: one line on stderr, the file untouched, exit 1 (or --strict-exit's)."""

import os
import re
from pathlib import Path

import pytest

from tests.support.config_tool import UTILS, config

# id: (arguments, exit code with --strict-exit, part of the message)
BAD = {
    "nothing": ([], 2, "nothing to do"),
    "no arguments": (["--set"], 2, "--set takes FILE SECTION"),
    "too many": (["--set", "f", "s", "a", "1", "2"], 2, "not 5 arguments"),
    "too many for get": (["--get", "f", "s", "a", "b"], 2, "not 4 arguments"),
    "add without a value": (["--add", "f", "s", "a"], 2, "--add takes"),
    "only a file": (["--del", "f"], 2, "not 1 argument"),
    "unknown option": (["--set", "f", "s", "a", "1", "--verbos3"], 2, "unknown option --verbos3"),
    "ambiguous option": (["--get", "f", "--i"], 2, "--i could be"),
    "unknown dialect": (["--dialect=toml", "--get", "f"], 2, "oslo, crudini, systemd"),
    "unknown format": (["--format=xml", "--get", "f"], 2, "sh, ini, lines"),
    "unknown existing": (["--existing=x", "--set", "f", "s"], 2, "file, section, param"),
    "unknown ini option": (["--ini-options=x", "--set", "f", "s"], 2, "nospace"),
    "argument for a flag": (["--inplace=yes", "--set", "f", "s"], 2, "takes no argument"),
    "no argument": (["--get", "f", "--format"], 2, "needs an argument"),
    "get and set": (["--get", "f", "--set", "f", "s", "a", "1"], 2, "cannot be mixed"),
    "merge and set": (["--merge", "f", "--set", "f", "s", "a", "1"], 2, "stands alone"),
    "space and nospace": (["--ini-options=space,nospace", "--set", "f", "s"], 2, "exclude"),
    "format and json": (["--format=sh", "--json", "--get", "f"], 2, "exclude"),
    "output and backup": (["--output=x", "--backup", "--set", "f", "s"], 2, "exclude"),
    "output of several": (["--output=x", "--set", "f", "s", "--set", "g", "s"], 2, "one file"),
    "stdin and others": (["--set", "-", "s", "--set", "g", "s"], 2, "together"),
    "json of set": (["--json", "--set", "f", "s"], 2, "--json goes with --get"),
    "diff of get": (["--diff", "--get", "f"], 2, "--diff goes with"),
    "schema of get": (["--schema=x", "--get", "f"], 2, "--schema goes with"),
    "from of set": (["--from=x", "--set", "f", "s"], 2, "--from goes with"),
    "all of del": (["--del", "--all", "f", "s", "a"], 2, "--all goes with"),
    "two values": (["--set", "f", "s", "a", "1", "--value-file=-"], 2, "not 4 arguments"),
    "value file of get": (["--get", "f", "--value-file=-"], 2, "--value-file goes with"),
    "stdin twice": (
        ["--set", "f", "s", "a", "--value-file=-", "--set", "f", "s", "b", "--value-file=-"],
        2, "stdin can be read only once"),
    "backup elsewhere": (["--backup=/x", "--set", "f", "s", "a", "1"], 2, "not a suffix"),
    "empty file name": (["--get", ""], 2, "empty"),
    "missing file": (["--get", "missing", "s", "a"], 1, "missing: no such file"),
    "missing file to delete from": (["--del", "missing", "s", "a"], 1, "missing: no such file"),
    "missing folder": (["--set", "no/f", "s", "a", "1"], 1, "no/f: no such file"),
    "missing settings": (["--from", "missing", "f"], 1, "missing: no such file"),
    "directory": (["--get", "."], 2, "is a directory"),
    "directory to change": (["--set", ".", "s", "a", "1"], 2, "is a directory"),
    "not a file": (["--set", "/dev/null", "s", "a", "1"], 2, "not a regular file"),
    "missing section": (["--get", "f", "nope"], 1, "section not found: nope"),
    "missing section of option": (["--get", "f", "nope", "a"], 1, "section not found: nope"),
    "missing option": (["--get", "f", "s", "nope"], 1, "parameter not found: nope"),
    "bad section": (["--set", "f", "a[", "b", "1"], 2, "[' or ']'"),
    "bad name": (["--set", "f", "s", "a=b", "1"], 2, "'='"),
    "shell name": (["--get", "--format=sh", "f", "odd"], 1, "shell variable"),
    "not a schema": (["--check", "--schema", "f", "f"], 2, "not a schema"),
}  # fmt: skip


@pytest.fixture
def here(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(folder)
    (folder / "f").write_text("[s]\na = 1\n[odd]\nx-y = 1\n")
    return folder


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_line_and_changes_nothing(here: Path, case: str) -> None:
    arguments, strict, message = BAD[case]
    before = (here / "f").stat()

    result = config(*arguments)

    assert (result.code, result.out) == (1, "")
    first, *hints = result.err.splitlines()
    assert first.startswith("error: ")
    assert message in first
    assert all(line.startswith("hint: ") for line in hints)
    assert len(hints) <= 1
    assert config("--strict-exit", *arguments).code == strict
    after = (here / "f").stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert os.listdir(here) == ["f"]


def test_an_option_may_be_abbreviated(here: Path) -> None:
    assert config("--ge", "--form=lines", "f", "s").out == "[ s ] a = 1\n"
    assert config("--verb", "--set", "f", "s", "a", "1").err.startswith("unchanged")


def test_options_may_stand_anywhere(here: Path) -> None:
    assert config("f", "--get", "s", "a").out == "1\n"
    assert config("--set", "f", "s", "a", "-1").code == 0
    assert config("--set", "f", "s", "a", "--", "--x").code == 0
    assert config("--get", "f", "s", "a").out == "--x\n"


def test_gets_before_a_missing_one_are_printed(here: Path) -> None:
    result = config("--get", "f", "s", "a", "--get", "f", "s", "nope")
    assert (result.code, result.out) == (1, "1\n")


def test_help_names_every_option_and_the_man_page_too() -> None:
    from openstack_utils.config import arguments as config_arguments

    shown = config("--help")
    manual = (UTILS / "man" / "openstack-config.1").read_text().replace("\\-", "-")
    completion = (UTILS / "completion" / "openstack-config").read_text()
    assert shown.code == 0
    for name in [*config_arguments.OPERATIONS, *config_arguments.OPTIONS]:
        assert re.search(rf"--{name}\b", shown.out), name
        assert f"--{name}" in completion, name
        if name != "from":
            assert f"--{name}" in manual, name
    assert max(map(len, shown.out.splitlines())) <= 100


def test_the_examples_of_the_help_are_accepted() -> None:
    from openstack_utils.config import arguments as config_arguments

    lines = [li.strip() for li in config("--help").out.splitlines() if li.startswith("  openstack-config")]
    assert len(lines) > 12
    for line in lines:
        command = line.split("  ")[0].split("#")[0].split("|")[0].split("<")[0]
        config_arguments.parse(command.replace("'pa$$ \"word\" '", "x").split()[1:])


def test_version_is_the_packages_own() -> None:
    from builder import __version__

    assert config("--version").out == f"openstack-config {__version__}\n"


@pytest.mark.parametrize(
    "words",
    [["--output="], ["--output", ""], ["--backup="], ["--value-file", " "]],
    ids=" ".join,
)
def test_option_that_is_given_empty_is_refused_by_name(tmp_path: Path, words: list[str]) -> None:
    path = tmp_path / "a.conf"
    path.write_text("[a]\nb = c\n")

    done = config(*words, "--set", str(path), "a", "b", "d")

    assert done.code != 0
    assert "the value is empty" in str(done.err)
    assert path.read_text() == "[a]\nb = c\n"
