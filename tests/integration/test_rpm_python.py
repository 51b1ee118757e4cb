# SPDX-License-Identifier: MIT
"""python3-PROJECT: the code of an sdist, built for the Python of each target, with what its metadata says."""

from __future__ import annotations

import hashlib
import io
import os
import re
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest

from tests.support.rpm_tool import builder, query

pytestmark = pytest.mark.skipif(shutil.which("rpmbuild") is None, reason="rpmbuild is not installed")

SITELIB = {
    "fedora-45": "/usr/lib/python3.15/site-packages",
    "epel-10": "/usr/lib/python3.12/site-packages",
    "fixture-12": "/usr/lib/python3/dist-packages",
}
VERSION = {"fedora-45": "3.15", "epel-10": "3.12", "fixture-12": "3.11"}

EPOCH = "1790000000"

SDIST = {
    "pyproject.toml": """\
[build-system]
requires = ["setuptools"]
build-backend = "setuptools.build_meta"
[project]
name = "Spam.Cloud"
version = "1.2.0"
license-files = ["LICENSE"]
dependencies = [
    "oslo.config>=10.0.0",
    "ham~=2.4",
    "eggs!=1.5,>=1.0",
    "beans==3.1.*",
    "cheese<5",
    "kafka[fast]>=1.0rc1",
    "before; python_version < '3.12'",
    "since>=2; python_version >= '3.15'",
    "elsewhere; sys_platform == 'win32'",
]
[project.optional-dependencies]
ldap = ["python-ldap"]
[project.scripts]
spam-manage = "spam_cloud:main"
[tool.setuptools]
packages = ["spam_cloud"]
[tool.setuptools.data-files]
"etc/spam" = ["spam.conf"]
""",
    "LICENSE": "MIT\n",
    "spam.conf": "[DEFAULT]\n",
    "spam_cloud/__init__.py": "def main():\n    print('spam')\n",
}
SPEC = """\
Name:           openstack-spam
Version:        1.2.0
Release:        1%{{?dist}}
Summary:        Spam
License:        MIT
# sha256: {sha256}
Source0:        {url}
BuildArch:      noarch

%description
Spam.

%package -n python3-spam
Summary:        Spam in Python
%description -n python3-spam
Spam.

%prep
%autosetup -n spam_cloud-%{{version}}

%generate_buildrequires
%pyproject_buildrequires -R

%build
%pyproject_wheel

%install
%pyproject_install
%pyproject_save_files -l {module}
{install}
rm -r %{{buildroot}}%{{_prefix}}/etc

%files -n python3-spam -f %{{pyproject_files}}
%{{_bindir}}/spam-manage

%changelog
* Sun Nov 22 2026 Somebody <somebody@example.com> - 1.2.0-1
- First
"""


def make_checkout(folder: Path, *, module: str = "spam_cloud", install: str = "") -> Path:
    """Make a checkout with one spec, and the sdist that it names."""
    sdist = folder / "spam_cloud-1.2.0.tar.gz"
    with tarfile.open(sdist, "w:gz") as archive:
        for name, text in SDIST.items():
            member = tarfile.TarInfo(f"spam_cloud-1.2.0/{name}")
            member.size = len(text)
            archive.addfile(member, io.BytesIO(text.encode()))
    spec = folder / "source/specs/current/openstack-spam.spec"
    spec.parent.mkdir(parents=True)
    sha256 = hashlib.sha256(sdist.read_bytes()).hexdigest()
    url = f"file://{sdist}"
    spec.write_text(SPEC.format(sha256=sha256, url=url, module=module, install=install))
    return folder / "source"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with out/rpm/TARGET for three targets with a Python each."""
    folder = tmp_path_factory.mktemp("python")
    # A checkout around the work folders: pbr and setuptools could ask git for the files.
    subprocess.run(["git", "init", "-q", folder], check=True)
    source = make_checkout(folder)
    targets = [word for name in SITELIB for word in ("-t", name)]
    builder("rpm", "openstack-spam", *targets, "--source", source, cwd=folder, SOURCE_DATE_EPOCH=EPOCH)
    return folder


def the_rpm(folder: Path, target: str) -> Path:
    (path,) = (folder / "out/rpm" / target).glob("python3-spam-*.rpm")
    return path


@pytest.mark.parametrize("target", SITELIB)
def test_files_are_those_of_the_target_and_nothing_is_compiled(built: Path, target: str) -> None:
    sitelib = SITELIB[target]
    metadata = f"{sitelib}/spam_cloud-1.2.0.dist-info"

    assert sorted(query(the_rpm(built, target), "-l")) == [
        "/usr/bin/spam-manage",
        f"{sitelib}/spam_cloud",
        f"{sitelib}/spam_cloud-1.2.0.dist-info",
        f"{metadata}/INSTALLER",
        f"{metadata}/METADATA",
        f"{metadata}/WHEEL",
        f"{metadata}/entry_points.txt",
        f"{metadata}/licenses",
        f"{metadata}/licenses/LICENSE",
        f"{metadata}/top_level.txt",
        f"{sitelib}/spam_cloud/__init__.py",
    ]
    assert query(the_rpm(built, target), "--licensefiles") == [f"{metadata}/licenses/LICENSE"]


def test_command_runs_with_the_interpreter_of_the_target(built: Path, tmp_path: Path) -> None:
    archive = tmp_path / "cpio"
    with archive.open("wb") as stream:
        subprocess.run(["rpm2cpio", the_rpm(built, "fedora-45")], stdout=stream, check=True)
    with archive.open("rb") as stream:
        subprocess.run(["cpio", "-idm", "--quiet"], stdin=stream, cwd=tmp_path, check=True)

    command = tmp_path / "usr/bin/spam-manage"
    assert command.read_text().startswith("#!/usr/bin/python3 -sP\n")
    done = subprocess.run(
        ["python3", "-B", command],
        env={"PYTHONPATH": str(tmp_path) + SITELIB["fedora-45"], "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "spam\n"


@pytest.mark.parametrize(
    ("target", "of_this_python"),
    [
        ("fedora-45", {"python3.15dist(since) >= 2"}),
        ("epel-10", set()),
        ("fixture-12", {"python3.11dist(before)"}),
    ],
)
def test_dependencies_are_those_of_the_metadata_for_the_python_of_the_target(
    built: Path, target: str, of_this_python: set[str]
) -> None:
    """As Fedora's python3-rpm-generators writes them: names of PEP 503, versions without zeros at the end."""
    requires = {line for line in query(the_rpm(built, target), "--requires") if "dist(" in line}

    name = f"python{VERSION[target]}dist"
    assert requires == of_this_python | {
        f"{name}(oslo-config) >= 10",
        f"({name}(ham) >= 2.4 with {name}(ham) < 3)",
        f"(({name}(eggs) < 1.5 or {name}(eggs) > 1.5) with {name}(eggs) >= 1)",
        f"({name}(beans) >= 3.1 with {name}(beans) < 3.2)",
        f"{name}(cheese) < 5",
        f"{name}(kafka) >= 1~rc1",
        f"{name}(kafka[fast]) >= 1~rc1",
    }
    provides = {line for line in query(the_rpm(built, target), "--provides") if "dist(" in line}
    names = ("spam-cloud", "spam.cloud")
    assert provides == {f"{python}({spam}) = 1.2" for python in (name, "python3dist") for spam in names}


@pytest.mark.parametrize("target", SITELIB)
def test_the_very_python_is_required(built: Path, target: str) -> None:
    assert f"python(abi) = {VERSION[target]}" in query(the_rpm(built, target), "--requires")


def test_bytes_do_not_depend_on_folder_git_umask_or_time_zone(built: Path, tmp_path: Path) -> None:
    source = make_checkout(tmp_path)
    # The same URL: it is part of the spec.
    spec = Path("specs/current/openstack-spam.spec")
    (source / spec).write_bytes((built / "source" / spec).read_bytes())
    words = ("rpm", "openstack-spam", "-t", "epel-10", "--source", source)

    before = os.umask(0o077)
    try:
        builder(*words, cwd=tmp_path, SOURCE_DATE_EPOCH=EPOCH, TZ="Asia/Kolkata")
    finally:
        os.umask(before)

    for one in sorted((built / "out/rpm/epel-10").glob("*.rpm")):
        assert one.read_bytes() == (tmp_path / "out/rpm/epel-10" / one.name).read_bytes(), one.name


# What rpm cannot express: "~=" wants two numbers.
BAD_METADATA = (
    "sed -i 's/^Requires-Dist: ham.*/Requires-Dist: ham~=2/' %{buildroot}%{python3_sitelib}/*/METADATA"
)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        pytest.param(
            {"module": "nothere"}, r"/usr/lib/python3\.12/site-packages/nothere does not exist", id="module"
        ),
        pytest.param({"install": BAD_METADATA}, r"PYTHONDISTDEPS_GENERATORS_FAILED", id="dependency"),
    ],
)
def test_failure_is_shown_and_nothing_is_built(changes: dict[str, str], message: str, tmp_path: Path) -> None:
    source = make_checkout(tmp_path, **changes)

    done = builder("rpm", "openstack-spam", "-t", "epel-10", "--source", source, cwd=tmp_path, ok=False)

    assert done.returncode != 0
    assert re.search(message, done.stderr)
    assert not list((tmp_path / "out/rpm/epel-10").glob("*.rpm"))
