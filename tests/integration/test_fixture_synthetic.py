# SPDX-License-Identifier: MIT
"""The synthetic repository and the RPM writer, as rpm and dnf judge them."""

from __future__ import annotations

import os
import re
import shutil
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from builder.report import Report
from builder.runner import Runner
from tests.rig.fixture.rules import DATA
from tests.rig.fixture.signing import new_signer
from tests.rig.fixture.spoil import change_header, change_payload, change_signature
from tests.rig.fixture.synthetic import KERNEL, ODD_NAMES, SyntheticRepository, build_synthetic
from tests.support.comps import for_dnf

pytestmark = pytest.mark.skipif(
    not all(map(shutil.which, ("rpm", "dnf", "createrepo_c", "apt-get"))),
    reason="rpm, dnf, createrepo_c or apt-get is not installed",
)

# dnf in mount and pid namespaces of its own; nothing of the host is mounted where it could be changed.
INSTALL = """
root=$1; shift
mkdir -p "$root/proc" "$root/dev"
mount -t tmpfs dev "$root/dev" && : >"$root/dev/null" && mount --bind /dev/null "$root/dev/null"
mount -t proc proc "$root/proc"
exec dnf --installroot="$root" "$@"
"""


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> SyntheticRepository:
    """A signed synthetic repository."""
    runner = Runner(Report(quiet=True))
    folder = tmp_path_factory.mktemp("synthetic")
    with new_signer(runner) as signer:
        return build_synthetic(folder, runner=runner, signer=signer)


def dnf_options(repository: SyntheticRepository, folder: Path) -> list[str]:
    """Return what makes dnf see this repository and nothing of the host."""
    return [
        "--assumeyes", "--quiet", "--releasever=1", "--setopt=plugins=0", "--setopt=reposdir=/nonexistent",
        f"--setopt=cachedir={folder}/cache", "--setopt=gpgcheck=1",
        f"--repofrompath=synthetic,file://{repository.folder}", "--repo=synthetic",
        f"--setopt=synthetic.gpgkey=file://{repository.key}", "--setopt=synthetic.gpgcheck=1",
    ]  # fmt: skip


def install(
    repository: SyntheticRepository, folder: Path, *words: str, macros: str = ""
) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """Install packages below `folder`; return the root and how dnf ended."""
    root, home = folder / "root", folder / "home"
    home.mkdir()
    base = "%_dbpath /usr/lib/sysimage/rpm\n%_netsharedpath /proc:/dev\n"
    (home / ".rpmmacros").write_text(base + macros)
    script = ["unshare", "--mount", "--pid", "--fork", "sh", "-c", INSTALL, "install", str(root)]
    done = subprocess.run(
        [*script, *dnf_options(repository, folder), "install", *for_dnf(words, DATA / "synthetic-comps.xml")],
        env=os.environ | {"HOME": str(home), "LC_ALL": "C.UTF-8"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    return root, done


def check(rpm: Path, key: Path, folder: Path) -> dict[str, str]:
    """Return what `rpmkeys -Kv` says to someone who trusts only `key`: what was checked → the verdict.

    signature, header and payload: rpm 4 and rpm 6 use other words, and rpm 6 leaves MD5 and SHA-1 out.
    """
    database = ["--define", f"_dbpath {folder}/keys"]
    subprocess.run(["rpmkeys", *database, "--import", key], check=True)
    done = subprocess.run(
        ["rpmkeys", *database, "-Kv", rpm], capture_output=True, text=True, check=False
    )  # fmt: skip
    reported: dict[str, str] = {}
    for line in done.stdout.lower().splitlines()[1:]:
        verdict = re.search(r": (ok|bad|nokey|notfound)\b", line)
        kind = next((word for word in ("signature", "payload", "header") if word in line), None)
        if verdict and kind and reported.get(kind) != "bad":
            reported[kind] = verdict[1]
    return reported


def test_rpm_is_content_with_every_package(repository: SyntheticRepository, tmp_path: Path) -> None:
    assert repository.key is not None
    database = ["--define", f"_dbpath {tmp_path}/keys"]
    subprocess.run(["rpmkeys", *database, "--import", repository.key], check=True)
    rpms = sorted(set(repository.rpms.values()))

    done = subprocess.run(["rpmkeys", *database, "-K", *rpms], capture_output=True, text=True, check=False)

    assert done.stdout.splitlines() == [f"{rpm}: digests signatures OK" for rpm in rpms]
    assert len(rpms) > 20


@pytest.mark.parametrize(
    ("damage", "bad"),
    [
        pytest.param(change_payload, {"payload"}, id="payload"),
        pytest.param(change_header, {"signature", "header"}, id="header"),
        pytest.param(change_signature, {"signature"}, id="signature"),
    ],
)
def test_rpm_notices_one_changed_byte(
    repository: SyntheticRepository, tmp_path: Path, damage: Callable[[Path], None], bad: set[str]
) -> None:
    assert repository.key is not None
    rpm = tmp_path / "damaged.rpm"
    shutil.copy(repository.rpms["documented"], rpm)

    damage(rpm)

    reported = check(rpm, repository.key, tmp_path)
    assert {what for what, verdict in reported.items() if verdict == "bad"} == bad, reported


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_dnf_installs_what_the_packages_say(repository: SyntheticRepository, tmp_path: Path) -> None:
    root, done = install(
        repository, tmp_path,
        "@core", "kernel", "capable", "setuid", "hard-links", "odd-names", "documented", "wants-more",
        "scripted", "twin.i686", "twin.x86_64",
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    # rpm 6's plugin "unshare" says so of every installation into another root.
    said = done.stderr.lower().replace("warning: private mounts in chroot not implemented", "")
    assert "warning" not in said
    assert os.getxattr(root / "usr/bin/capable", "security.capability")[4:6] == b"\x00\x20"
    assert stat.S_IMODE((root / "usr/bin/setuid").stat().st_mode) == 0o4755
    names = [(root / "usr/share/hard" / name).stat() for name in "ace"]
    assert {(name.st_ino, name.st_nlink) for name in names} == {(names[0].st_ino, 3)}
    assert (root / "usr/share/hard/e").read_text() == "one inode\n"
    assert (root / "usr/share/hard/b").read_text() == "another\n"
    for name in ODD_NAMES:
        assert (root / name.lstrip("/")).read_text() == name
    assert (root / "var/lib/scripted/log").read_text() == "pre 1\npost 1\nposttrans 1\n"
    assert (root / "usr/share/wanted").exists()
    assert (root / f"boot/initramfs-{KERNEL}.img").read_text().startswith("fake initramfs")
    assert (root / "usr/lib/twin").exists()
    assert (root / "usr/lib64/twin").exists()
    verified = subprocess.run(
        ["rpm", "--root", root, "--define", "_dbpath /usr/lib/sysimage/rpm", "-Va"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert verified.stdout == ""


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_docs_languages_and_weak_dependencies_can_be_left_out(
    repository: SyntheticRepository, tmp_path: Path
) -> None:
    root, done = install(
        repository, tmp_path,
        "--nodocs", "--setopt=install_weak_deps=0", "@core", "documented", "wants-more", "failing-post",
        macros="%_install_langs de\n",
    )  # fmt: skip

    assert "Error in POSTIN scriptlet in rpm package failing-post" in done.stderr
    share = root / "usr/share"
    assert (share / "documented/data").exists()
    assert (share / "doc/documented/copyright").exists()
    assert not (share / "doc/documented/README").exists()
    assert (share / "locale/de/LC_MESSAGES/documented.mo").exists()
    assert not (share / "locale/fr/LC_MESSAGES/documented.mo").exists()
    assert not (share / "wanted").exists()


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_dnf_refuses_a_bad_signature(repository: SyntheticRepository, tmp_path: Path) -> None:
    copy = tmp_path / "repository"
    shutil.copytree(repository.folder, copy)
    change_signature(copy / repository.rpms["capable"].name)
    subprocess.run(["createrepo_c", "--quiet", "--update", copy], check=True)
    spoilt = SyntheticRepository(folder=copy, rpms={}, key=repository.key, fingerprint=None)

    root, done = install(spoilt, tmp_path, "filesystem", "capable")

    assert done.returncode == 1
    assert "capable" in done.stdout + done.stderr
    assert not (root / "usr/bin/capable").exists()
