# SPDX-License-Identifier: MIT
"""The same checkout gives the same bytes: source RPMs, RPMs and repodata, whoever builds it when and where.

Once as the tests run; once in another folder, with another home, cache and user, on a host of another name,
four years later in another time zone and language, with another umask, other times and modes of the files,
and another number of jobs.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.rpm_tool import PROGRAM, ROOT, query

OTHER_CLOCK = "+1500d"
WORDS = (
    ("rpm", "openstack-utils", "openstack-keystone", "-t", "epel-6", "-t", "fixture-12"),
    ("rpm", "openstack-utils", "-t", "fedora-45", "-t", "epel-9"),
    ("repo", "out/rpm"),
)

pytestmark = [
    pytest.mark.skipif(shutil.which("rpmbuild") is None, reason="rpmbuild is not installed"),
    pytest.mark.skipif(shutil.which("faketime") is None, reason="faketime is not installed"),
]


def checkout(folder: Path, *, time: int, permissions: int) -> Path:
    """Return a copy of the checkout, without git; its files have this time, and no other permissions."""
    source = folder / "source"
    for name in ("specs", "utils"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "LICENSE", source)
    for path in source.rglob("*"):
        os.utime(path, (time, time))
        if path.is_file():
            path.chmod(path.stat().st_mode & permissions)
    return source


def build(folder: Path, source: Path, *before: str, jobs: int, **env: str) -> dict[str, bytes]:
    """Run WORDS in `folder` with `before` in front of each command; return the bytes of what came out."""
    home = {"HOME": str(folder), "XDG_CACHE_HOME": str(folder / "cache"), "PYTHONPATH": str(ROOT)}
    environment = {"PATH": os.environ["PATH"], **home, **env}
    for words in WORDS:
        options = ("--source", source, "-j", str(jobs)) if words[0] == "rpm" else ()
        done = subprocess.run(
            [*before, *PROGRAM, *words, *options],
            cwd=folder, env=environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
    made = sorted([*folder.glob("out/rpm/*/*.rpm"), *folder.glob("out/rpm/*/repo/repodata/*")])
    return {str(path.relative_to(folder)): path.read_bytes() for path in made}


def tools_of_another_time(folder: Path) -> str:
    """Return a PATH in which the tools that write packages and metadata live four years later."""
    (folder / "bin").mkdir()
    for name in ("rpmbuild", "createrepo_c"):
        tool = folder / "bin" / name
        # The clock is another, the times that files have are not.
        run = f'NO_FAKE_STAT=1 exec faketime -m -f {OTHER_CLOCK} {shutil.which(name)} "$@"'
        tool.write_text(f"#!/bin/sh\n{run}\n")
        tool.chmod(0o755)
    return f"{folder / 'bin'}:{os.environ['PATH']}"


def test_same_checkout_gives_the_same_bytes_everywhere(tmp_path: Path) -> None:
    other_user = ["unshare", "--user", "--map-user=4321", "--map-group=4321", "--uts", "--"]
    if subprocess.run([*other_user, "true"], capture_output=True, check=False).returncode != 0:
        pytest.skip("this host lets nobody be another user in a namespace")
    here, there = tmp_path / "here", tmp_path / "there" / "with a longer name"
    here.mkdir()
    there.mkdir(parents=True)
    first = build(here, checkout(here, time=10**9, permissions=0o777), jobs=1)

    (there / ".rpmmacros").write_text("%packager me@example.com\n%vendor Me\n%_buildhost me\n")
    odd = 'umask 077; hostname elsewhere 2>/dev/null; exec "$@"'
    path = tools_of_another_time(there)
    source = checkout(there, time=2 * 10**9, permissions=0o700)
    second = build(
        there, source, *other_user, "sh", "-c", odd, "sh", jobs=3, PATH=path, TZ="Asia/Kolkata",
        LANG="tr_TR.UTF-8", USER="somebody", LOGNAME="somebody",
    )  # fmt: skip

    assert len([name for name in first if name.endswith(".src.rpm")]) == 6
    assert len([name for name in first if name.endswith("repomd.xml")]) == 4
    assert first.keys() == second.keys()
    assert [name for name in first if first[name] != second[name]] == []


def test_the_other_clock_is_another(tmp_path: Path) -> None:
    spec = tmp_path / "a.spec"
    spec.write_text(
        "Name: a\nVersion: 1\nRelease: 1\nSummary: a\nLicense: MIT\nBuildArch: noarch\n"
        "%description\na\n%files\n"
    )
    command = ["rpmbuild", "-bb", "--define", f"_topdir {tmp_path}", str(spec)]
    subprocess.run(
        command, check=True, capture_output=True, env={**os.environ, "PATH": tools_of_another_time(tmp_path)}
    )

    (rpm,) = tmp_path.rglob("*.noarch.rpm")
    assert int(query(rpm, "--qf", "%{BUILDTIME}")[0]) > spec.stat().st_mtime + 1000 * 86400
