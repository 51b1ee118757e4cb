# SPDX-License-Identifier: MIT
"""Several packages for several targets: which pairs there are, side by side, each reported, none twice."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from pathlib import Path

import pytest

from builder.targets import load_targets
from tests.support.rpm_tool import ROOT, builder, query

pytestmark = pytest.mark.skipif(shutil.which("rpmbuild") is None, reason="rpmbuild is not installed")

SPEC = """\
Name:           {name}
Version:        1.5
Release:        1%{{?dist}}
Summary:        A small package
License:        MIT
{sources}
BuildArch:      noarch

%description
It is small.

%install
install -d %{{buildroot}}%{{_datadir}}/%{{name}}
{install}

%files
%{{_datadir}}/%{{name}}

%changelog
* Sun Nov 22 2026 Somebody <somebody@example.com> - 1.5-1
- First
"""
# openstack-big is of both releases, openstack-new of current only; both take a file next to the spec.
INSTALL = "install -p -m 644 %{SOURCE0} %{buildroot}%{_datadir}/%{name}"


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A checkout with small specs of two releases, and the rest of specs/ as it is."""
    specs = tmp_path / "source" / "specs"
    for release, name in (("essex", "big"), ("current", "big"), ("current", "new")):
        folder = specs / release
        (folder / f"openstack-{name}").mkdir(parents=True)
        text = SPEC.format(name=f"openstack-{name}", sources="Source0: unit.service", install=INSTALL)
        (folder / f"openstack-{name}.spec").write_text(text)
        (folder / f"openstack-{name}" / "unit.service").write_text(f"[Unit]\nDescription={release}\n")
    shutil.copy(ROOT / "specs" / "openstack-utils.spec", specs)
    return specs.parent


def rpms(folder: Path) -> list[str]:
    """Return the RPMs that were built, as target/name."""
    return sorted(f"{path.parent.name}/{path.name}" for path in (folder / "out/rpm").glob("*/*.noarch.rpm"))


def test_globs_build_every_pair_of_the_matrix(tree: Path, tmp_path: Path) -> None:
    words = ("rpm", "openstack-[bn]*", "-t", "epel-[69]", "-t", "fedora-4*", "--source", tree)
    done = builder(*words, "--json", cwd=tmp_path)

    assert rpms(tmp_path) == [
        "epel-6/openstack-big-1.5-1.el6.noarch.rpm",
        "epel-9/openstack-big-1.5-1.el9.noarch.rpm",
        "epel-9/openstack-new-1.5-1.el9.noarch.rpm",
        "fedora-44/openstack-big-1.5-1.fc44.noarch.rpm",
        "fedora-44/openstack-new-1.5-1.fc44.noarch.rpm",
        "fedora-45/openstack-big-1.5-1.fc45.noarch.rpm",
        "fedora-45/openstack-new-1.5-1.fc45.noarch.rpm",
    ]
    lines = [line for line in done.stderr.splitlines() if re.match(r"\[\d/7\] rpm ", line)]
    assert [line[:5] for line in lines] == [f"[{number}/7]" for number in range(1, 8)]
    assert len(json.loads(done.stdout)) == 7
    again = builder(*words, cwd=tmp_path)
    assert again.stderr.count("unchanged") == 7

    # One file next to one spec: its build is the only one that has other input.
    (tree / "specs/current/openstack-new/unit.service").write_text("[Unit]\nDescription=other\n")
    again = builder(*words, cwd=tmp_path)
    assert again.stderr.count("unchanged") == 4
    payload = tmp_path / "out/rpm/fedora-44/openstack-new-1.5-1.fc44.noarch.rpm"
    assert query(payload, "--qf", "[%{FILESIZES} ]")[0].split()[-1] == str(len("[Unit]\nDescription=other\n"))


def test_largest_sources_are_built_first_and_reported_in_their_order(tree: Path, tmp_path: Path) -> None:
    (tree / "specs/current/openstack-new/unit.service").write_text("[Unit]\n" + "# long\n" * 10_000)
    words = ("openstack-[bn]*", "-t", "epel-10", "-t", "epel-6", "--jobs", "1", "--source", tree)
    done = builder("rpm", *words, cwd=tmp_path)

    begun = re.findall(r"^\[\d/3\] rpm +openstack-(\w+ for [\w-]+)", done.stderr, re.MULTILINE)
    printed = [Path(line).name for line in done.stdout.splitlines()]
    assert begun[0] == "new for epel-10"
    assert sorted(begun[1:]) == ["big for epel-10", "big for epel-6"]
    assert [name.removeprefix("openstack-").removesuffix(".noarch.rpm") for name in printed] == [
        "big-1.5-1.el6",
        "big-1.5-1.el10",
        "new-1.5-1.el10",
    ]


REFUSED = {
    "release without the package": (["openstack-new", "-t", "epel-6"],
                                    "openstack-new cannot be built for epel-6: epel-6 gets release essex, "
                                    "which has no openstack-new"),
    "target without services": (["openstack-big", "-t", "epel-7"],
                                "openstack-big cannot be built for epel-7: epel-7 gets openstack-utils only"),
    "glob without a package": (["openstack-x*", "-t", "epel-6"], "no package matches: openstack-x*"),
    "glob without a pair": (["openstack-new", "-t", "epel-[67]"], "openstack-new cannot be built for epel-6"),
    "jobs": (["openstack-new", "-t", "epel-10", "--jobs", "0"], "--jobs must be at least 1, not 0"),
}  # fmt: skip


@pytest.mark.parametrize(("words", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_pair_outside_the_matrix_is_refused_with_the_reason(
    tree: Path, tmp_path: Path, words: list[str], message: str
) -> None:
    done = builder("rpm", *words, "--source", tree, cwd=tmp_path, ok=False)

    assert done.returncode == 2, done.stderr
    assert f"error: {message}" in done.stderr
    assert not (tmp_path / "out").exists()


def test_one_failure_keeps_none_of_the_others_from_being_built(tree: Path, tmp_path: Path) -> None:
    for release, line in (("essex", "echo first reason; false"), ("current", "echo second reason; false")):
        spec = tree / "specs" / release / "openstack-big.spec"
        spec.write_text(spec.read_text().replace("%install\n", f"%install\n{line}\n"))

    done = builder(
        "rpm", "openstack-[bn]*", "-t", "epel-6", "-t", "epel-10", "--source", tree, cwd=tmp_path, ok=False
    )

    errors = [line for line in done.stderr.splitlines() if line.startswith("error:")]
    assert done.returncode == 1
    assert errors == [
        "error: rpmbuild failed for openstack-big on epel-6: %install failed: first reason",
        "error: rpmbuild failed for openstack-big on epel-10: %install failed: second reason",
    ]
    assert done.stderr.count(" failed\n") == 2
    assert "openstack-new-1.5-1.el10.noarch.rpm" in done.stdout
    assert "first reason" in (tmp_path / "out/rpm/epel-6/openstack-big.log").read_text()
    assert rpms(tmp_path) == ["epel-10/openstack-new-1.5-1.el10.noarch.rpm"]


def test_source_elsewhere_is_fetched_and_checked(tree: Path, tmp_path: Path) -> None:
    far = tmp_path / "far-1.5.tar.gz"
    far.write_bytes(b"an archive")
    digest = hashlib.sha256(b"an archive").hexdigest()
    spec = tree / "specs/current/openstack-new.spec"
    text = spec.read_text()
    words = ("srpm", "openstack-new", "-t", "epel-10", "--source", tree)

    def with_source(line: str) -> None:
        spec.write_text(text.replace("BuildArch", f"{line}\nBuildArch", 1))

    where = f"file://{tmp_path}/far-%{{version}}.tar.gz"
    with_source(f"# sha256: {digest}\nSource1: {where}")
    builder(*words, cwd=tmp_path)
    (srpm,) = (tmp_path / "out/rpm/epel-10").glob("*.src.rpm")
    assert query(srpm, "-l") == ["far-1.5.tar.gz", "openstack-new.spec", "unit.service"]

    with_source(f"Source1: {where}")
    done = builder(*words, cwd=tmp_path, ok=False)
    assert done.returncode == 2
    assert re.search(r'openstack-new\.spec:7: Source1: needs a line "# sha256: …" above it', done.stderr)

    with_source(f"# sha256: {'0' * 64}\nSource1: {where}")
    done = builder(*words, cwd=tmp_path, ok=False)
    assert done.returncode == 2
    assert f"far-1.5.tar.gz: sha256 is {digest}, not {'0' * 64}" in done.stderr

    with_source("Source1: not-there.conf")
    done = builder(*words, cwd=tmp_path, ok=False)
    assert done.returncode == 2
    assert re.search(r"openstack-new\.spec:7: Source1: \S+ does not exist", done.stderr)
    # The source RPM of before is as it was.
    assert [path.name for path in (tmp_path / "out/rpm/epel-10").glob("*.rpm")] == [srpm.name]


def test_source_within_a_condition_counts_where_rpm_says_so(tree: Path, tmp_path: Path) -> None:
    spec = tree / "specs/current/openstack-new.spec"
    more = "%bcond_with more\n%if %{with more}\nSource1: more.conf\n%endif\nBuildArch"
    spec.write_text(spec.read_text().replace("BuildArch", more, 1))
    words = ("srpm", "openstack-new", "-t", "epel-10", "--source", tree)

    builder(*words, cwd=tmp_path)
    done = builder(*words, "--with", "more", cwd=tmp_path, ok=False)

    assert done.returncode == 2
    assert re.search(r"Source1: \S+ does not exist", done.stderr)
    (tree / "specs/current/openstack-new/more.conf").write_text("more\n")
    assert "unchanged" not in builder(*words, "--with", "more", cwd=tmp_path).stderr
    (srpm,) = (tmp_path / "out/rpm/epel-10").glob("*.src.rpm")
    assert "more.conf" in query(srpm, "-l")


@pytest.mark.slow
def test_the_whole_matrix_builds_and_passes_check_rpm(tmp_path: Path) -> None:
    builder("rpm", "*", "-t", "*", cwd=tmp_path)
    built = sorted((tmp_path / "out" / "rpm").glob("*/*.rpm"))
    assert {path.parent.name for path in built} == {target.name for target in load_targets()}

    done = builder("check-rpm", *built, "--json", cwd=tmp_path, ok=False)

    findings = json.loads(done.stdout)
    assert [one for one in findings if one["level"] == "error"] == []
    again = builder("rpm", "*", "-t", "*", cwd=tmp_path)
    reported = re.findall(r"^\[\d+/\d+\] rpm .*", again.stderr, re.MULTILINE)
    assert len(reported) > len(load_targets())
    assert [line for line in reported if ", unchanged" not in line] == []
