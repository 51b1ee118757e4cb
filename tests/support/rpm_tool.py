# SPDX-License-Identifier: MIT
"""What the tests of srpm and rpm share: the command line, rpm's answers, a tree to spoil."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from builder.files import cache_folder
from builder.places import SPECS

ROOT = SPECS.parent
PROGRAM = (sys.executable, "-m", "builder")


def builder(*words: str | Path, cwd: Path, ok: bool = True, **env: str) -> subprocess.CompletedProcess[str]:
    """Run openstack-builder; the cache is below `cwd` unless XDG_CACHE_HOME is given."""
    done = subprocess.run(
        [*PROGRAM, *words], cwd=cwd, env=_environment(cwd, env), capture_output=True, text=True, check=False
    )
    assert not ok or done.returncode == 0, done.stderr
    return done


def start_builder(*words: str | Path, cwd: Path) -> subprocess.Popen[bytes]:
    """Start openstack-builder, for a test that ends it before its time."""
    quiet = subprocess.DEVNULL
    return subprocess.Popen(
        [*PROGRAM, *words], cwd=cwd, env=_environment(cwd, {}), stdout=quiet, stderr=quiet
    )


def _environment(home: Path, extra: dict[str, str]) -> dict[str, str]:
    cache = Path(extra.get("XDG_CACHE_HOME", home / "cache"))
    # What has been downloaded once needs no network again.
    sources = cache / "openstack-builder" / "sources"
    if not sources.exists():
        sources.parent.mkdir(parents=True, exist_ok=True)
        sources.symlink_to(cache_folder("sources"))
    path = os.environ["PATH"]
    own = {"PATH": path, "HOME": str(home), "XDG_CACHE_HOME": str(cache), "PYTHONPATH": str(ROOT)}
    return {**own, **extra}


def query(rpm: Path, *words: str) -> list[str]:
    """Return the lines that rpm prints about a package file."""
    argv = ["rpm", "-qp", "--nosignature", *words, str(rpm)]
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout.splitlines()


def copy_sources(folder: Path) -> Path:
    """Return a copy of what openstack-utils is made from, without git."""
    source = folder / "source"
    # Without the generated specs: what is built here is openstack-utils.
    shutil.copytree(SPECS, source / "specs", ignore=shutil.ignore_patterns("essex", "current"))
    shutil.copytree(ROOT / "utils", source / "utils", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "LICENSE", source)
    return source


def the_rpm(folder: Path, target: str) -> Path:
    """Return the one binary RPM that was built for a target below `folder`."""
    (path,) = (folder / "out" / "rpm" / target).glob("*.noarch.rpm")
    return path
