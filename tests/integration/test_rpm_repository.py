# SPDX-License-Identifier: MIT
"""The repository that openstack-builder rpm --repo makes, as rpm, gpg and dnf see it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from builder import __version__
from builder.rpm.repository.metadata import Compression, find_faults
from tests.support.rpm_tool import builder

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
    # dnf looked at the signature of repomd.xml with a gpg of its own, whose agent it leaves running.
    for ring in tmp_path.rglob("pubring"):
        subprocess.run(["gpgconf", "--homedir", ring, "--kill", "gpg-agent"], check=True)

    assert done.stdout.splitlines() == [f"openstack-utils-0:{__version__}-1.fx12.noarch"], done.stderr


def test_unchanged_repository_is_left_alone(repository: Path, home: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in repository.rglob("*")}

    done = builder(*WORDS, "--local-key", cwd=home)

    assert "repository  fixture-12, 1 packages, unchanged" in done.stderr
    assert {path: path.stat().st_mtime_ns for path in repository.rglob("*")} == before


def test_unsigned_repository_says_so(tmp_path: Path) -> None:
    done = builder(*WORDS, cwd=tmp_path)

    repository = tmp_path / "out" / "rpm" / "fixture-12" / "repo"
    assert "unsigned" in done.stderr
    assert "gpgcheck=0" in (repository / "openstack-fixture-12.repo").read_text()
    assert not (repository / "RPM-GPG-KEY-local").exists()


@pytest.fixture
def built(home: Path, tmp_path: Path) -> Path:
    """A folder with the RPMs of two targets in folders of their own, and what is left of no build."""
    (tmp_path / "rpms" / "el9").mkdir(parents=True)
    (tmp_path / "rpms" / "el8").mkdir()
    (tmp_path / "rpms" / "empty").mkdir()
    builder("rpm", "openstack-utils", "-t", "epel-8", "-t", "epel-9", cwd=home)
    for number in (8, 9):
        for rpm in (home / "out" / "rpm" / f"epel-{number}").glob("*.rpm"):
            shutil.copy(rpm, tmp_path / "rpms" / f"el{number}")
    return tmp_path / "rpms"


def test_folder_of_folders_gives_a_repository_a_target(built: Path, home: Path) -> None:
    words = ("repo", built, "--local-key", "--url", "https://mirror.example/openstack/", "--json")

    done = builder(*words, cwd=built, XDG_CACHE_HOME=str(home / "cache"))

    rows = json.loads(done.stdout)
    assert [(row["target"], row["changed"]) for row in rows] == [("epel-8", True), ("epel-9", True)]
    assert rows[1]["packages"] == [f"openstack-utils-{__version__}-1.el9.noarch.rpm"]
    repository = built / "el9" / "repo"
    text = (repository / "openstack-epel-9.repo").read_text()
    assert "baseurl=https://mirror.example/openstack/epel-9\n" in text
    assert "gpgkey=https://mirror.example/openstack/epel-9/RPM-GPG-KEY-local\n" in text
    groups = subprocess.run(
        f"zcat -f {repository}/repodata/*comps.xml.gz || cat {repository}/repodata/*comps.xml",
        shell=True, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    assert "<id>openstack-utils</id>" in groups
    assert '<packagereq type="default">openstack-utils</packagereq>' in groups
    again = builder(*words, cwd=built, XDG_CACHE_HOME=str(home / "cache"))
    assert [row["changed"] for row in json.loads(again.stdout)] == [False, False]


# list() of each: a loop over one of libcomps 0.1.21 ends by SIGSEGV, as `dnf group` of Debian 13 does.
GROUPS = """\
import sys, dnf
base = dnf.Base()
base.conf.installroot = base.conf.cachedir = base.conf.logdir = sys.argv[1]
base.conf.substitutions["releasever"] = "9"
base.repos.add_new_repo("mine", base.conf, baseurl=[sys.argv[2]])
base.fill_sack(load_system_repo=False)
base.read_comps(arch_filter=True)
for group in list(base.comps._i.groups):
    print(group.id, group.name, *(one.name for one in list(group.packages)), sep="; ")
"""


@pytest.mark.skipif(shutil.which("dnf") is None, reason="dnf is not installed")
def test_dnf_knows_the_group(built: Path, tmp_path: Path) -> None:
    builder("repo", built / "el9", cwd=built)
    url = (built / "el9" / "repo").as_uri()

    argv = ["/usr/bin/python3", "-c", GROUPS, tmp_path, url]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)

    assert done.stdout == "openstack-utils; OpenStack utilities; openstack-utils\n", done.stderr


def new_key(folder: Path, name: str, *, passphrase: str = "") -> Path:
    """Make a key; return the folder that gpg finds it in."""
    home = folder / "gpg"
    home.mkdir(mode=0o700)
    gpg = ["gpg", "--homedir", str(home), "--batch", "--quiet", "--pinentry-mode", "loopback"]
    subprocess.run(
        [*gpg, "--passphrase", passphrase, "--quick-generate-key", name, "rsa2048", "sign"],
        check=True, capture_output=True,
    )  # fmt: skip
    subprocess.run(["gpgconf", "--homedir", home, "--kill", "gpg-agent"], check=True)
    return home


def test_packagers_own_key_signs_packages_and_metadata(built: Path, tmp_path: Path) -> None:
    home = new_key(tmp_path, "packager@example.com")

    builder("repo", built / "el9", "--sign", "packager@example.com", "--gnupghome", home, cwd=built)

    repository = built / "el9" / "repo"
    (rpm,) = repository.glob("*.rpm")
    keyring = ["rpmkeys", "--dbpath", str(tmp_path / "db")]
    subprocess.run([*keyring, "--import", repository / "RPM-GPG-KEY-local"], check=True)
    checked = subprocess.run([*keyring, "-K", rpm], capture_output=True, text=True, check=True)
    assert checked.stdout.strip() == f"{rpm}: digests signatures OK"
    assert (repository / "repodata" / "repomd.xml.asc").exists()
    assert "repo_gpgcheck=1" in (repository / "openstack-epel-9.repo").read_text()
    # What was built stays as it was: the signatures are on the copies.
    (original,) = (built / "el9").glob("*.noarch.rpm")
    # With an exit status of failure where rpm wants signatures (Fedora 45).
    checked = subprocess.run([*keyring, "-K", original], capture_output=True, text=True, check=False)
    assert "digests" in checked.stdout.lower()
    assert "signatures ok" not in checked.stdout.lower()


def test_failed_signing_leaves_the_old_repository_as_it_was(built: Path, tmp_path: Path) -> None:
    builder("repo", built / "el9", cwd=built)
    repository = built / "el9" / "repo"
    before = {path: path.read_bytes() for path in repository.rglob("*") if path.is_file()}
    # A key that cannot sign without its passphrase, and nobody to ask for it.
    home = new_key(tmp_path, "locked@example.com", passphrase="secret")

    done = builder(
        "repo", built / "el9", "--sign", "locked@example.com", "--gnupghome", home, cwd=built, ok=False
    )

    assert done.returncode == 1
    assert len([line for line in done.stderr.splitlines() if line.startswith("error:")]) == 1
    assert "error: rpmsign: signing failed: " in done.stderr
    assert "unlock the key there first" in done.stderr
    assert {path: path.read_bytes() for path in repository.rglob("*") if path.is_file()} == before
    assert [path.name for path in (built / "el9").glob(".openstack-builder-*")] == []


SPEC = """\
Name: small
Version: {version}
Release: 1.el9
Summary: Nothing much
License: MIT
BuildArch: noarch
%description
Nothing much.
%files
"""


@pytest.fixture
def signed(built: Path, tmp_path: Path) -> Path:
    """A signed repository of two packages, one of which is small and can be built again."""
    build_small(built / "el9", "1")
    builder("repo", built / "el9", "--local-key", cwd=tmp_path)
    return built / "el9" / "repo"


def build_small(folder: Path, version: str) -> None:
    """Put an RPM `small` into a folder, in the place of an older one."""
    for old in folder.glob("small-*.rpm"):
        old.unlink()
    spec = folder / "small.spec"
    spec.write_text(SPEC.format(version=version))
    places = ["--define", f"_topdir {folder}/top", "--define", f"_rpmdir {folder}", "--define",
              "_rpmfilename %%{NAME}-%%{VERSION}-%%{RELEASE}.%%{ARCH}.rpm"]  # fmt: skip
    subprocess.run(["rpmbuild", "-bb", "--quiet", *places, spec], check=True, capture_output=True)
    spec.unlink()
    shutil.rmtree(folder / "top")


def check_signatures(repository: Path, tmp_path: Path) -> None:
    """Check every package with the key of the repository, by rpm."""
    keyring = ["rpmkeys", "--dbpath", str(tmp_path / "db")]
    subprocess.run([*keyring, "--import", repository / "RPM-GPG-KEY-local"], check=True)
    rpms = sorted(repository.glob("*.rpm"))
    done = subprocess.run([*keyring, "-K", *rpms], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [f"{rpm}: digests signatures OK" for rpm in rpms]


# A signature has the second that it was made in: the same bytes are the same signature.
def utils_of(repository: Path) -> bytes:
    return next(repository.glob("openstack-utils-*.rpm")).read_bytes()


def wait_a_second() -> None:
    time.sleep(1.1)


def test_what_did_not_change_is_not_signed_again(signed: Path, built: Path, tmp_path: Path) -> None:
    before = utils_of(signed)
    build_small(built / "el9", "2")
    wait_a_second()

    builder("repo", built / "el9", "--local-key", cwd=tmp_path)

    assert utils_of(signed) == before
    assert [path.name for path in signed.glob("small-*")] == ["small-2-1.el9.noarch.rpm"]
    check_signatures(signed, tmp_path)


def test_signed_copy_that_is_harmed_is_made_anew(signed: Path, built: Path, tmp_path: Path) -> None:
    before = utils_of(signed)
    copies = list((tmp_path / "cache" / "openstack-builder" / "signed").iterdir())
    for path in copies:
        path.write_bytes(path.read_bytes()[:-1] + b"x")
    shutil.rmtree(signed)
    wait_a_second()

    builder("repo", built / "el9", "--local-key", cwd=tmp_path)

    assert len(copies) == 2
    assert utils_of(signed) != before
    check_signatures(signed, tmp_path)


def test_signed_copy_of_another_key_is_not_taken(signed: Path, built: Path, tmp_path: Path) -> None:
    home = new_key(tmp_path, "packager@example.com")

    builder("repo", built / "el9", "--sign", "packager@example.com", "--gnupghome", home, cwd=tmp_path)

    # Only its own key is there to check with.
    check_signatures(signed, tmp_path)


WRONG = {
    "no folder": (["nix"], "nix: no such folder"),
    "no RPM": (["empty"], "empty: no RPM in it"),
    "two targets": (["mixed"], "mixed: openstack-utils-2026.2-1.el8.noarch.rpm is for epel-8, "
                               "openstack-utils-2026.2-1.el9.noarch.rpm for epel-9"),
    "damaged": (["damaged"], "damaged/a.rpm: not an RPM, or a damaged one"),
    "no key": (["el9", "--sign", "nobody"], 'gpg has no secret key "nobody"'),
}  # fmt: skip


@pytest.mark.parametrize(("words", "message"), WRONG.values(), ids=WRONG.keys())
def test_bad_input_is_one_clear_line(built: Path, words: list[str], message: str) -> None:
    (built / "mixed").mkdir()
    for number in (8, 9):
        for rpm in (built / f"el{number}").glob("*.noarch.rpm"):
            shutil.copy(rpm, built / "mixed")
    (built / "damaged").mkdir()
    (built / "damaged" / "a.rpm").write_bytes(b"no rpm")

    done = builder("repo", *words, cwd=built, ok=False)

    errors = [line for line in done.stderr.splitlines() if line.startswith("error:")]
    assert done.returncode == 2, done.stderr
    assert len(errors) == 1
    assert message in errors[0]
    assert list(built.rglob("repo")) == []


def createrepos() -> list[str]:
    """Return the createrepo_c of this host, and a newer one where NEW_CREATEREPO_C names it."""
    return [path for path in (shutil.which("createrepo_c"), os.environ.get("NEW_CREATEREPO_C")) if path]


@pytest.mark.parametrize("program", createrepos())
@pytest.mark.parametrize(("target", "compression"), [("epel-8", "gz"), ("epel-10", "zstd")])
def test_metadata_is_what_the_target_reads(
    home: Path, program: str, target: str, compression: Compression, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", f"{Path(program).parent}:{os.environ['PATH']}")
    shutil.rmtree(home / "out" / "rpm" / target / "repo", ignore_errors=True)

    builder("rpm", "openstack-utils", "-t", target, "--repo", cwd=home)

    repodata = home / "out" / "rpm" / target / "repo" / "repodata"
    old = "Version: 0." in subprocess.check_output([program, "--version"], text=True)
    best = ".gz" if old or compression == "gz" else ".zst"
    assert {path.suffix for path in repodata.iterdir()} == {best, ".xml"}
    assert {"primary", "filelists", "other", "comps"} <= {
        path.name.split("-", 1)[1].split(".")[0] for path in repodata.glob("*-*")
    }
    assert list(find_faults(repodata.parent, compression)) == []


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (lambda repo: next(repo.glob("*.rpm")).write_bytes(b"other"), "sha256 of openstack-utils"),
        (lambda repo: next(repo.glob("*.rpm")).unlink(), "listed, but missing"),
        (lambda repo: shutil.copy(next(repo.glob("*.rpm")), repo / "more.rpm"), "present, but not listed"),
        (lambda repo: next(repo.glob("repodata/*primary*")).unlink(), "is not there"),
        (lambda repo: next(repo.glob("repodata/*primary*")).write_bytes(b"x"), "differs from repomd.xml"),
    ],
    ids=["other bytes", "missing RPM", "unlisted RPM", "missing metadata", "damaged metadata"],
)
def test_metadata_that_does_not_fit_is_found(built: Path, harm: Callable[[Path], object], said: str) -> None:
    builder("repo", built / "el8", cwd=built)
    repository = built / "el8" / "repo"

    harm(repository)

    assert said in "\n".join(find_faults(repository, "gz"))


def test_same_package_under_two_names_is_refused(built: Path) -> None:
    (rpm,) = (built / "el8").glob("*.noarch.rpm")
    shutil.copy(rpm, built / "el8" / "again.rpm")

    done = builder("repo", built / "el8", cwd=built, ok=False)

    assert done.returncode == 2
    assert f"again.rpm and {rpm.name} are the same file:" in done.stderr
    assert not (built / "el8" / "repo").exists()
