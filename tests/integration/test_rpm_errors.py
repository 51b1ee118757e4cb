# SPDX-License-Identifier: MIT
"""openstack-builder srpm and rpm when something is wrong: one line, the right exit code, nothing left."""

from __future__ import annotations

import os
import re
import shutil
import signal
import time
from pathlib import Path

import pytest

from tests.support.rpm_tool import builder, copy_sources, start_builder

pytestmark = pytest.mark.skipif(shutil.which("rpmbuild") is None, reason="rpmbuild is not installed")
# Seconds until something counts as hanging, on a machine with much other work.
LONGEST = 600


BROKEN = {
    "unknown tag": ("Summary:  ", "Sumary:  ", 2,
                    r"source/specs/openstack-utils\.spec:\d+: Unknown tag: Sumary"),
    "missing endif": ("%if %{with check}\n%check", "%if %{with check}\n%if 1\n%check", 2,
                      r"source/specs/openstack-utils\.spec:\d+: .*[Uu]nclosed %if"),
    "failing script": ("%build\n", "%build\necho the reason; false\n", 1, "%build failed: the reason"),
    "file not there": ("%files\n", "%files\n/usr/bin/absent\n", 1, "File not found: /usr/bin/absent"),
    "file not listed": ("%{_bindir}/openstack-*\n", "", 1, "unpackaged.*: /usr/bin/openstack-config"),
    "no version": ("Version:  ", "Vorsion:  ", 2, "no line Version:"),
}  # fmt: skip


@pytest.mark.parametrize(("old", "new", "code", "message"), BROKEN.values(), ids=BROKEN.keys())
def test_broken_spec_is_reported_in_rpms_own_words(
    tmp_path: Path, old: str, new: str, code: int, message: str
) -> None:
    source = copy_sources(tmp_path)
    spec = source / "specs" / "openstack-utils.spec"
    assert old in spec.read_text()
    spec.write_text(spec.read_text().replace(old, new, 1))

    done = builder("rpm", "openstack-utils", "-t", "epel-9", "--source", source, cwd=tmp_path, ok=False)

    (error,) = (line for line in done.stderr.splitlines() if line.startswith("error:"))
    assert done.returncode == code, done.stderr
    assert re.search(message, error), error
    assert str(tmp_path / "cache") not in done.stderr
    assert done.stdout == ""
    assert list((tmp_path / "out").rglob("*.rpm")) == []
    assert list((tmp_path / "cache" / "openstack-builder").glob("rpmbuild/*")) == []
    assert list((tmp_path / "cache" / "openstack-builder").glob("rpmbuild/.open*")) == []


WRONG = {
    "package": (["rpm", "openstack-util", "-t", "epel-9"], 2,
                "unknown package: openstack-util", "did you mean openstack-utils?"),
    "target": (["rpm", "openstack-utils", "-t", "epel9"], 2, "unknown target: epel9", "did you mean epel-9?"),
    "no target": (["srpm", "openstack-utils"], 2, "required: -t/--target", "--help"),
    "impossible pair": (["rpm", "openstack-utils", "-t", "fedora-17"], 2,
                        "cannot be built for fedora-17: fedora-17 has no Python 3.6", ""),
    "sign what": (["rpm", "openstack-utils", "-t", "epel-9", "--local-key"], 2,
                  "sign a repository", "--repo"),
    "unknown key": (["rpm", "openstack-utils", "-t", "epel-9", "--repo", "--sign", "nobody"], 2,
                    'gpg has no secret key "nobody"', "gpg --list-secret-keys"),
    "no such gpg folder": (
        ["rpm", "openstack-utils", "-t", "epel-9", "--repo", "--sign", "x", "--gnupghome", "nix"],
        2, "--gnupghome nix: no such folder", "",
    ),
    "output below a file": (["rpm", "openstack-utils", "-t", "epel-9", "--out", "/etc/passwd"], 1,
                            "/etc/passwd/rpm/epel-9: not a directory", ""),
    "work below a file": (["rpm", "openstack-utils", "-t", "epel-9", "--work", "/etc/passwd/work"], 1,
                          "/etc/passwd/work: not a directory", ""),
    "no checkout": (["rpm", "openstack-utils", "-t", "epel-9", "--source", "/etc"], 2,
                    "/etc: no spec in its folder specs", ""),
}  # fmt: skip


@pytest.mark.parametrize(("words", "code", "message", "hint"), WRONG.values(), ids=WRONG.keys())
def test_bad_input_is_one_clear_line(
    tmp_path: Path, words: list[str], code: int, message: str, hint: str
) -> None:
    done = builder(*words, cwd=tmp_path, ok=False)

    errors = [line for line in done.stderr.splitlines() if line.startswith("error:")]
    assert done.returncode == code, done.stderr
    assert len(errors) == 1
    assert message in errors[0]
    assert hint in done.stderr
    assert not (tmp_path / "out").exists()


def test_a_disk_that_is_full_is_reported_with_the_way_out(tmp_path: Path) -> None:
    source = copy_sources(tmp_path)
    spec = source / "specs" / "openstack-utils.spec"
    spec.write_text(spec.read_text().replace("%build\n", "%build\ncat LICENSE >/dev/full\n", 1))

    done = builder("rpm", "openstack-utils", "-t", "epel-9", "--source", source, cwd=tmp_path, ok=False)

    assert done.returncode == 1
    assert "%build failed: cat: write error: No space left on device" in done.stderr
    assert "build where there is more space with --work DIR" in done.stderr


def test_killed_build_leaves_a_work_folder_that_the_next_build_removes(tmp_path: Path) -> None:
    source = copy_sources(tmp_path)
    spec = source / "specs" / "openstack-utils.spec"
    good = spec.read_text()
    spec.write_text(good.replace("%build\n", "%build\ntouch $HOME/reached; exec sleep 600\n", 1))
    work = tmp_path / "work"
    words = ("rpm", "openstack-utils", "-t", "epel-9", "--source", source, "--work", work)
    with start_builder(*words, cwd=tmp_path) as process:
        deadline = time.monotonic() + LONGEST
        while not list(work.glob(".open*/topdir/reached")) and time.monotonic() < deadline:
            time.sleep(0.02)
        process.kill()

    assert len(list(work.glob(".openstack-builder-*"))) == 1
    assert list((tmp_path / "out").rglob("*.rpm")) == []
    assert list((tmp_path / "out").rglob("*.json")) == []
    spec.write_text(good)
    done = builder(*words, cwd=tmp_path)
    assert done.stdout.strip().endswith("openstack-utils-2026.2-1.el9.noarch.rpm")
    assert list(work.iterdir()) == []


def test_interrupted_builds_leave_nothing_and_exit_130(tmp_path: Path) -> None:
    source = copy_sources(tmp_path)
    spec = source / "specs" / "openstack-utils.spec"
    script = "%build\necho $$ >$HOME/pid; mv $HOME/pid $HOME/reached; exec sleep 600\n"
    spec.write_text(spec.read_text().replace("%build\n", script, 1))
    work = tmp_path / "work"
    words = ("rpm", "openstack-utils", "-t", "epel-[89]", "-t", "epel-10", "-j", "2", "--work", work)
    with start_builder(*words, "--source", source, cwd=tmp_path) as process:
        deadline = time.monotonic() + LONGEST
        while len(reached := list(work.glob(".open*/topdir/reached"))) < 2 and time.monotonic() < deadline:
            time.sleep(0.05)
        scripts = [path.read_text().strip() for path in reached]
        process.send_signal(signal.SIGTERM)
        assert process.wait(LONGEST) == 130

    assert len(scripts) == 2
    assert [pid for pid in scripts if Path("/proc", pid, "cwd").exists()] == []
    assert list(work.iterdir()) == []
    assert list((tmp_path / "out").rglob("*.rpm")) == []


@pytest.mark.parametrize(
    ("words", "tool"),
    [
        (["rpm", "openstack-utils", "-t", "epel-9"], "rpmbuild"),
        (["repo", "rpms"], "createrepo_c"),
    ],
)
def test_missing_tool_is_named_with_its_package(tmp_path: Path, words: list[str], tool: str) -> None:
    builder("rpm", "openstack-utils", "-t", "epel-9", "--out", tmp_path / "good", cwd=tmp_path)
    (tmp_path / "rpms").mkdir()
    (rpm,) = (tmp_path / "good").rglob("*.noarch.rpm")
    shutil.copy(rpm, tmp_path / "rpms" / "a.rpm")

    done = builder(*words, cwd=tmp_path, ok=False, PATH=str(tmp_path / "nowhere"))

    assert done.returncode == 4, done.stderr
    assert f"error: {tool} is not installed" in done.stderr
    assert "hint:  apt-get install" in done.stderr
    assert {path.name for path in (tmp_path / "rpms").iterdir()} <= {"a.rpm", ".repo.lock"}
    assert not (tmp_path / "out").exists()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_folder_that_may_not_be_written_is_reported(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir(mode=0o555)

    done = builder("rpm", "openstack-utils", "-t", "epel-9", cwd=tmp_path, ok=False)

    assert done.returncode == 4
    assert "permission denied" in done.stderr
