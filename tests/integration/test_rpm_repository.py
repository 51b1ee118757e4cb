# SPDX-License-Identifier: MIT
"""The repository that openstack-builder rpm --repo makes, as rpm, gpg and dnf see it."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from builder import __version__
from tests.integration.rpm_tool import builder

pytestmark = pytest.mark.skipif(shutil.which("rpmbuild") is None, reason="rpmbuild is not installed")


WORDS = ("rpm", "openstack-utils", "-t", "fixture-12", "--repo")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the cache and the output of one signed repository."""
    folder = tmp_path_factory.mktemp("repo")
    builder(*WORDS, "--local-key", cwd=folder)
    return folder


@pytest.fixture(scope="module")
def repository(home: Path) -> Path:
    """That repository."""
    return home / "out" / "rpm" / "fixture-12" / "repo"


def test_repository_passes_gpgcheck_with_its_own_key_only(repository: Path, tmp_path: Path) -> None:
    (rpm,) = repository.glob("*.rpm")
    keyring = ["rpmkeys", "--dbpath", str(tmp_path / "db")]

    without = subprocess.run([*keyring, "-K", rpm], capture_output=True, text=True, check=False)
    subprocess.run([*keyring, "--import", repository / "RPM-GPG-KEY-local"], check=True)
    trusted = subprocess.run([*keyring, "-K", rpm], capture_output=True, text=True, check=False)

    assert without.returncode != 0
    assert (trusted.returncode, trusted.stdout.strip()) == (0, f"{rpm}: digests signatures OK")
    ring = tmp_path / "gpg"
    ring.mkdir(mode=0o700)
    gpg = ["gpg", "--homedir", str(ring), "--batch", "--quiet", "--no-autostart"]
    subprocess.run([*gpg, "--import", repository / "RPM-GPG-KEY-local"], check=True, capture_output=True)
    repomd = repository / "repodata" / "repomd.xml"
    subprocess.run([*gpg, "--verify", f"{repomd}.asc", repomd], check=True, capture_output=True)


@pytest.mark.skipif(shutil.which("dnf") is None, reason="dnf is not installed")
def test_dnf_reads_the_repository_file(repository: Path, tmp_path: Path) -> None:
    dnf = ["dnf", "-y", "-q", f"--installroot={tmp_path}", f"--setopt=reposdir={repository}",
           "--releasever=12", "--setopt=plugins=0", "--repo=openstack-fixture-12"]  # fmt: skip

    done = subprocess.run([*dnf, "repoquery", "openstack-utils"], capture_output=True, text=True, check=False)
    # dnf looked at the signature of repomd.xml with a gpg of its own, whose agent it leaves behind.
    for ring in tmp_path.rglob("pubring"):
        subprocess.run(["gpgconf", "--homedir", ring, "--kill", "gpg-agent"], check=True)

    assert done.stdout.splitlines() == [f"openstack-utils-0:{__version__}-1.fx12.noarch"], done.stderr


def test_unchanged_repository_is_left_alone(repository: Path, home: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in repository.rglob("*")}

    done = builder(*WORDS, "--local-key", cwd=home)

    assert "repository  fixture-12, unchanged" in done.stderr
    assert {path: path.stat().st_mtime_ns for path in repository.rglob("*")} == before


def test_unsigned_repository_says_so(tmp_path: Path) -> None:
    done = builder(*WORDS, cwd=tmp_path)

    repository = tmp_path / "out" / "rpm" / "fixture-12" / "repo"
    assert "unsigned" in done.stderr
    assert "gpgcheck=0" in (repository / "openstack-fixture-12.repo").read_text()
    assert not (repository / "RPM-GPG-KEY-local").exists()
