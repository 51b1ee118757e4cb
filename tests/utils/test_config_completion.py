# SPDX-License-Identifier: MIT
"""bash completion and the man page."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.config_tool import LAUNCHER, UTILS

# id: (words typed, the last being completed; what is offered)
OFFERED = {
    "operations": (["--unc"], ["--uncomment"]),
    "an option": (["--set", "--exi"], ["--existing"]),
    "dialects": (["--dialect", "sys"], ["systemd"]),
    "dialects after an equal sign": (["--dialect", "=", "o"], ["oslo"]),
    "files": (["--get", "nov"], ["nova.conf"]),
    "sections": (["--get", "nova.conf", "d"], ["database"]),
    "DEFAULT": (["--set", "nova.conf", "DEF"], ["DEFAULT"]),
    "parameters": (["--set", "nova.conf", "database", "con"], ["connection"]),
    "of the second operation": (
        ["--set", "nova.conf", "s", "a", "1", "--del", "nova.conf", "database", "max"],
        ["max_retries"],
    ),
    "after an option with an argument": (
        ["--format", "sh", "--get", "nova.conf", "data"],
        ["database"],
    ),
    "a value": (["--set", "nova.conf", "database", "connection", ""], []),
}


def complete(folder: Path, words: "list[str]") -> "list[str]":
    """Return what is offered in the folder."""
    script = (
        'source "$COMPLETION"; COMP_WORDS=(openstack-config "$@"); COMP_CWORD=$#\n'
        '_openstack_config; printf "%s\\n" "${COMPREPLY[@]}"'
    )
    command = folder / ".bin" / "openstack-config"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -IS {LAUNCHER} "$@"\n')
    command.chmod(0o755)
    environment = {
        **os.environ,
        "COMPLETION": str(UTILS / "completion" / "openstack-config"),
        "PATH": f"{command.parent}:{os.environ['PATH']}",
    }
    done = subprocess.run(
        ["bash", "-c", script, "bash", *words],
        cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=600,
    )  # fmt: skip
    return sorted(set(filter(None, done.stdout.splitlines())))


@pytest.mark.parametrize("case", OFFERED)
def test_completion(folder: Path, case: str) -> None:
    words, offered = OFFERED[case]
    (folder / "nova.conf").write_text("[DEFAULT]\ndebug=1\n[database]\nconnection=x\nmax_retries=1\n")

    assert complete(folder, words) == offered


# Names of sections and options that a shell would run, if it got to see them.
HOSTILE = ("$(touch canary)", "`touch canary`", "x;touch canary", "$((a[$(touch canary)]))", "'\"", "*", "~")


@pytest.mark.parametrize("at", [["--get", "foreign.ini", ""], ["--get", "foreign.ini", "s", ""]])
def test_nothing_of_a_foreign_file_is_run(folder: Path, at: "list[str]") -> None:
    text = "".join(f"[{name}]\na = 1\n" for name in HOSTILE)
    (folder / "foreign.ini").write_text(text + "[s]\n" + "".join(f"{name} = 1\n" for name in HOSTILE))

    offered = complete(folder, at)

    assert len(offered) >= len(HOSTILE)
    assert not (folder / "canary").exists()
    # Nor when it is taken over and the line is entered.
    line = f"echo {' '.join(offered)}"
    subprocess.run(["bash", "-c", line], cwd=folder, capture_output=True, check=True)
    assert not (folder / "canary").exists()


@pytest.mark.skipif(shutil.which("groff") is None, reason="groff is not installed")
def test_the_man_page_is_clean() -> None:
    page = UTILS / "man" / "openstack-config.1"
    done = subprocess.run(
        ["groff", "-man", "-Tutf8", "-ww", page], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0
    # A groff without the macros of man says so; that is not the page's fault.
    assert "warning" not in done.stderr
