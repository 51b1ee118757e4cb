# SPDX-License-Identifier: MIT
"""openstack-builder check-rpm on real RPMs, as a user would run it."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.rig.fixture.synthetic import SyntheticRepository
from tests.support.rpm_tool import ROOT, builder, the_rpm

pytestmark = pytest.mark.skipif(shutil.which("rpmbuild") is None, reason="rpmbuild is not installed")

TARGETS = ("epel-6", "epel-9", "fixture-12")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with openstack-utils for three targets."""
    folder = tmp_path_factory.mktemp("check")
    builder("rpm", "openstack-utils", *(word for name in TARGETS for word in ("-t", name)), cwd=folder)
    return folder


def test_our_own_package_has_no_error_and_no_warning(built: Path) -> None:
    rpms = sorted((built / "out").rglob("*.rpm"))

    done = builder("check-rpm", *rpms, "--json", cwd=built)

    findings = json.loads(done.stdout)
    assert [one for one in findings if one["level"] != "unknown"] == []
    # Whether EL 9 has PyMySQL nobody of ours has seen; what is unknown fails only where it is asked to.
    assert {(one["target"], one["id"], one["detail"]) for one in findings} == {
        ("epel-9", "unknown-requirement", "python3-PyMySQL")
    }
    assert builder("check-rpm", *rpms, "--strict", cwd=built, ok=False).returncode == 1


def test_services_of_essex_pass(tmp_path: Path) -> None:
    builder("rpm", "openstack-*", "-t", "epel-6", "-t", "fedora-17", cwd=tmp_path)
    rpms = sorted((tmp_path / "out").rglob("*.rpm"))

    findings = json.loads(builder("check-rpm", *rpms, "--json", cwd=tmp_path).stdout)

    assert {rpm.parent.name for rpm in rpms} == {"epel-6", "fedora-17"}
    assert [one for one in findings if one["level"] == "error"] == []
    # That python-keystone and the others exist there is unproven, and reported as such.
    assert ("fedora-17", "python-keystone") in {(one["target"], one["detail"]) for one in findings}


def test_package_for_another_target_is_found_out(built: Path) -> None:
    done = builder("check-rpm", the_rpm(built, "epel-9"), "--target", "epel-6", cwd=built, ok=False)

    reported = {line.split(": ")[2] for line in done.stdout.splitlines()}
    assert done.returncode == 1
    assert {"unreadable-payload", "python-in-wrong-folder", "wrong-interpreter", "other-dist-tag"} <= reported


def test_repository_shows_what_is_not_satisfied(built: Path, synthetic: SyntheticRepository) -> None:
    rpm = the_rpm(built, "fixture-12")
    words = ("check-rpm", rpm, "--against", synthetic.folder, "--json")

    findings = json.loads(builder(*words, cwd=built, ok=False).stdout)

    lacking = {one["detail"] for one in findings if one["id"] == "unsatisfied-requirement"}
    assert lacking == {"python3-pymysql"} | ({"/usr/bin/python3", "python3"} & lacking)
    assert [one for one in findings if one["level"] == "unknown"] == []


WRONG = {
    "no file": ([], 2, "no RPM is named"),
    "absent": (["nix.rpm"], 2, "nix.rpm: no such file or directory"),
    "no RPM": (["/etc/passwd"], 2, "/etc/passwd: not an RPM, or a damaged one"),
    "damaged": (["half.rpm"], 2, "half.rpm: not an RPM, or a damaged one"),
    "unknown target": (["half.rpm", "--target", "epel-99"], 2, "unknown target: epel-99"),
    "no repository": (["whole.rpm", "--against", "."], 2, "--against .: not a repository"),
    "repository that does not answer": (["whole.rpm", "--against", "http://127.0.0.1:9/"], 5,
                                        "--against http://127.0.0.1:9/: "),
    "unknown check": (["--explain", "wrong-mod"], 2, "unknown check: wrong-mod"),
}  # fmt: skip


@pytest.mark.parametrize(("words", "code", "message"), WRONG.values(), ids=WRONG.keys())
def test_bad_input_is_one_clear_line(
    built: Path, tmp_path: Path, words: list[str], code: int, message: str
) -> None:
    whole = the_rpm(built, "epel-9").read_bytes()
    (tmp_path / "whole.rpm").write_bytes(whole)
    (tmp_path / "half.rpm").write_bytes(whole[: len(whole) // 2])

    done = builder("check-rpm", *words, cwd=tmp_path, ok=False)

    errors = [line for line in done.stderr.splitlines() if line.startswith("error:")]
    assert done.returncode == code, done.stderr
    assert len(errors) == 1
    assert message in errors[0]
    assert done.stdout == ""


def test_package_of_no_target_needs_one(tmp_path: Path) -> None:
    spec = tmp_path / "a.spec"
    spec.write_text(
        "Name: a\nVersion: 1\nRelease: 1\nSummary: a\nLicense: MIT\nBuildArch: noarch\n"
        "%description\na\n%files\n"
    )
    subprocess.run(
        ["rpmbuild", "-bb", "--define", f"_topdir {tmp_path}", spec],
        check=True,
        capture_output=True,
        cwd=ROOT,
    )
    (rpm,) = tmp_path.rglob("*.noarch.rpm")

    done = builder("check-rpm", rpm, cwd=tmp_path, ok=False)

    assert done.returncode == 2
    assert "no target has the dist tag of release 1" in done.stderr
    assert "--target" in done.stderr


def test_a_check_is_explained(tmp_path: Path) -> None:
    done = builder("check-rpm", "--explain", "run-folder-is-lost-at-boot", cwd=tmp_path)

    assert done.stdout.startswith("run-folder-is-lost-at-boot (error)\n/run is a file system in memory")
