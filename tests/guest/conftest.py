# SPDX-License-Identifier: MIT
"""What the tests of guests share: a shell, and the JeOS image of the fixture distribution."""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

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
    session = os.environ.get("PYTEST_XDIST_TESTRUNUID", "")
    made = OUT / ".run"
    with locked(OUT / ".lock"):
        if not (session and made.is_file() and made.read_text() == session):
            run(command("rpm", "openstack-utils", "-t", "fixture-12", "--repo", "--local-key", "--out", OUT))
            made.write_text(session)
    return OUT / "rpm" / "fixture-12" / "repo"


def image_command(*options: str) -> list[str]:
    """Return the argv that builds kickstarts/jeos-fixture.ks."""
    return repository_options("image", "jeos-fixture", *options)


def run(argv: list[str]) -> None:
    """Run a command that must succeed."""
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def verdict_of(image: Path, *options: str) -> dict[str, Any]:
    """Return the verdict of `verify` on `image`, with the exit status of the command as `status`."""
    words = command("verify", image, "--json", *options)
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stdout, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    found["status"] = done.returncode
    return found


@pytest.fixture(scope="session")
def jeos_image() -> Path:
    """The qcow2 of kickstarts/jeos-fixture.ks, built by the command line as a user would."""
    run(image_command())
    return OUT / "jeos-fixture" / "jeos-fixture.qcow2"
