# SPDX-License-Identifier: MIT
"""The systemd dialect: unit files and environment files."""

import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.config_tool import Result, config

UNIT = """\
# A unit
[Unit]
Description=Compute
After=network.target
After=syslog.target

[Service]
ExecStart=/usr/bin/nova \\
# a comment inside
    --verbose ; x
  Environment = A=1 "B=2 3"
Restart=
Restart=always

[Peer]
Key=1

[Peer]
Key=2
"""


def systemd(*arguments: "str | Path", stdin: str = "") -> Result:
    return config("--dialect=systemd", *arguments, stdin=stdin)


@pytest.fixture
def unit(folder: Path) -> Path:
    path = folder / "nova.service"
    path.write_text(UNIT)
    return path


READ = {
    "simple": (["Unit", "Description"], "Compute\n"),
    "repeated": (["Unit", "After", "--all"], "network.target\nsyslog.target\n"),
    "continued": (["Service", "ExecStart"], "/usr/bin/nova  --verbose ; x\n"),
    "indented, with blanks": (["Service", "Environment"], 'A=1 "B=2 3"\n'),
    "reset and set": (["Service", "Restart", "--all"], "\nalways\n"),
    "repeated section": (["Peer", "Key", "--all"], "1\n2\n"),
}


@pytest.mark.parametrize("case", READ)
def test_get(unit: Path, case: str) -> None:
    arguments, expected = READ[case]
    assert systemd("--get", unit, *arguments) == (0, expected, "")


EDITS = {
    "set": (["--set", "Unit", "Description", "New text"], "Description=Compute", "Description=New text"),
    "set keeps blanks": (["--set", "Service", "Environment", "C=1"], 'Environment = A=1 "B=2 3"',
                         "Environment = C=1"),
    "add": (["--add", "Unit", "After", "x.target"], "After=syslog.target\n",
            "After=syslog.target\nAfter=x.target\n"),
    "new option": (["--set", "Service", "User", "nova"], "Restart=always\n", "Restart=always\nUser=nova\n"),
    "delete one": (["--del", "Unit", "After", "network.target"], "After=network.target\n", ""),
    "replace a continued one": (["--set", "Service", "ExecStart", "/bin/x"],
        "ExecStart=/usr/bin/nova \\\n# a comment inside\n    --verbose ; x\n", "ExecStart=/bin/x\n"),
    "comment": (["--comment", "Service", "Restart", "always"], "Restart=always", "#Restart=always"),
}  # fmt: skip


@pytest.mark.parametrize("case", EDITS)
def test_edit(unit: Path, case: str) -> None:
    (operation, *arguments), before, after = EDITS[case]
    assert before in UNIT
    assert systemd(operation, unit, *arguments) == (0, "", "")
    assert unit.read_text() == UNIT.replace(before, after)


@pytest.mark.parametrize("value", ["a\nb", " a", "a ", "a\\", "a\r"])
def test_what_a_unit_cannot_hold_is_refused(unit: Path, value: str) -> None:
    refused = systemd("--set", unit, "Unit", "Description", value)
    assert (refused.code, unit.read_text()) == (1, UNIT)
    assert refused.err.startswith("error: ")


def test_a_line_that_systemd_skips_is_only_warned_about(folder: Path) -> None:
    path = folder / "x.service"
    path.write_text("[Unit]\nnonsense\nA=1\n")
    assert systemd("--get", path, "Unit", "A") == (
        0, "1\n", f"warning: {path}:2: no NAME=value; skipped\n")  # fmt: skip
    assert systemd("--set", path, "Unit", "A", "2").code == 0
    assert path.read_text() == "[Unit]\nnonsense\nA=2\n"


ENVIRONMENT = """\
# comment
PLAIN=one two  
QUOTED="a b"
SINGLE='it is $x'
ESCAPED=a\\ b\\"c
LINES="one
two"
CONTINUED=a\\
b
MIXED="a"b
EMPTY=
"""  # noqa: W291
VALUES = {
    "PLAIN": "one two",
    "QUOTED": "a b",
    "SINGLE": "it is $x",
    "ESCAPED": 'a b"c',
    "LINES": "one\ntwo",
    "CONTINUED": "ab",
    "MIXED": "ab",
    "EMPTY": "",
}


@pytest.mark.parametrize("name", VALUES)
def test_environment_files_are_unquoted(folder: Path, name: str) -> None:
    path = folder / "env"
    path.write_text(ENVIRONMENT)
    assert systemd("--get", path, "", name) == (0, VALUES[name] + "\n", "")


def test_environment_files_are_written_without_blanks(folder: Path) -> None:
    path = folder / "env"
    path.write_text('# c\nA=1\nB="x y"\n')
    systemd("--set", path, "", "A", "2", "--set", path, "", "B", "z", "--set", path, "", "C", "a b")
    assert path.read_text() == '# c\nA=2\nB="z"\nC="a b"\n'


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from([*"ab \"'\\$`#;=\n", "é", "\t"]), max_size=8).map("".join))
def test_any_value_comes_back_from_an_environment_file(folder: Path, value: str) -> None:
    path = folder / "env"
    path.write_text("A=1\nB=2\n")
    assert systemd("--set", path, "", "A", "--", value).code == 0
    assert systemd("--get", path, "", "A").out == value + "\n"
    assert systemd("--get", path, "", "B").out == "2\n"


@pytest.mark.parametrize("value", ["plain", "two words", 'it\'s $x `y` \\z "q"', "a\nb", "#x", "~/x*"])
def test_a_shell_reads_what_was_written(folder: Path, value: str) -> None:
    assert shutil.which("sh")
    path = folder / "env"
    path.write_text("")
    systemd("--set", path, "", "A", value)
    done = subprocess.run(
        ["sh", "-c", '. "$1"; printf "%s" "$A"', "sh", path], capture_output=True, text=True, check=True
    )
    assert done.stdout == value
