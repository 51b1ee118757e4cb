# SPDX-License-Identifier: MIT
"""Specs for the environment of the services, read and built as mock and Koji do: without macros of our own.

tests/support/macros_like_fedoras stands for the macros of Fedora and EL; its comments say for which of them.
"""

from __future__ import annotations

import io
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from builder.places import SPECS
from builder.report import Report
from builder.rpm.spec.macros import macro_options
from builder.rpm.spec.packages import ENVIRONMENT, Package, find_packages
from builder.runner import Runner
from builder.targets import Target, TargetFamily, load_targets
from tests.support.rpm_tool import ROOT, builder, query

pytestmark = pytest.mark.skipif(shutil.which("rpmbuild") is None, reason="rpmbuild is not installed")

MACROS = Path(__file__).parents[1] / "support" / "macros_like_fedoras"
RUNNER = Runner(Report(err=io.StringIO()))
TARGETS = [target for target in load_targets() if target.environment]
PACKAGES = [
    package
    for package in find_packages(ROOT, ["openstack-*"])
    if package.name == ENVIRONMENT or package.release == "current"
]
# rpm's macros for each family, by which a spec knows where it is built.
NAMES = {TargetFamily.FEDORA: "fedora", TargetFamily.EL: "rhel", TargetFamily.FIXTURE: "fixture"}


def options(target: Target) -> list[str]:
    """Return the options by which rpm takes itself for the target's."""
    defines = {NAMES[target.family]: target.releasever, "dist": target.dist}
    words = [word for name, text in defines.items() for word in ("--define", f"{name} {text}")]
    systemd = [SPECS / "macros" / name for name in target.rpm.macros if name.startswith("systemd-")]
    return [*macro_options(":".join(map(str, (MACROS, *systemd))), RUNNER), *words]


def interpreter_of(target: Target) -> Path:
    """Return the interpreter of a target that runs the services."""
    assert target.environment is not None
    return Path(f"/usr/bin/python{target.environment.version}")


def read(package: Package, target: Target, *words: str) -> str:
    """Return what rpm of the target makes of a spec."""
    argv = ["rpmspec", *words, *options(target), str(package.spec)]
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("target", TARGETS, ids=[target.name for target in TARGETS])
@pytest.mark.parametrize("package", PACKAGES, ids=[package.name for package in PACKAGES])
def test_nothing_is_asked_of_the_macros_for_the_python_of_the_target(
    package: Package, target: Target
) -> None:
    interpreter = str(interpreter_of(target))
    text = read(package, target, "--parse")

    assert "TARGETS-OWN-PYTHON" not in text
    assert re.findall(r"%\{?\??(?:pyproject|py3?_|python3|__python)\w*", text) == []
    assert f"{interpreter} -IS " in text
    assert "BUILDER_PYTHON" not in text
    required = read(package, target, "--query", "--buildrequires").split("\n")
    assert interpreter in required
    assert [line for line in required if "python" in line] == [interpreter]


@pytest.mark.parametrize("package", PACKAGES, ids=[package.name for package in PACKAGES])
def test_no_macro_of_the_target_becomes_another(package: Package) -> None:
    """But for the policies and generators that are to leave the environment alone."""
    defined = set(re.findall(r"^%(?:global|define) +(\w+)", package.text, re.MULTILINE))

    assert {name for name in defined if re.match(r"_*(python|py3|pyproject|prefix|bindir|libdir)", name)} <= {
        "__pythondist_path",
        "__pythonname_path",
    }


def test_where_no_python_is_known_the_spec_says_so() -> None:
    for package in PACKAGES:
        argv = ["rpmspec", "--parse", *macro_options(MACROS, RUNNER), "--define", "fedora 99", package.spec]
        done = subprocess.run(argv, capture_output=True, text=True, check=False)

        assert done.returncode != 0
        assert re.search("no Python (is known )?that runs it on this distribution", done.stderr), done.stderr


def fixture_of_this_host() -> Target | None:
    """Return the fixture whose Python for the services this host has."""
    fixtures = [target for target in TARGETS if target.family is TargetFamily.FIXTURE]
    return next((target for target in fixtures if interpreter_of(target).exists()), None)


def attributes(folder: Path) -> Path:
    """Return a folder of dependency generators: this rpm's, and names for those of the stand-in."""
    made = folder / "fileattrs"
    made.mkdir()
    config = subprocess.run(
        ["rpm", "--eval", "%{_fileattrsdir}"], capture_output=True, text=True, check=True
    ).stdout.strip()
    for path in Path(config).glob("*.attr"):
        (made / path.name).touch()
    for name in ("pythondist", "pythonname"):
        (made / f"{name}.attr").touch()
    return made


FACTS = ("--qf", "[%{FILENAMES} %{FILEMODES:octal} %{FILEUSERNAME} %{FILELINKTOS} %{FILEDIGESTS}\n]")


def facts(rpm: Path, what: str) -> list[str]:
    """Return what rpm says of a package, but for how this rpm compresses it."""
    return [line for line in query(rpm, what) if not line.startswith("rpmlib(")]


@pytest.mark.parametrize("name", ["openstack-placement", pytest.param(ENVIRONMENT, marks=pytest.mark.slow)])
def test_source_rpm_of_ours_is_built_to_the_same_package_without_macros_of_ours(
    name: str, tmp_path: Path
) -> None:
    """Whatever %files lists is made by %install, and all of it is listed: rpmbuild fails otherwise."""
    target = fixture_of_this_host()
    if target is None:
        pytest.skip("this host has the Python of no fixture distribution")
    builder("rpm", name, "-t", target.name, cwd=tmp_path)
    ours = tmp_path / "out/rpm" / target.name
    (source,) = ours.glob("*.src.rpm")
    topdir = tmp_path / "topdir"

    done = subprocess.run(
        ["rpmbuild", "--rebuild", "--nodeps", *options(target), "--define", f"_topdir {topdir}",
         "--define", f"_fileattrsdir {attributes(tmp_path)}", source],
        capture_output=True, text=True, check=False, env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)},
    )  # fmt: skip

    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    built = {path.name: path for path in topdir.rglob("*.rpm")}
    assert built.keys() == {path.name for path in ours.glob("*.rpm") if path != source}
    for file, path in built.items():
        if "bundled" not in file:
            assert query(path, *FACTS) == query(ours / file, *FACTS)
        assert query(path, "-l") == query(ours / file, "-l")
        for what in ("--provides", "--requires", "--scripts"):
            assert facts(path, what) == facts(ours / file, what), (file, what)
