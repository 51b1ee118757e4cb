# SPDX-License-Identifier: MIT
"""specs/targets.yaml, the choice of targets, and `openstack-builder targets`."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from builder import cli
from builder.errors import InputError
from builder.kickstart.images import load_images
from builder.kickstart.versions import find_version
from builder.places import SOURCE
from builder.report import Report
from builder.rpm.spec.macros import target_macros
from builder.targets import (
    TARGETS_FILE,
    find_target,
    load_targets,
    rpm_databases,
    select,
)

ALL = [target.name for target in load_targets()]


def test_every_target_of_the_plan_is_there() -> None:
    assert {"fedora-17", *("fedora-44", "fedora-45"), *(f"epel-{n}" for n in range(6, 11))} <= set(ALL)


def test_every_target_has_a_true_row_in_the_readme() -> None:
    table = (SOURCE / "README.md").read_text().split("\n## Targets\n")[1].split("\n## ")[0]
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines() if "|" in line
    ]
    reported = {name: row for row in rows[2:] for name in row[0].split(", ")}

    assert sorted(reported) == sorted(ALL), "README.md, Targets: the first column names every target once"
    for target in load_targets():
        _, utils, images = reported[target.name]
        row = f"README.md, Targets: the row of {target.name}"
        assert utils.startswith("built" if target.python else "refused"), row
        names = [image.name for image in load_images() if image.target == target]
        shown = any(f"-{name.rsplit('-', 1)[1]}" in images for name in names)
        assert shown or images.startswith("checked" if names else "–"), f"{row}: images are {names or '–'}"


@pytest.mark.parametrize("name", ALL)
def test_each_row_agrees_with_itself_and_with_pykickstart(name: str) -> None:
    target = find_target(name)

    assert find_version(target.ksversion) == target.ksversion, "ksversion: pykickstart does not know it"
    assert target.releasever == name.partition("-")[2]
    assert target.dist.endswith(target.releasever)
    if target.python and target.family != "fixture" and target.releasever != "6":
        assert str(target.python.sitelib) == f"/usr/lib/python{target.python.version}/site-packages"


def test_release_current_is_built_only_where_its_python_is() -> None:
    # What the metadata of Keystone 30.0.0, Nova 34.0.0 and the others ask for.
    oldest = 11
    for target in load_targets():
        assert (target.environment is not None) is (target.release == "current"), target.name
        assert target.environment is None or int(target.environment.version.partition(".")[2]) >= oldest


@pytest.mark.parametrize(
    ("patterns", "expected"),
    [
        (["epel-9"], ["epel-9"]),
        (["epel-*"], [name for name in ALL if name.startswith("epel-")]),
        (["fedora-4[45]", "epel-[67]"], ["fedora-44", "fedora-45", "epel-6", "epel-7"]),
        (["epel-9", "*-9", "epel-9"], ["epel-9"]),
        (["*"], ALL),
    ],
    ids=["name", "glob", "two globs", "each once", "all"],
)
def test_targets_are_chosen_by_name_and_glob(patterns: list[str], expected: list[str]) -> None:
    assert [target.name for target in select(patterns)] == expected


@pytest.mark.parametrize(
    ("pattern", "message", "hint"),
    [
        ("epel9", "unknown target: epel9", "did you mean epel-9?"),
        ("fedora-71", "unknown target: fedora-71", "did you mean fedora-17?"),
        ("suse-*", "no target matches: suse-*", "targets: fedora-17, "),
    ],
)
def test_an_unknown_target_is_reported_with_the_nearest_and_the_list(
    pattern: str, message: str, hint: str
) -> None:
    with pytest.raises(InputError) as caught:
        select(["epel-9", pattern])

    lines = caught.value.lines()
    assert lines[0] == f"error: {message}"
    assert hint in lines[1]
    assert "fixture-12" in lines[1]


BAD = {
    "unknown key": ("  releasever:", "  relesever:", 'unknown key "relesever"', "did you mean releasever?"),
    "unknown init": ("  init: sysv", "  init: upstart", 'init: unknown value "upstart"', "systemd"),
    "old python": ('version: "3.9"', 'version: "3.4"', "is not 3.6 or later", ""),
    "odd payload": ("payload: w2.xzdio", "payload: xz", 'payload "xz" is not of the form', ""),
    "no such macros": ("systemd-helper", "systemd-helpers", "no file specs/macros/systemd-helpers", ""),
    "short fingerprint": ("fingerprints: [FF8A", "fingerprints: [F8A", "is not 40 upper-case hex", ""),
    "two urls": ("{metalink:", "{baseurl: x, metalink:", "needs exactly one of metalink", ""),
    "odd ksversion": ("ksversion: RHEL9", "ksversion: EL9", 'ksversion "EL9" is not of the form', ""),
    "no such release": (
        "release: essex",
        "release: esex",
        'release: unknown value "esex"',
        "did you mean essex?",
    ),
    "dist twice": ("dist: .el9", "dist: .el8", "epel-9: dist .el8 already belongs to epel-8", ""),
}


@pytest.mark.parametrize(("old", "new", "message", "hint"), BAD.values(), ids=BAD.keys())
def test_a_mistake_in_the_file_is_reported_with_its_line(
    tmp_path: Path, old: str, new: str, message: str, hint: str
) -> None:
    path = tmp_path / "targets.yaml"
    text = TARGETS_FILE.read_text()
    assert old in text
    path.write_text(text.replace(old, new))

    with pytest.raises(InputError) as caught:
        load_targets(path)

    lines = "\n".join(caught.value.lines())
    assert f"error: {path}:" in lines
    assert message in lines
    assert hint in lines


def test_a_target_without_a_known_key_asks_for_one() -> None:
    assert find_target("epel-9").require_gpgkeys()

    with pytest.raises(InputError, match="no gpg key is known for fixture-12") as caught:
        find_target("fixture-12").require_gpgkeys()

    assert "--gpgkey" in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("showrc", "expected"),
    [
        ("a\navailable backends    : sqlite bdb_ro dummy\n", {"sqlite": True, "bdb": False}),
        ("available backends    : sqlite ndb bdb dummy\n", {"sqlite": True, "ndb": True, "bdb": True}),
        ("ARCHITECTURE AND OS:\n", {"bdb": True}),
    ],
    ids=["Debian 12", "all", "before 4.16"],
)
def test_databases_that_an_rpm_reads_and_writes_are_told_by_showrc(
    showrc: str, expected: dict[str, bool]
) -> None:
    assert rpm_databases(showrc) == expected


@pytest.mark.parametrize(
    ("name", "present", "absent"),
    [
        ("fedora-45", ["%dist .fc45", "%fedora 45", "%fc45 1", "%_binary_payload w19.zstdio"], ["%rhel"]),
        ("epel-6", ["%rhel 6", "%el6 1", "%_binary_payload w2.xzdio", "%__python3 /opt/rh/"], ["%fedora"]),
        (
            "fixture-12",
            ["%fixture 12", "%python3_sitelib /usr/lib/python3/dist-packages"],
            ["%rhel", "%fedora"],
        ),
        ("fedora-17", ["%fedora 17"], ["python3"]),
    ],
)
def test_macros_of_a_target_come_from_its_row(name: str, present: list[str], absent: list[str]) -> None:
    macros = target_macros(find_target(name))

    assert [line for line in present if line not in macros] == []
    assert [word for word in absent if word in macros] == []


def test_command_prints_a_table_and_json() -> None:
    table, data = io.StringIO(), io.StringIO()

    assert cli.run(cli.parse(["targets", "epel-[6-9]"]), Report(out=table)) == 0
    assert cli.run(cli.parse(["targets", "epel-9", "--json"]), Report(out=data)) == 0

    rows, matrix = (part.splitlines() for part in table.getvalue().split("\n\n"))
    names = ["epel-6", "epel-7", "epel-8", "epel-9"]
    assert rows[0].split()[:3] == ["target", "distribution", "dist"]
    assert [line.split()[0] for line in rows[1:]] == names
    assert matrix[0].split() == ["package", *names]
    assert ["openstack-keystone", "2012.1", "-", "30.0.0", "30.0.0"] in [line.split() for line in matrix]
    (row,) = json.loads(data.getvalue())
    assert {"openstack-utils", "openstack-python-bundled", "openstack-nova"} <= row["builds"].keys()
    assert (row["ksversion"], row["rpm"]["database"], row["dist"]) == ("RHEL9", "sqlite", ".el9")
