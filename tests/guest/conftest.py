# SPDX-License-Identifier: MIT
"""What the tests of guests share: a shell, and the JeOS image of the fixture distribution."""

from __future__ import annotations

import functools
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from builder.files import locked
from builder.report import Report
from builder.runner import Runner
from tests.rig.fixture.repository import build_repository

ROOT = Path(__file__).resolve().parents[2]
# Kept between runs: a build of the same inputs has nothing to do. `make clean` removes it.
OUT = ROOT / "out" / "tests"


@pytest.fixture
def run_shell() -> Callable[[str], str]:
    """Run a script with this host's /bin/sh, as the guest's would, and return what it printed."""
    runner = Runner(Report(quiet=True))
    return lambda script: runner.run(["/bin/sh", "-s"], input=script, ok=()).stdout


def command(*words: str | Path) -> list[str]:
    """Return the argv of `openstack-builder WORDS`."""
    return [sys.executable, "-m", "builder", *map(str, words)]


def repository_options(*words: str | Path) -> list[str]:
    """Return the argv of `openstack-builder WORDS` with the fixture's repositories, made when missing."""
    fixture = build_repository(Report(quiet=True))
    own = _own_repository()
    repositories = ("--repo", f"fixture=file://{fixture.folder}", "--repo", f"utils=file://{own}")
    keys = ("--gpgkey", fixture.key, "--gpgkey", own / "RPM-GPG-KEY-local")
    return command(*words, *repositories, *keys, "--out", OUT)


@functools.cache
def _own_repository() -> Path:
    """Return the repository with openstack-utils; the workers of a run share it, so it is made once."""
    run = os.environ.get("PYTEST_XDIST_TESTRUNUID", "")
    made = OUT / ".run"
    with locked(OUT / ".lock"):
        if not (run and made.is_file() and made.read_text() == run):
            _run(command("rpm", "openstack-utils", "-t", "fixture-12", "--repo", "--local-key", "--out", OUT))
            made.write_text(run)
    return OUT / "rpm" / "fixture-12" / "repo"


def image_command(*options: str) -> list[str]:
    """Return the argv that builds kickstarts/jeos-fixture.ks."""
    return repository_options("image", "jeos-fixture", *options)


def _run(argv: list[str]) -> None:
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="session")
def jeos_image() -> Path:
    """The qcow2 of kickstarts/jeos-fixture.ks, built by the command line as a user would."""
    _run(image_command())
    return OUT / "jeos-fixture" / "jeos-fixture.qcow2"
