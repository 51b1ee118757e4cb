# SPDX-License-Identifier: MIT
"""openstack-python-bundled: how its lock is made and kept, and that it agrees with the rest of the tree."""

from __future__ import annotations

import json
import re
import zipfile
from itertools import chain
from pathlib import Path
from typing import Any

import pytest

from builder.catalogue.load import load_catalogue
from builder.cli.bundle import find_projects
from builder.errors import InputError
from builder.places import SPECS
from builder.report import Report
from builder.rpm.build.plan import RunSettings, plan_builds
from builder.rpm.bundle.lock import (
    BEGIN,
    END,
    license_of,
    read_lock,
    render_block,
    render_spdx,
    replace_block,
    tools_of,
)
from builder.rpm.bundle.metadata import find_license
from builder.rpm.bundle.parts import SPDX, SPEC, OfTheSystem, Part, PartsTable, read_table
from builder.rpm.bundle.resolve import read_report
from builder.rpm.spec.packages import ENVIRONMENT, find_packages, pair
from builder.runner import Runner
from builder.targets import load_targets, select

INDEX = "https://index.example/packages/aa"
ROOT = SPECS.parent


def report(*, is_direct: bool = False, **changes: object) -> str:
    archive = {"url": f"{INDEX}/Oslo.Config-1.0.post2.whl", "archive_info": {"hashes": {"sha256": "a" * 64}}}
    item = {"metadata": {"name": "Oslo.Config", "version": "1.0.post2"}, "download_info": archive | changes}
    return json.dumps({"install": [item | {"is_direct": is_direct}]})


def part(name: str, python: str = "any", version: str = "1.0", license: str = "MIT") -> Part:
    return Part(
        name=name,
        version=version,
        file=f"{name}-{version}-{python}.whl",
        sha256=f"{sum(map(ord, name + python)):064x}",
        license=license,
    )


def test_file_of_an_index_is_taken_with_its_digest() -> None:
    assert read_report(report()) == [("oslo-config", "1.0.post2", "Oslo.Config-1.0.post2.whl", "a" * 64)]


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


def test_what_all_pythons_share_stands_once_in_the_spec() -> None:
    lock = {
        "3.11": (part("aa"), part("bb", "cp311")),
        "3.12": (part("aa"), part("bb", "cp312", version="1.0"), part("cc")),
    }

    system = [
        OfTheSystem(name="thing", package="python3-thing", files=("thing.{abi}.so",), required=True),
        OfTheSystem(name="old", package="python3-old", files=("old.py",), pythons=("3.11",)),
    ]

    block = render_block({"keystone": "30.0.0"}, lock, system)

    assert re.sub(r"[0-9a-f]{64}", "…", block).splitlines() == [
        "# For keystone 30.0.0.",
        "# For Python 3.11, 3.12.",
        "License:          MIT",
        "# sha256: …",
        "Source100:        aa-1.0-any.whl",
        "Provides:         bundled(python3dist(aa)) = 1.0",
        '%if "%{environment_python}" == "3.11"',
        "# sha256: …",
        "Source101:        bb-1.0-cp311.whl",
        "Provides:         bundled(python3dist(bb)) = 1.0",
        "Requires:         python3-thing",
        "%global system_modules thing.cpython-311.so old.py",
        "%endif",
        '%if "%{environment_python}" == "3.12"',
        "# sha256: …",
        "Source102:        bb-1.0-cp312.whl",
        "Provides:         bundled(python3dist(bb)) = 1.0",
        "# sha256: …",
        "Source103:        cc-1.0-any.whl",
        "Provides:         bundled(python3dist(cc)) = 1.0",
        "Requires:         python3-thing",
        "%global system_modules thing.cpython-312.so",
        "%endif",
    ]
    assert read_lock(BEGIN + block + END, render_spdx(lock)) == lock


def test_python_of_each_target_stands_in_the_spec() -> None:
    """In that of the environment and in those of the services; the first is made again from the lock here."""
    block = render_block(
        find_projects(load_catalogue(SPECS)), LOCK, read_table().system.values(), load_targets()
    )

    assert replace_block(SPEC.read_text(), block) == SPEC.read_text(), "run `make lock`"


def test_code_is_built_with_the_same_tools_for_each_python() -> None:
    tools = {"3.11": (part("aa"), part("pbr"), part("setuptools")), "3.12": (part("pbr"), part("setuptools"))}
    assert [one.name for one in tools_of(tools)] == ["pbr", "setuptools"]

    for another in ((part("pbr"),), (part("pbr"), part("setuptools", version="2.0"))):
        with pytest.raises(ValueError, match="not one of each, the same for all Pythons"):
            tools_of({**tools, "3.12": another} if len(another) == 2 else {"3.12": another})


def test_licence_of_all_has_each_once_and_choices_in_brackets() -> None:
    parts = [
        part("aa", license="MIT"),
        part("bb", license="Apache-2.0 OR MIT"),
        part("cc", license="Apache-2.0 AND MIT"),
        part("dd", license="Apache-2.0 OR MIT"),
    ]

    assert license_of(parts) == "Apache-2.0 AND MIT AND (Apache-2.0 OR MIT)"


def test_the_rest_of_the_spec_stays() -> None:
    assert replace_block(f"a\n{BEGIN}old\n{END}b\n", "new\n") == f"a\n{BEGIN}new\n{END}b\n"
    with pytest.raises(ValueError, match="marks"):
        replace_block(f"a\n{BEGIN}", "new\n")


TABLE = PartsTable(
    left_out={},
    system={},
    licenses={"known": "BSD-3-Clause"},
    classifiers={"License :: OSI Approved :: MIT License": "MIT"},
)


@pytest.mark.parametrize(
    ("name", "metadata", "license"),
    [
        pytest.param("known", "License: BSD", "BSD-3-Clause", id="of the table"),
        pytest.param("thing", "License-Expression: mit", "MIT", id="an expression"),
        pytest.param("thing", "License: Apache-2.0", "Apache-2.0", id="a name of SPDX"),
        pytest.param(
            "thing", "License: the usual\nClassifier: License :: OSI Approved :: MIT License", "MIT",
            id="a classifier",
        ),
    ],
)  # fmt: skip
def test_licence_is_read_in_the_metadata(name: str, metadata: str, license: str, tmp_path: Path) -> None:
    assert find_license(name, wheel(tmp_path, metadata), TABLE) == license


def test_licence_that_nobody_knows_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match='thing: of its licence the metadata says "BSD", which is not one'):
        find_license("thing", wheel(tmp_path, "License: BSD"), TABLE)


def wheel(folder: Path, metadata: str) -> Path:
    path = folder / "thing-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("thing-1.0.dist-info/METADATA", f"Name: thing\n{metadata}\n\ntext\n")
    return path


LOCK = read_lock(SPEC.read_text(), SPDX.read_text())


def test_there_is_a_lock_for_the_python_of_each_target_that_has_an_environment() -> None:
    pythons = {target.environment.version for target in load_targets() if target.environment}

    assert set(LOCK) == pythons
    assert all(len(parts) > 200 for parts in LOCK.values())


def glibc_of(platform: str) -> int:
    """Return N of the oldest glibc 2.N that a platform tag of a wheel asks for."""
    older = {"manylinux2014_x86_64": 17, "manylinux2010_x86_64": 12, "manylinux1_x86_64": 5}
    found = [older.get(tag) or int(tag.split("_")[2]) for tag in platform.split(".")]
    return min(found)


@pytest.mark.parametrize("python", LOCK)
def test_each_file_is_of_its_version_and_runs_with_the_python_and_the_glibc(python: str) -> None:
    glibcs = [
        t.environment.glibc for t in load_targets() if t.environment and t.environment.version == python
    ]
    oldest = min(int(glibc.split(".")[1]) for glibc in glibcs)
    for one in LOCK[python]:
        stem = re.sub(r"[-_.]+", "-", one.file).lower()
        assert stem.startswith(f"{one.name}-{one.version}".replace(".", "-")), one.file
        if not one.file.endswith(".whl"):
            continue
        tag, abi, platform = one.file.removesuffix(".whl").split("-")[-3:]
        assert {"none", "abi3", "cp" + python.replace(".", "")} & set(abi.split(".")), one.file
        assert tag.startswith(("py3", "py2.py3", "cp3")), one.file
        assert platform == "any" or glibc_of(platform) <= oldest, one.file


def test_what_has_no_wheel_is_the_same_for_all_and_few() -> None:
    """A source archive is built by the build: it must be pure Python, which no test of names can say."""
    archives = {one.name for one in chain(*LOCK.values()) if not one.file.endswith(".whl")}

    assert archives == {"ovs", "simplegeneric"}


def test_it_was_resolved_for_the_releases_of_the_catalogue() -> None:
    projects = find_projects(load_catalogue(SPECS))

    assert dict(re.findall(r"^# For ([a-z]\S+) (\S+)\.$", SPEC.read_text(), re.MULTILINE)) == projects
    assert {"keystone", "nova", "horizon"} <= projects.keys()
    for parts in LOCK.values():
        assert projects.keys().isdisjoint(one.name for one in parts)


def test_what_the_table_leaves_out_is_not_there_and_its_licences_are_of_parts() -> None:
    table = read_table()
    for python, parts in LOCK.items():
        assert not {one.name for one in parts} & set(table.left_out_of(python))
    assert table.licenses.keys() <= {one.name for one in chain(*LOCK.values())}
    for name, row in (*table.left_out.items(), *table.system.items()):
        assert set(row.pythons) <= LOCK.keys(), name


def test_a_target_without_packages_for_its_python_cannot_do_without(tmp_path: Path) -> None:
    settings = RunSettings(root=ROOT, rpm="4.18.0", out=tmp_path, without=("bundled",))
    name, target = "openstack-keystone", "epel-9"

    with pytest.raises(
        InputError, match="openstack-keystone cannot be built --without bundled for epel-9"
    ) as caught:
        plan_builds(
            pair(find_packages(ROOT, [name]), select([target]), named=[name, target]),
            settings,
            Runner(Report(quiet=True)),
        )

    assert caught.value.problems[0].hint == "leave out --without bundled"


@pytest.mark.parametrize(
    ("package", "target", "condition", "message"),
    [
        (ENVIRONMENT, "epel-7", None, "epel-7 has no Python that it is made for"),
        (
            "openstack-keystone",
            "epel-6",
            "bundled",
            "--with bundled: no such condition in the spec of openstack-keystone",
        ),
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


def test_gunicorn_serves_where_uwsgi_is_left_out() -> None:
    """The templates of the specs say so for the Pythons that the table says."""
    template = (SPECS / "templates" / "spec.j2").read_text()
    (row,) = (row for name, row in read_table().left_out.items() if name == "pyuwsgi")

    assert re.findall(r'%if "%{environment_python}" == "([\d.]+)"\n +sed .*gunicorn', template) == list(
        row.pythons
    )
