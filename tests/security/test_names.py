# SPDX-License-Identifier: MIT
"""Names, caches, addresses with passwords, and checkouts of other people: what is given to the host side."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from builder.errors import InputError, PermissionMissing
from builder.files import cache_folder, replace_folder
from builder.masking import mask
from builder.places import SPECS
from builder.report import Report
from builder.rpm.build.archive import git_files, source_date
from builder.rpm.spec.packages import UTILS, find_packages
from builder.runner import Runner
from tests.security.conftest import Host
from tests.support.imaging import kickstart
from tests.support.other_user import NUMBER

SECRET = "it's+s3cret"


@pytest.mark.root
def test_a_name_stays_below_out_and_replaces_no_folder_of_the_user(host: Host) -> None:
    before = host.state()

    for name in ("../x", "Documents"):
        done = host.build(kickstart(), f"--name={name}", "--out", str(host.home), ok=False)
        assert done.returncode == 2, name

    assert host.state() == before
    assert not (host.home.parent / "x").exists()


def test_only_a_folder_of_ours_is_replaced(tmp_path: Path) -> None:
    new, theirs = tmp_path / "new", tmp_path / "theirs"
    for folder in (new, theirs):
        folder.mkdir()
    (theirs / "diary").touch()

    with pytest.raises(InputError, match="cannot be replaced"):
        replace_folder(new, theirs, "mark")

    assert [path.name for path in theirs.iterdir()] == ["diary"]


@pytest.mark.root
@pytest.mark.parametrize("part", ["openstack-builder", "openstack-builder/dnf"])
def test_a_cache_of_another_user_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    (tmp_path / "openstack-builder/dnf").mkdir(parents=True)
    os.chown(tmp_path / part, NUMBER, NUMBER)

    with pytest.raises(PermissionMissing, match="another user"):
        cache_folder("dnf")


@pytest.mark.parametrize("part", ["openstack-builder", "openstack-builder/trees"])
@pytest.mark.parametrize("mode", [0o775, 0o757, 0o1777])
def test_a_cache_that_others_may_write_to_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, part: str, mode: int
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    (tmp_path / "openstack-builder/trees").mkdir(parents=True)
    (tmp_path / part).chmod(mode)

    with pytest.raises(PermissionMissing, match="others may write to it"):
        cache_folder("trees")


def test_a_cache_is_its_users_alone_whatever_the_umask(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    before = os.umask(0)
    try:
        folder = cache_folder("dnf", "fixture-12")
    finally:
        os.umask(before)

    for path in (folder, folder.parent, folder.parent.parent):
        assert not path.stat().st_mode & 0o022


@pytest.mark.root
def test_ids_that_a_plain_user_may_have_own_no_cache_of_roots(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    (tmp_path / "openstack-builder/dnf").mkdir(parents=True)
    os.chown(tmp_path / "openstack-builder/dnf", 100_000, 100_000)
    assert cache_folder("dnf")
    os.chown(tmp_path / "openstack-builder", 100_000, 100_000)

    with pytest.raises(PermissionMissing, match="another user"):
        cache_folder("dnf")


@pytest.mark.root
def test_one_users_cache_is_not_anothers(host: Host) -> None:
    cache = host.home / "shared"
    shutil.rmtree(cache, ignore_errors=True)
    (cache / "openstack-builder").mkdir(parents=True)
    other = NUMBER + 1
    os.chown(cache / "openstack-builder", other, other)
    bench = host.bench
    words = ["env", f"XDG_CACHE_HOME={cache}", *bench.command(kickstart())]

    done = subprocess.run(words, env=bench.environment(), capture_output=True, text=True, check=False)

    assert done.returncode == 4
    assert "belongs to another user" in done.stderr
    assert list((cache / "openstack-builder").iterdir()) == []


@pytest.mark.root
def test_a_cache_that_is_a_link_to_another_users_folder_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    os.chown(theirs, NUMBER, NUMBER)
    (tmp_path / "openstack-builder").mkdir()
    (tmp_path / "openstack-builder/dnf").symlink_to(theirs)

    with pytest.raises(PermissionMissing, match="another user"):
        cache_folder("dnf")


@pytest.mark.parametrize(
    "text",
    [
        f"https://user:{SECRET}@host/path",
        f"'https://user:{SECRET}@host/path', and more",
        f"socks5h://{SECRET}@[::1]:1080",
        f"a https://one@host and https://two:{SECRET}@host:80/",
        f"https://user:%2F{SECRET}%40@host/",
        f'{{"url": "https://u:{SECRET}@h/"}}',
    ],
)
def test_passwords_of_addresses_are_masked(text: str) -> None:
    assert SECRET not in mask(text)
    assert "host" not in text or "host" in mask(text)


@pytest.mark.parametrize("kind", ["note", "verbose", "debug", "warn", "result", "json"])
def test_what_a_program_says_of_an_index_is_shown_without_the_password(
    kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    # As `pip config list` prints it, under --debug.
    getattr(Report(debug=True), kind)(f"global.index-url='https://user:{SECRET}@index.example/simple'")

    said = "".join(capsys.readouterr())
    assert "index.example" in said
    assert SECRET not in said


@pytest.mark.root
def test_a_password_of_a_repository_is_shown_nowhere(host: Host) -> None:
    more = ("--repo", f"more=http://user:{SECRET}@127.0.0.1:9/x/")

    for options in (["--plan"], ["--plan", "--json"], ["--debug"]):
        done = host.run(host.bench.command(kickstart(), *more, *options))
        assert "127.0.0.1" in done.stdout + done.stderr
        assert SECRET not in done.stdout + done.stderr, options
    assert not host.bench.log.exists() or SECRET not in host.bench.log.read_text()


def test_a_checkout_of_somebody_else_runs_nothing(tmp_path: Path) -> None:
    root, canary = tmp_path / "checkout", tmp_path / "canary"
    program = tmp_path / "program"
    program.write_text(f"#!/bin/sh\ntouch {canary}\ncat\n")
    program.chmod(0o755)
    (root / "utils").mkdir(parents=True)
    (root / "LICENSE").write_text("licence\n")
    (root / "utils/file").write_text("text\n")
    (root / ".gitattributes").write_text("* filter=hostile diff=hostile\n")

    def git(*words: str) -> None:
        identity = ("-c", "user.name=x", "-c", "user.email=x@example.org", "-c", "commit.gpgsign=false")
        subprocess.run(["git", "-C", root, *identity, *words], check=True, capture_output=True)

    git("init", "-q")
    git("add", "-A")
    git("commit", "-qm", "x")
    for name in (
        "core.fsmonitor", "log.showSignature", "gpg.program", "gpg.ssh.program", "core.pager",
        "core.sshCommand", "filter.hostile.clean", "filter.hostile.smudge", "filter.hostile.process",
        "diff.hostile.textconv", "diff.hostile.command", "diff.external", "core.alternateRefsCommand",
        "core.editor", "alias.log",
    ):  # fmt: skip
        git("config", name, "true" if name == "log.showSignature" else str(program))
    hook = root / ".git/hooks/post-index-change"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(program.read_text())
    hook.chmod(0o755)
    (root / "utils/file").write_text("changed\n")
    runner = Runner(Report(quiet=True))

    (package,) = find_packages(SPECS.parent, [UTILS])

    assert git_files(root, runner) == ["LICENSE", "utils/file"]
    assert source_date(root, package, runner) > 0
    assert not canary.exists()
