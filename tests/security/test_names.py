# SPDX-License-Identifier: MIT
"""Names, caches, addresses with passwords, and checkouts of other people: what is given to the host side."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
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


@pytest.fixture
def guarded(tmp_path: Path) -> Path:
    """A kickstart with a repository that asks for a login."""
    path = tmp_path / "guarded.ks"
    base = SPECS.parent / "kickstarts/jeos-fedora-45.ks"
    path.write_text(
        f'%include {base}\nrepo --name=more --baseurl="https://user:{SECRET}@mirror.example/os"\n'
    )
    return path


def builder(*words: str | Path, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run the command in an empty home."""
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(SPECS.parent), "HOME": str(folder)}
    argv = [sys.executable, "-m", "builder", *words]
    return subprocess.run(argv, env=environment, capture_output=True, text=True, check=False)


def test_a_flattened_kickstart_with_a_login_is_its_owners_alone(guarded: Path, tmp_path: Path) -> None:
    shown = builder("flatten", guarded, folder=tmp_path)
    kept = builder("flatten", guarded, "-o", tmp_path / "flat.ks", folder=tmp_path)

    assert shown.returncode == kept.returncode == 0, shown.stderr + kept.stderr
    assert SECRET not in shown.stdout + shown.stderr + kept.stdout + kept.stderr
    # What is printed is not the kickstart, and says so.
    assert "printed as ***" in shown.stderr
    assert SECRET in (tmp_path / "flat.ks").read_text()
    assert (tmp_path / "flat.ks").stat().st_mode & 0o777 == 0o600


def test_an_export_with_a_login_is_its_owners_alone(guarded: Path, tmp_path: Path) -> None:
    done = builder("export", "dib", guarded, tmp_path / "dib", "--target", "fedora-45", folder=tmp_path)

    assert done.returncode == 0, done.stderr
    written = [path for path in (tmp_path / "dib").rglob("*") if path.is_file()]
    private = [path.name for path in written if not path.stat().st_mode & 0o077]
    assert [path.name for path in written if SECRET in path.read_text()] == private != []
    assert SECRET not in done.stdout + done.stderr


@pytest.mark.parametrize("where", ["kickstart", "--repo", "--tree"])
def test_no_login_goes_to_a_hub_whose_tasks_everybody_reads(
    guarded: Path, tmp_path: Path, where: str
) -> None:
    address = f"https://user:{SECRET}@mirror.example/os"
    image = guarded if where == "kickstart" else "jeos-fedora-45"
    tree = address if where == "--tree" else "https://mirror.example/os"
    words = ["--repo", address] if where == "--repo" else []

    done = builder(
        "koji", "image", image, "-t", "fedora-45", "--tree", tree, *words, "--dry-run", folder=tmp_path
    )

    assert done.returncode == 2
    assert "an address has a login" in done.stderr
    assert SECRET not in done.stdout + done.stderr


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
