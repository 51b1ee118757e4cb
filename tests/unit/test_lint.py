# SPDX-License-Identifier: MIT
"""Lint is part of the tests: each linter once, over what it is for."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from builder import __version__

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent


def scripts() -> list[Path]:
    """Return the shell scripts of the tree."""
    found = []
    for path in (ROOT / ".ci/run", *ROOT.glob("builder/requirements/*"), *ROOT.glob("tests/**/*")):
        if path.is_file() and path.suffix in ("", ".sh") and path.read_bytes()[:40].startswith(b"#!"):
            first = path.read_text().splitlines()[0]
            if re.search(r"\b(ba)?sh\b", first):
                found.append(path)
    completions = [*ROOT.glob("utils/completion/*"), *ROOT.glob("builder/completion/*")]
    return found + [path for path in completions if path.is_file()]


YAML = """
extends: default
rules:
  document-start: disable
  line-length: {max: 160}
  braces: {max-spaces-inside: 1}
"""
LINTERS = {
    "ruff": [BIN / "ruff", "check", "--quiet", "--output-format=concise", "."],
    "ruff format": [BIN / "ruff", "format", "--check", "--quiet", "builder", "tests"],
    "mypy": [BIN / "mypy", "--no-error-summary"],
    "shellcheck": ["shellcheck", "--shell=bash", "--severity=style", *scripts()],
    "vermin": [BIN / "vermin", "--quiet", "-t=3.6-", "--no-tips", "--eval-annotations", ROOT / "utils"],
    "yamllint": [BIN / "yamllint", "--strict", "-d", YAML, "builder", "specs", "kickstarts", "tests"],
}


@pytest.mark.parametrize("name", LINTERS)
def test_linter_is_content(name: str) -> None:
    done = subprocess.run(LINTERS[name], cwd=ROOT, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout + done.stderr


def test_no_file_names_a_path_of_a_developers_machine() -> None:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    names = listed.stdout.split("\n") if listed.returncode == 0 else []
    for name in filter(None, names):
        path = ROOT / name
        if path.is_file():
            text = path.read_bytes().decode(errors="replace")
            assert "/work/" + "main" not in text, name
            assert "/root/" + ".pyenv" not in text, name


def test_no_link_of_the_tree_leads_out_of_it() -> None:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    names = listed.stdout.split("\n") if listed.returncode == 0 else []
    links = [ROOT / name for name in filter(None, names) if (ROOT / name).is_symlink()]

    assert [link for link in links if ROOT not in link.resolve().parents] == []


def test_the_version_stands_once() -> None:
    spec = (ROOT / "specs/openstack-utils.spec").read_text()

    assert re.search(rf"^Version:\s+{re.escape(__version__)}$", spec, re.M)
    assert f"## {__version__}" in (ROOT / "NEWS.md").read_text()
