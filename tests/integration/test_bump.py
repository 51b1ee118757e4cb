# SPDX-License-Identifier: MIT
"""openstack-builder bump: what it writes, and that it writes nothing else."""

from __future__ import annotations

import difflib
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from builder.places import SPECS
from tests.support import rpm_tool

# A day in the future of every date below: none is refused because the test runs early.
LATER = "1830000000"
PACKAGER = "OpenStack utilities packagers <packagers@openstack-utils.example>"


def builder(*words: str | Path, cwd: Path, ok: bool = True, **env: str) -> subprocess.CompletedProcess[str]:
    """Run openstack-builder at that day."""
    return rpm_tool.builder(*words, cwd=cwd, ok=ok, **{"SOURCE_DATE_EPOCH": LATER, **env})


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy of specs/, and of the licence that goes into source packages."""
    shutil.copytree(SPECS, tmp_path / "tree" / "specs")
    shutil.copy(SPECS.parent / "LICENSE", tmp_path / "tree")
    return tmp_path / "tree"


def texts(tree: Path) -> dict[str, str]:
    """Return every file below a tree."""
    return {
        str(path.relative_to(tree)): path.read_text() for path in sorted(tree.rglob("*")) if path.is_file()
    }


def changes(before: dict[str, str], after: dict[str, str]) -> dict[str, list[str]]:
    """Return the lines that differ, by file, as diff shows them."""
    found = {}
    for name in before.keys() | after.keys():
        lines = difflib.unified_diff(
            before.get(name, "").splitlines(), after.get(name, "").splitlines(), lineterm="", n=0
        )
        if changed := [line for line in lines if line[:2] not in ("--", "++", "@@")]:
            found[name] = changed
    return found


def test_hand_written_spec_gets_the_next_release(tree: Path, tmp_path: Path) -> None:
    before = texts(tree)

    done = builder(
        *("bump", "openstack-utils", "--source", tree, "--date", "2026-12-01"),
        *("-m", "100% of %define and %dump", "-m", "Second line"),
        cwd=tmp_path,
    )

    assert "openstack-utils is now 2026.2-2" in done.stderr
    assert changes(before, texts(tree)) == {
        "specs/openstack-utils.spec": [
            "-Release:        1%{?dist}",
            "+Release:        2%{?dist}",
            f"+* Tue Dec 01 2026 {PACKAGER} - 2026.2-2",
            "+- 100%% of %%define and %%dump",
            "+- Second line",
            "+",
        ]
    }
    spec = tree / "specs" / "openstack-utils.spec"
    reported = subprocess.run(
        ["rpm", "-q", "--specfile", "--qf", "%{RELEASE} %{CHANGELOGTEXT}", spec],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert reported.stdout == "2 - 100% of %define and %dump\n- Second line"


def test_version_of_the_project_is_that_of_openstack_utils(tree: Path, tmp_path: Path) -> None:
    (tree / "builder").mkdir()
    (tree / "builder" / "__init__.py").write_text('"""Text."""\n__version__ = "2026.2"\n')
    before = texts(tree)

    builder(
        *("bump", "openstack-utils", "--source", tree, "--date", "2027-04-01", "--version", "2027.1"),
        *("-m", "New version"),
        cwd=tmp_path,
    )

    assert changes(before, texts(tree)) == {
        "builder/__init__.py": ['-__version__ = "2026.2"', '+__version__ = "2027.1"'],
        "specs/openstack-utils.spec": [
            "-Version:        2026.2",
            "+Version:        2027.1",
            f"+* Thu Apr 01 2027 {PACKAGER} - 2027.1-1",
            "+- New version",
            "+",
        ],
    }


def test_generated_spec_is_bumped_in_the_catalogue_and_made_again(tree: Path, tmp_path: Path) -> None:
    before = texts(tree)

    builder(
        *("bump", "openstack-keystone", "--openstack", "essex", "--source", tree, "--date", "2026-12-01"),
        *("--packager", "A: B <a@example.com>", "-m", "50% # faster: yes"),
        cwd=tmp_path,
    )

    assert changes(before, texts(tree)) == {
        "specs/services/keystone.yaml": [
            "+      release: 2",
            '+        - date: "2026-12-01"',
            "+          packager: 'A: B <a@example.com>'",
            "+          version: 2012.1-2",
            "+          changes: ['50% # faster: yes']",
        ],
        "specs/essex/openstack-keystone.spec": [
            "-Release:          1%{?dist}",
            "+Release:          2%{?dist}",
            "+* Tue Dec 01 2026 A: B <a@example.com> - 2012.1-2",
            "+- 50%% # faster: yes",
            "+",
        ],
    }
    # Once more: now the key is there.
    builder(
        *("bump", "openstack-keystone", "--openstack", "essex", "--source", tree, "--date", "2026-12-02"),
        *("--release", "7", "-m", "Seven"),
        cwd=tmp_path,
    )
    assert "      release: 7\n" in (tree / "specs/services/keystone.yaml").read_text()
    assert "- 2012.1-7\n- Seven\n\n* Tue Dec 01" in (tree / "specs/essex/openstack-keystone.spec").read_text()


def test_new_version_has_another_source(tree: Path, tmp_path: Path) -> None:
    words = ("bump", "openstack-keystone", "--openstack", "current", "--source", tree, "--date", "2026-12-01",
             "--version", "30.1.0", "-m", "New version")  # fmt: skip
    before = texts(tree)

    refused = builder(*words, cwd=tmp_path, ok=False)
    assert refused.returncode == 2
    assert "a new version has a new source" in refused.stderr
    assert texts(tree) == before

    builder(*words, "--sha256", "AB" * 32, cwd=tmp_path)
    spec = (tree / "specs/current/openstack-keystone.spec").read_text()
    assert "Version:          30.1.0\nRelease:          1%{?dist}\n" in spec
    assert f"# sha256: {'ab' * 32}\nSource0:          %{{pypi_source keystone %{{version}}}}\n" in spec
    assert "%changelog\n* Tue Dec 01 2026 " in spec
    assert "> - 1:30.1.0-1\n- New version\n" in spec
    assert set(changes(before, texts(tree))) == {
        "specs/services/keystone.yaml",
        "specs/current/openstack-keystone.spec",
    }


WRONG = {
    "unknown package": (["openstack-keyston"], "unknown package: openstack-keyston"),
    "several releases": (["openstack-keystone"], "openstack-keystone is in several releases of OpenStack"),
    "unknown release": (["openstack-keystone", "--openstack", "folsom"], "there is no openstack-keystone of"),
    "version": (["openstack-utils", "--version", "1 2"], '--version "1 2" is not valid for a package'),
    "dash in version": (["openstack-utils", "--version", "1-2"], '--version "1-2" is not valid for'),
    "release": (["openstack-utils", "--release", "0"], "--release must be at least 1, not 0"),
    "the same": (["openstack-utils", "--release", "1"], "openstack-utils.spec: version is already 2026.2-1"),
    "date": (["openstack-utils", "--date", "yesterday"], '"yesterday" is not a date'),
    "earlier date": (["openstack-utils", "--date", "2020-01-01"], "2020-01-01 is before the newest entry"),
    "packager": (["openstack-utils", "--packager", "me"], '--packager "me" is not of the form Name'),
    "empty message": (["openstack-utils", "-m", " "], "-m: the value is empty"),
    "lower version": (["openstack-utils", "--version", "2026.1"], "2026.1-1 is lower than 2026.2-1"),
    "pre-release": (["openstack-utils", "--version", "2026.2~rc1"], "2026.2~rc1-1 is lower than 2026.2-1"),
    "empty part": (["openstack-utils", "--version", "2027..1"], '--version "2027..1" is not valid for a'),
    "empty last part": (["openstack-utils", "--version", "2027."], '--version "2027." is not valid for a'),
    "future": (["openstack-utils", "--date", "2099-01-01"], "2099-01-01 is in the future"),
    "control character": (["openstack-utils", "-m", "a\x1b[2J"], "--message: the control character U+001B"),
    "hyphen": (["openstack-utils", "-m", "- New"], '--message "- New": leave out the hyphen'),
    "short digest": (["openstack-utils", "--sha256", "abc"], "--sha256 abc: not 64 hex digits"),
}  # fmt: skip


@pytest.mark.parametrize(("words", "message"), WRONG.values(), ids=WRONG.keys())
def test_bad_input_is_one_clear_line_and_changes_nothing(
    tree: Path, tmp_path: Path, words: list[str], message: str
) -> None:
    before = texts(tree)

    done = builder(
        "bump", *words, "--source", tree, "-m", "text", cwd=tmp_path, ok=False, SOURCE_DATE_EPOCH="1795435200"
    )

    errors = [line for line in done.stderr.splitlines() if line.startswith("error:")]
    assert done.returncode == 2, done.stderr
    assert len(errors) == 1
    assert message in errors[0]
    assert texts(tree) == before


def bump_keystone(tree: Path, tmp_path: Path, *words: str) -> tuple[str, str]:
    """Bump Keystone of release current; return its catalogue file and its spec."""
    builder("bump", "openstack-keystone", "--openstack", "current", "--source", tree, "--date", "2026-12-01",
            "-m", "New version", *words, cwd=tmp_path)  # fmt: skip
    catalogue = (tree / "specs/services/keystone.yaml").read_text()
    return catalogue, (tree / "specs/current/openstack-keystone.spec").read_text()


def test_pre_release_has_a_name_of_its_own_upstream(tree: Path, tmp_path: Path) -> None:
    catalogue, spec = bump_keystone(tree, tmp_path, "--version", "31.0.0~rc1", "--sha256", "ab" * 32)

    assert "      version: 31.0.0~rc1\n      upstream: 31.0.0.0rc1\n" in catalogue
    assert "%global upstream_version 31.0.0.0rc1\n" in spec
    assert "Source0:          %{pypi_source keystone %{upstream_version}}\n" in spec
    assert "%autosetup -n keystone-%{upstream_version}\n" in spec

    catalogue, spec = bump_keystone(tree, tmp_path, "--version", "31.0.0", "--sha256", "cd" * 32)

    assert "upstream" not in catalogue.partition("  current:")[2].partition("changelog")[0]
    assert "%{pypi_source keystone %{version}}" in spec


def test_lower_version_on_purpose_is_taken(tree: Path, tmp_path: Path) -> None:
    words = ("--version", "29.0.0", "--sha256", "ab" * 32, "--allow-downgrade")

    assert "      version: 29.0.0\n" in bump_keystone(tree, tmp_path, *words)[0]


def test_day_padded_with_a_blank_is_read(tree: Path, tmp_path: Path) -> None:
    spec = tree / "specs/openstack-utils.spec"
    text = re.sub(r"(?<=%changelog\n)\* \w+ \w+ \d+ \d+", "* Thu Nov  5 2026", spec.read_text())
    spec.write_text(text)

    builder("bump", "openstack-utils", "--source", tree, "-m", "x", "--date", "2026-11-06", cwd=tmp_path)

    assert "%changelog\n* Fri Nov 06 2026 " in spec.read_text()


def test_other_places_that_hold_the_version_are_named(tree: Path, tmp_path: Path) -> None:
    (tree / "list.in").write_text("# lists\nkeystone==30.0.0\nkeystone==30.0.0.1\nglance==30.0.0\n")

    done = builder("bump", "openstack-keystone", "--openstack", "current", "--source", tree, "-m", "New",
                   "--date", "2026-12-01", "--version", "30.0.1", "--sha256", "ab" * 32,
                   cwd=tmp_path)  # fmt: skip

    reported = [line for line in done.stderr.splitlines() if "still says 30.0.0" in line]
    assert [line for line in reported if "/list.in:" in line or " tree/list.in:" in line] == [
        "warning: tree/list.in:2: still says 30.0.0"
    ]
    assert any("openstack-python-bundled.spec:" in line for line in reported)


KILLED = """\
import os, signal, sys
from builder.__main__ import entry

left = int(sys.argv.pop(1))

def hook(event, arguments):
    global left
    if event == "os.rename":
        left -= 1
        if left < 0:
            os.kill(os.getpid(), signal.SIGKILL)

sys.addaudithook(hook)
entry()
"""


def test_a_killed_bump_is_finished_by_the_same_command(tree: Path, tmp_path: Path) -> None:
    words = ["bump", "openstack-keystone", "--openstack", "current", "-m", "Text", "--source"]
    catalogue = tree / "specs/services/keystone.yaml"
    old = catalogue.read_text()
    whole = tmp_path / "whole"
    shutil.copytree(tree, whole)
    builder(*words, whole, cwd=tmp_path)
    environment = {**os.environ, "SOURCE_DATE_EPOCH": LATER}

    for renamed in (0, 1):
        killed = subprocess.run(
            [sys.executable, "-c", KILLED, str(renamed), *words, tree],
            env=environment, cwd=SPECS.parent, check=False,
        )  # fmt: skip
        assert killed.returncode == -signal.SIGKILL
        assert catalogue.read_text() == old
    builder(*words, tree, cwd=tmp_path)

    left = {name: text for name, text in texts(tree).items() if ".openstack-builder-" not in name}
    assert left == texts(whole)
