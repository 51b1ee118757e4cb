# SPDX-License-Identifier: MIT
"""Every project of today's release, built from its sdist: what the catalogue says is run is in its RPMs."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from builder.catalogue.load import load_catalogue
from builder.catalogue.model import ProjectRelease
from builder.places import SPECS
from builder.targets import find_target
from tests.support.rpm_tool import builder, query

# Nine sdists of 45 MB, and the real rpmbuild of each.
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("rpmbuild") is None, reason="rpmbuild is not installed"),
]

TARGET = find_target("fixture-12")
PROJECTS = {
    name: project.releases["current"]
    for name, project in load_catalogue(SPECS).projects.items()
    if "current" in project.releases and project.releases["current"].rpm
}


@pytest.fixture(scope="module")
def trees(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the files of all RPMs of each project, below the project's name."""
    folder = tmp_path_factory.mktemp("projects")
    packages = [facts.rpm.name for facts in PROJECTS.values() if facts.rpm]
    builder("rpm", *packages, "-t", TARGET.name, "--without", "bundled", cwd=folder)
    for name, facts in PROJECTS.items():
        for rpm in rpms_of(folder, facts):
            unpack(rpm, folder / name)
    return folder


def rpms_of(folder: Path, facts: ProjectRelease) -> Iterator[Path]:
    """Return the RPMs that were built from a project's source RPM."""
    assert facts.rpm
    source = f"{facts.rpm.name}-{facts.rpm.version}-"
    for path in sorted((folder / "out/rpm" / TARGET.name).glob("*.noarch.rpm")):
        if query(path, "--qf", "%{SOURCERPM}")[0].startswith(source):
            yield path


def unpack(rpm: Path, folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    archive = folder / "cpio"
    with archive.open("wb") as stream:
        subprocess.run(["rpm2cpio", rpm], stdout=stream, check=True)
    with archive.open("rb") as stream:
        subprocess.run(["cpio", "-idmu", "--quiet"], stdin=stream, cwd=folder, check=True)
    archive.unlink()


def programs(facts: ProjectRelease) -> set[str]:
    """Return the programs that the catalogue runs."""
    services = facts.services.values()
    paths = {
        argv[0] for service in services for argv in (service.run, service.instance, service.stop) if argv
    }
    commands = [sync.run[0] for sync in facts.sync] + ([facts.check.run[0]] if facts.check else [])
    return paths | {f"/usr/bin/{name}" for name in commands}


@pytest.mark.parametrize("name", PROJECTS)
def test_programs_of_units_and_of_openstack_db_are_there_and_find_their_code(trees: Path, name: str) -> None:
    for path in programs(PROJECTS[name]):
        script = trees / name / path.lstrip("/")
        assert script.is_file(), path
        text = script.read_text()
        if match := re.search(r"^from (\S+) import \w+$", text, re.MULTILINE):
            assert text.startswith("#!/usr/bin/python3 -sP\n")
            module = (
                trees / name / str(TARGET.python and TARGET.python.sitelib)[1:] / match[1].replace(".", "/")
            )
            assert module.with_suffix(".py").is_file() or (module / "__init__.py").is_file(), match[0]


@pytest.mark.parametrize("name", PROJECTS)
def test_applications_that_uwsgi_runs_are_there(trees: Path, name: str) -> None:
    assert TARGET.python
    for service in PROJECTS[name].services.values():
        if service.wsgi:
            module = trees / name / str(TARGET.python.sitelib)[1:] / service.wsgi.file
            _, _, variable = service.wsgi.module.partition(":")
            assert re.search(rf"^(def )?{variable}\b", module.read_text(), re.MULTILINE), service.wsgi.module


@pytest.mark.parametrize("name", PROJECTS)
def test_code_is_provided_with_dependencies_and_uncompiled(trees: Path, name: str) -> None:
    facts = PROJECTS[name]
    assert facts.rpm
    (code,) = [path for path in rpms_of(trees, facts) if path.name.startswith(f"{facts.rpm.code}-")]

    version = re.sub(r"(\.0)+$", "", facts.rpm.version)
    assert any(re.fullmatch(rf"python3dist\(\S+\) = {version}", line) for line in query(code, "--provides"))
    requires = [line for line in query(code, "--requires") if "python3.11dist(" in line]
    assert len(requires) > 5
    assert not [line for line in query(code, "-l") if line.endswith((".pyc", ".pyo"))]
