# SPDX-License-Identifier: MIT
"""Wheels made and spread for the Python of a target: builder.rpm.programs.pyproject."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from builder.places import SPECS
from builder.report import Report
from builder.rpm.build import plan
from builder.rpm.programs import pyproject
from builder.rpm.programs.pyproject import (
    Scheme,
    build_tools,
    build_wheel,
    fix_shebang,
    install_wheel,
    list_files,
)
from builder.rpm.spec.packages import find_packages, pair
from builder.runner import Runner
from builder.targets import select

METADATA = "Metadata-Version: 2.4\nName: Spam\nVersion: 1\nLicense-File: COPYING\n"
FILES = {
    "spam/__init__.py": "",
    "spam/data/a.txt": "a",
    "spam-1.data/data/etc/spam/spam.conf": "[DEFAULT]\n",
    "spam-1.data/scripts/spam-wsgi": "#!python\nprint()\n",
    "spam-1.data/scripts/spam-setup": "#!/bin/sh\n",
    "spam-1.data/purelib/ham.py": "",
    "spam-1.data/headers/spam.h": "",
    "spam-1.dist-info/METADATA": METADATA,
    "spam-1.dist-info/RECORD": "spam/__init__.py,,\n",
    "spam-1.dist-info/licenses/COPYING": "",
    "spam-1.dist-info/entry_points.txt": (
        "[console_scripts]\nspam-Manage = spam.cli:Main.run\n[spam.plugins]\nx = spam\n"
    ),
}


def make_wheel(folder: Path, files: dict[str, str]) -> Path:
    wheel = folder / "spam-1-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return wheel


@pytest.fixture
def scheme(tmp_path: Path) -> Scheme:
    return Scheme(
        root=tmp_path / "root",
        sitelib="/usr/lib/python3.15/site-packages",
        prefix="/usr",
        interpreter="/usr/bin/python3",
    )


def test_files_go_where_the_target_has_them(tmp_path: Path, scheme: Scheme) -> None:
    install_wheel(make_wheel(tmp_path, FILES), scheme)

    installed = {str(path.relative_to(scheme.root)) for path in scheme.root.rglob("*") if path.is_file()}
    site = "usr/lib/python3.15/site-packages"
    assert installed == {
        "usr/bin/spam-Manage",
        "usr/bin/spam-setup",
        "usr/bin/spam-wsgi",
        "usr/etc/spam/spam.conf",
        "usr/include/spam/spam.h",
        f"{site}/ham.py",
        f"{site}/spam/__init__.py",
        f"{site}/spam/data/a.txt",
        f"{site}/spam-1.dist-info/INSTALLER",
        f"{site}/spam-1.dist-info/METADATA",
        f"{site}/spam-1.dist-info/entry_points.txt",
        f"{site}/spam-1.dist-info/licenses/COPYING",
    }
    for name in installed:
        expected = 0o755 if name.startswith("usr/bin/") else 0o644
        assert (scheme.root / name).stat().st_mode & 0o777 == expected, name


def test_commands_run_with_the_interpreter_of_the_target(tmp_path: Path, scheme: Scheme) -> None:
    install_wheel(make_wheel(tmp_path, FILES), scheme)

    commands = scheme.root / "usr/bin"
    assert (commands / "spam-Manage").read_text().splitlines() == [
        "#!/usr/bin/python3 -sP",
        "import sys",
        "",
        "from spam.cli import Main",
        "",
        'if __name__ == "__main__":',
        "    sys.exit(Main.run())",
    ]
    assert (commands / "spam-wsgi").read_text() == "#!/usr/bin/python3 -sP\nprint()\n"
    assert (commands / "spam-setup").read_text() == "#!/bin/sh\n"


@pytest.mark.parametrize(
    ("first", "expected"),
    [
        ("#!python", "#!/opt/py -sP"),
        ("#!/usr/bin/env python3", "#!/opt/py -sP"),
        ("#!/home/me/venv/bin/python3.11 -E", "#!/opt/py -sP"),
        ("#!/bin/sh", "#!/bin/sh"),
        ("#!/usr/bin/perl", "#!/usr/bin/perl"),
        ("import python", "import python"),
    ],
)
def test_only_the_first_line_of_a_python_script_changes(first: str, expected: str) -> None:
    text = f"{first}\n#!python\n"

    assert fix_shebang(text.encode(), "/opt/py").decode() == f"{expected}\n#!python\n"


def test_files_are_listed_with_their_licence(tmp_path: Path, scheme: Scheme) -> None:
    install_wheel(make_wheel(tmp_path, FILES), scheme)

    site = "/usr/lib/python3.15/site-packages"
    assert list(list_files(scheme, ["spam"])) == [
        f"{site}/spam/",
        f"%dir {site}/spam-1.dist-info",
        f"{site}/spam-1.dist-info/INSTALLER",
        f"{site}/spam-1.dist-info/METADATA",
        f"{site}/spam-1.dist-info/entry_points.txt",
        f"%dir {site}/spam-1.dist-info/licenses",
        f"%license {site}/spam-1.dist-info/licenses/COPYING",
    ]
    with pytest.raises(ValueError, match=r"/eggs does not exist"):
        list(list_files(scheme, ["eggs"]))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        pytest.param("../../etc/passwd", "leaves the folder", id="above"),
        pytest.param("spam-1.data/stdlib/a.py", "of the kind stdlib", id="kind"),
        pytest.param("eggs-1.dist-info/METADATA", "not one folder", id="two wheels in one"),
    ],
)
def test_odd_wheel_is_refused(tmp_path: Path, scheme: Scheme, name: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        install_wheel(make_wheel(tmp_path, {**FILES, name: ""}), scheme)


def test_wheel_is_that_of_the_tree_and_not_of_a_git_checkout_around_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """pbr would list the files that git knows, and there git knows none."""
    backend = "import os\ndef build_wheel(folder):\n    return os.environ['GIT_DIR']\n"
    (tmp_path / "hooks_of_test.py").write_text(backend)
    (tmp_path / "pyproject.toml").write_text('[build-system]\nbuild-backend = "hooks_of_test"\n')
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("GIT_DIR", str(tmp_path / ".git"))

    assert build_wheel(tmp_path / "wheels") == "/dev/null"


def test_wheel_is_built_with_the_tools_that_are_named_and_nothing_else(tmp_path: Path) -> None:
    """As a spec does it where the interpreter has neither setuptools nor pbr."""
    tool = tmp_path / "hooks-1-py3-none-any.whl"
    with zipfile.ZipFile(tool, "w") as archive:
        archive.writestr("hooks/__init__.py", "import sys\n\ndef build_wheel(folder):\n    print(sys.path)\n")
    (tmp_path / "pyproject.toml").write_text('[build-system]\nbuild-backend = "hooks"\n')
    argv = [sys.executable, "-IS", pyproject.__file__, "build", "wheels", str(tool)]

    done = subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True, check=True)
    without = subprocess.run(argv[:-1], cwd=tmp_path, capture_output=True, text=True, check=False)

    assert "site-packages" not in done.stdout
    assert "No module named 'hooks'" in without.stderr


@pytest.mark.parametrize(("package", "changes"), [("openstack-keystone", True), ("openstack-utils", False)])
def test_other_build_tools_are_another_input_for_what_is_built_with_them(
    package: str, changes: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = SPECS.parent
    pairs = pair(find_packages(root, [package]), select(["epel-10"]), named=[])
    settings = plan.RunSettings(root=root, rpm="4.18.0", out=tmp_path)
    (build,) = plan.plan_builds(pairs, settings, Runner(Report(quiet=True)))
    before = build.inputs

    monkeypatch.setattr(plan, "build_tools", lambda: {**build_tools(), "setuptools": "99"})

    assert (build.inputs != before) is changes
