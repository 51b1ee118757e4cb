# SPDX-License-Identifier: MIT
"""openstack-python-bundled: how its spec is made, and that it agrees with the rest of the tree."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from builder.catalogue.load import load_catalogue
from builder.errors import InputError
from builder.places import SPECS
from builder.report import Report
from builder.rpm.build.plan import RunSettings, plan_builds
from builder.rpm.programs.bundle import (
    BEGIN,
    END,
    PinnedDistribution,
    find_projects,
    read_report,
    render_block,
    replace_block,
)  # fmt: skip
from builder.rpm.spec.packages import ENVIRONMENT, ENVIRONMENT_PYTHON, find_packages, pair
from builder.runner import Runner
from builder.targets import select

INDEX = "https://index.example/packages/aa"
ROOT = SPECS.parent


def report(*, is_direct: bool = False, **changes: object) -> str:
    archive = {"url": f"{INDEX}/Oslo.Config-1.0.post2.whl", "archive_info": {"hashes": {"sha256": "a" * 64}}}
    item = {"metadata": {"name": "Oslo.Config", "version": "1.0.post2"}, "download_info": archive | changes}
    return json.dumps({"install": [item | {"is_direct": is_direct}]})


def test_spec_gives_file_digest_and_version_as_rpm_has_it() -> None:
    block = render_block({"keystone": "30.0.0"}, read_report(report()))

    assert block.splitlines() == [
        "# For keystone 30.0.0.",
        f"# sha256: {'a' * 64}",
        "Source:           Oslo.Config-1.0.post2.whl",
        "Provides:         bundled(python3dist(oslo-config)) = 1.0^post2",
    ]


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"is_direct": True}, id="named by its address"),
        pytest.param({"archive_info": {}}, id="no digest"),
    ],
)
def test_only_files_of_an_index_with_a_digest_are_taken(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="not a file of an index with a sha256"):
        read_report(report(**changes))


def test_the_rest_of_the_spec_stays() -> None:
    assert replace_block(f"a\n{BEGIN}old\n{END}b\n", "new\n") == f"a\n{BEGIN}new\n{END}b\n"
    with pytest.raises(ValueError, match="marks"):
        replace_block(f"a\n{BEGIN}", "new\n")


def bundled() -> dict[str, PinnedDistribution]:
    """Return what the spec in the tree bundles, by name."""
    text = (SPECS / f"{ENVIRONMENT}.spec").read_text()
    rows = re.findall(
        r"^# sha256: ([0-9a-f]{64})\nSource: +(\S+)\nProvides: +bundled\(python3dist\((\S+)\)\) = (\S+)$",
        text,
        re.MULTILINE,
    )
    return {
        name: PinnedDistribution(name=name, version=version.replace("^", "."), file=url, sha256=sha256)
        for sha256, url, name, version in rows
    }


def test_each_file_is_of_the_version_provided_and_for_the_python_of_the_environment() -> None:
    assert len(bundled()) > 100
    for name, distribution in bundled().items():
        file = distribution.file
        stem = re.sub(r"[-_.]+", "-", file).lower()
        assert stem.startswith(f"{name}-{distribution.version}-".replace(".", "-")), file
        if file.endswith(".whl"):
            python, abi, platform = file.removesuffix(".whl").split("-")[-3:]
            assert abi in ("none", "abi3", "cp" + ENVIRONMENT_PYTHON.replace(".", "")), file
            assert platform == "any" or "manylinux" in platform, file
            assert python.startswith(("py3", "py2.py3", "cp3")), file


def test_it_was_resolved_for_the_releases_of_the_catalogue() -> None:
    text = (SPECS / f"{ENVIRONMENT}.spec").read_text()
    projects = find_projects(load_catalogue(SPECS))

    assert dict(re.findall(r"^# For (\S+) (\S+)\.$", text, re.MULTILINE)) == projects
    assert {"keystone", "glance"} <= projects.keys()
    assert projects.keys().isdisjoint(bundled())


@pytest.mark.parametrize(
    ("package", "target", "condition", "message"),
    [
        (ENVIRONMENT, "fedora-45", None, "its wheels are for Python 3.11, which fedora-45 does not have"),
        (
            "openstack-keystone",
            "fedora-45",
            "bundled",
            "openstack-keystone cannot be built with dependencies bundled for fedora-45",
        ),
        ("openstack-nova", "fixture-12", "bundled", "--with bundled: no such condition in the spec of"),
        ("openstack-keystone", "fixture-12", "bundle", "--with bundle: no such condition in the spec of"),
    ],
)
def test_what_cannot_be_bundled_is_refused(
    package: str, target: str, condition: str | None, message: str, tmp_path: Path
) -> None:
    conditions = (condition,) if condition else ()
    settings = RunSettings(root=ROOT, rpm="4.18.0", out=tmp_path, conditions=conditions)

    with pytest.raises(InputError, match=re.escape(message)):
        plan_builds(
            pair(find_packages(ROOT, [package]), select([target]), named=[package, target]),
            settings,
            Runner(Report(quiet=True)),
        )
