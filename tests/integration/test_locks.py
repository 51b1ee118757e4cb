# SPDX-License-Identifier: MIT
"""The locks, resolved by pip for every Python of a host: nobody should need a compiler for `make setup`."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.markers import Marker

ROOT = Path(__file__).parents[2]
PYTHONS = ("3.11", "3.12", "3.13", "3.14", "3.15")
# Lock -> packages that come as source only, with what building them takes. All else has a wheel for every
# Python above.
SOURCE_ONLY = {
    "builder/requirements/core.txt": {"pykickstart": "Python alone", "rpmlint": "Python alone"},
    "builder/requirements/dev.txt": {"pykickstart": "Python alone", "rpmlint": "Python alone"},
    "builder/requirements/bench.txt": {"pykickstart": "Python alone", "rpmlint": "Python alone"},
    "builder/requirements/dib.txt": {"pykickstart": "Python alone", "rpmlint": "Python alone"},
    "builder/requirements/koji.txt": {
        "pykickstart": "Python alone",
        "rpmlint": "Python alone",
        "gssapi": "a compiler and Kerberos: the -koji lists of system packages",
    },
}
# Compiles rpm as soon as pip asks for its metadata; it is the one package of its list.
UNASKED = "builder/requirements/rpm-py-installer.txt"


def entries_for(lock: Path, python: str) -> str:
    """Return the entries of a lock that count for a Python: pip takes markers for the one it runs under."""
    entries = re.split(r"\n(?=\S)", lock.read_text())
    kept = []
    for entry in entries:
        marker = re.match(r"[^#;]+; (.+?) \\", entry)
        if marker is None or Marker(marker[1]).evaluate({"python_version": python}):
            kept.append(entry)
    return "\n".join(kept) + "\n"


@pytest.mark.slow
@pytest.mark.parametrize("python", PYTHONS)
@pytest.mark.parametrize("lock", SOURCE_ONLY)
def test_packages_without_a_wheel_are_known(lock: str, python: str, tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    wanted = tmp_path / "lock.txt"
    wanted.write_text(entries_for(ROOT / lock, python))
    done = subprocess.run(
        [
            *(
                sys.executable,
                "-m",
                "pip",
                "install",
                "--quiet",
                "--dry-run",
                "--ignore-installed",
                "--no-deps",
            ),
            *("--python-version", python, "--implementation", "cp", "--target", tmp_path / "nothing"),
            *("--require-hashes", "-r", wanted, "--report", report),
        ],
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    found = json.loads(report.read_text())["install"]
    without = {
        item["metadata"]["name"].lower()
        for item in found
        if not item["download_info"]["url"].endswith(".whl")
    }
    # From 3.15 on rpmlint is the system's: what it wants has no wheel.
    left_out = {"rpmlint"} if python == "3.15" else set()
    assert without == set(SOURCE_ONLY[lock]) - left_out, f"{lock} on Python {python}"


def test_every_lock_is_looked_at() -> None:
    locks = [path for path in (ROOT / "builder/requirements").glob("*.txt") if "--hash" in path.read_text()]

    assert {str(path.relative_to(ROOT)) for path in locks} == {*SOURCE_ONLY, UNASKED}
