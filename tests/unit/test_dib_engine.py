# SPDX-License-Identifier: MIT
"""What diskimage-builder needs of a host is asked for first; what its chroot cannot see is served to it."""

from __future__ import annotations

import os
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from builder.dib.serving import served
from builder.kickstart.plan import ImagePlan, Repository

ROOT = Path(__file__).resolve().parents[2]
KICKSTART = """\
rootpw --lock
bootloader --location=none
clearpart --all --initlabel
part / --fstype=ext4 --size=1000
url --url=https://mirror.example/os
%packages
kernel
%end
"""


def plan(*repositories: Repository) -> ImagePlan:
    return ImagePlan(
        name="guest",
        target="fixture-12",
        releasever="12",
        kickstarts=("guest.ks",),
        repositories=repositories,
    )


def fetch(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=10) as answer:
        content: bytes = answer.read()
    return content


def test_folders_and_keys_of_the_host_are_served_and_nothing_else_of_it(tmp_path: Path) -> None:
    repository, other = tmp_path / "repository", tmp_path / "other"
    for folder in (repository / "repodata", other):
        folder.mkdir(parents=True)
    (repository / "repodata/repomd.xml").write_text("<repomd/>")
    (other / "key.asc").write_text("a key")
    (other / "secret").write_text("a secret")
    given = Repository(name="one", baseurl=(repository.as_uri(),), gpg_keys=(str(other / "key.asc"),))
    remote = Repository(name="two", metalink="https://mirror.example/metalink")

    with served(plan(given, remote)) as changed:
        one, two = changed.repositories
        (url,), (key,) = one.baseurl, one.gpg_keys

        assert fetch(f"{url}repodata/repomd.xml") == b"<repomd/>"
        assert fetch(key) == b"a key"
        assert two == remote
        for wrong in (key.replace("key.asc", "secret"), f"{url}../other/secret", f"{url}%2e%2e/other/secret"):
            with pytest.raises(urllib.error.HTTPError) as refused:
                fetch(wrong)
            refused.value.close()

    with pytest.raises(urllib.error.URLError):
        fetch(key)


# Where `make setup-dib` was run, a device lies over the program.
PROGRAM = Path(sys.executable).with_name("diskimage-builder")
HIDE_PROGRAM = f"! test -e {PROGRAM} || mount --bind /dev/null {PROGRAM}"


def ask(folder: Path, *options: str, path: str = "", inside: str = "") -> subprocess.CompletedProcess[str]:
    """Ask for a build by diskimage-builder; `inside` is done in a mount namespace before."""
    (folder / "guest.ks").write_text(KICKSTART)
    argv = [sys.executable, "-m", "builder", "image", str(folder / "guest.ks"), "--target", "fixture-12"]
    argv += ["--engine", "dib", "--out", str(folder / "out"), *options]
    if inside:
        argv = ["unshare", "--mount", "sh", "-ec", f'{inside}\nexec "$@"', "sh", *argv]
    return subprocess.run(
        argv, cwd=ROOT, env={"PATH": f"{path}{os.environ['PATH']}", "HOME": str(folder)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_options_of_our_own_engine_are_refused(tmp_path: Path) -> None:
    done = ask(tmp_path, "--solver", "dnf")

    assert done.returncode == 2
    assert "--solver cannot be used with --engine dib" in done.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: mounts in a namespace of its own")
@pytest.mark.parametrize(
    ("inside", "programs", "said", "hint"),
    [
        pytest.param(HIDE_PROGRAM, (), "diskimage-builder is not installed", "make setup-dib", id="program"),
        pytest.param(
            "mount -t tmpfs none /dev && mknod /dev/null c 1 3",
            ("diskimage-builder", "kpartx", "sudo", "rsync"),
            "needs loop devices, and there are none",
            "modprobe loop",
            id="loop devices",
        ),
    ],
)
def test_what_a_host_lacks_is_named_before_anything_is_made(
    tmp_path: Path, inside: str, programs: tuple[str, ...], said: str, hint: str
) -> None:
    # Stand-ins: they are looked for, and not run.
    (tmp_path / "bin").mkdir()
    for name in programs:
        (tmp_path / "bin" / name).write_text("#!/bin/sh\n")
        (tmp_path / "bin" / name).chmod(0o755)

    done = ask(tmp_path, path=f"{tmp_path}/bin:", inside=inside)

    assert done.returncode == 4, done.stderr
    assert said in done.stderr
    assert hint in done.stderr
    assert "--engine direct" in done.stderr
    assert not (tmp_path / "out").exists()
