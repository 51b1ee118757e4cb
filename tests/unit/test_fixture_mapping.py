# SPDX-License-Identifier: MIT
"""How the fixture distribution writes Debian's words as RPM's."""

from __future__ import annotations

import base64
import re
import shutil
from pathlib import Path

import pytest

from builder.errors import BuildError, InputError
from tests.rig.fixture.deb import parse_control
from tests.rig.fixture.relations import dependency_version, parse_relations, split_version, to_dependency
from tests.rig.fixture.rpmpackage import Dependency, RpmFile, Sense
from tests.rig.fixture.rules import DATA, load_distribution
from tests.rig.fixture.sysusers import owner_requires, sysusers_provides


@pytest.mark.parametrize(
    ("debian", "expected"),
    [
        pytest.param("2.36-9+deb12u14", (0, "2.36", "9+deb12u14"), id="plain"),
        pytest.param("1:4.13+dfsg1-1", (1, "4.13+dfsg1", "1"), id="epoch"),
        pytest.param("20250419~deb12u2", (0, "20250419~deb12u2", "0"), id="native"),
        pytest.param("1.2-rc1-3", (0, "1.2.rc1", "3"), id="dash in upstream"),
    ],
)
def test_version_is_split_as_rpm_wants_it(debian: str, expected: tuple[int, str, str]) -> None:
    assert split_version(debian) == expected


@pytest.mark.parametrize(
    ("debian", "expected"),
    [("2.36-9", "2.36-9"), ("2.36", "2.36"), ("1:2.0", "1:2.0"), ("1:2.0-3", "1:2.0-3")],
)
def test_dependency_has_a_release_only_where_debian_had_a_revision(debian: str, expected: str) -> None:
    assert dependency_version(debian) == expected


@pytest.mark.parametrize(
    ("debian", "expected"),
    [
        pytest.param("libc6", Dependency("glibc"), id="renamed"),
        pytest.param("python3:any", Dependency("python3"), id="architecture qualifier"),
        pytest.param(
            "libc6 (>= 2.34-1)", Dependency("glibc", Sense.GREATER | Sense.EQUAL, "2.34-1"), id=">="
        ),
        pytest.param(
            "libc6 (>> 2.36)", Dependency("glibc", Sense.GREATER | Sense.EQUAL, "2.36"), id=">> alone"
        ),
        pytest.param("libc6 (<< 2.37~)", Dependency("glibc", Sense.LESS, "2.37~"), id="<<"),
        pytest.param("a (>= 1) | libc6", Dependency("(a >= 1 or glibc)"), id="alternatives"),
        pytest.param("libc6 | libc6", Dependency("glibc"), id="alternatives that become one"),
    ],
)
def test_relation_becomes_a_dependency(debian: str, expected: Dependency) -> None:
    (clause,) = parse_relations(debian)

    assert to_dependency(clause, lambda name: {"libc6": "glibc"}.get(name, name)) == expected


def test_unreadable_relation_is_an_error_that_quotes_it() -> None:
    with pytest.raises(BuildError, match="libc6 =>"):
        parse_relations("bash, libc6 => 2")


def test_control_keeps_continuation_lines() -> None:
    fields = parse_control("Package: a\nDescription: short\n long one\n .\n end\n")

    assert fields == {"Package": "a", "Description": "short\nlong one\n.\nend"}


def test_sysusers_lines_become_provides_that_hold_the_line() -> None:
    text = b'# comment\nu chrony 12 "Time keeper" /var/lib/chrony\ng wheel -\nm chrony wheel\n'
    file = RpmFile(path="/usr/lib/sysusers.d/chrony.conf", data=text)

    provides = {item.name: item.version for item in sysusers_provides([file])}

    assert set(provides) == {"user(chrony)", "group(chrony)", "group(wheel)", "groupmember(chrony/wheel)"}
    line = base64.b64decode(provides["user(chrony)"]).rstrip(b"\0")
    assert line == b'u chrony 12 "Time keeper" /var/lib/chrony'
    assert "=" not in "".join(provides.values())


def test_owners_are_required_unless_the_package_declares_them() -> None:
    files = [RpmFile(path="/a", user="alice", group="root"), RpmFile(path="/b", user="bob", group="staff")]

    required = [item.name for item in owner_requires(files, {"user(bob)"})]

    assert required == ["group(staff)", "user(alice)"]


@pytest.mark.parametrize("version", ["12", "13"])
def test_data_of_the_distribution_is_consistent(version: str) -> None:
    distribution = load_distribution(version=version)
    names = [rule.name for rule in distribution.packages.values() if rule.name]

    assert len(names) == len(set(names))
    assert [name for name in distribution.packages if distribution.is_dropped(name)] == []
    setup = distribution.overlay("setup")
    passwd, group, shadow, gshadow = (
        [line.split(":") for line in setup[f"/etc/{name}"].decode().splitlines()]
        for name in ("passwd", "group", "shadow", "gshadow")
    )
    assert [fields[0] for fields in passwd] == [fields[0] for fields in shadow]
    assert [fields[0] for fields in group] == [fields[0] for fields in gshadow]
    assert {fields[3] for fields in passwd} <= {fields[2] for fields in group}
    assert {fields[1] for fields in shadow} == {"*"}
    for ids in ([fields[2] for fields in passwd], [fields[2] for fields in group]):
        assert len(ids) == len(set(ids))


def test_every_overlay_and_scriptlet_belongs_to_a_package() -> None:
    known: set[str] = set()
    for version in ("12", "13"):
        distribution = load_distribution(version=version)
        known |= {rule.name or name for name, rule in distribution.packages.items()}
        known |= set(distribution.handmade) | set(distribution.seeds)
    extra = load_distribution(extra="cloud")
    known |= {rule.name or name for name, rule in extra.packages.items()}

    overlays = {path.name for path in (DATA / "files").iterdir()}
    scriptlets = {path.name.split(".")[0] for path in (DATA / "scriptlets").iterdir()}

    assert overlays - known == set()
    assert scriptlets - known == set()


def test_misspelt_rule_is_an_error_naming_file_and_key(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    shutil.copytree(DATA, folder)
    rules = folder / "packages.yaml"
    rules.write_text(rules.read_text() + "\nnano: {reqires: [bash]}\n")

    with pytest.raises(InputError, match=r"packages\.yaml: unknown key nano\.reqires"):
        load_distribution(folder)


def test_a_release_that_is_not_there_is_an_error_that_names_those_that_are() -> None:
    with pytest.raises(InputError) as caught:
        load_distribution(version="14")

    assert (caught.value.message, caught.value.hint) == ("there is no Fixture Linux 14", "one of 12, 13")


@pytest.mark.parametrize("version", ["12", "13"])
def test_no_variable_of_a_release_is_left_in_rules_and_files(version: str) -> None:
    distribution = load_distribution(version=version)
    texts = [repr(rule) for rule in (*distribution.packages.values(), *distribution.handmade.values())]
    texts += list(distribution.packages)
    for folder in (DATA / "files").iterdir():
        texts += [data.decode() for data in distribution.overlay(folder.name).values()]

    left = {name for text in texts for name in re.findall(r"@([A-Z_]+)@", text)}

    # What a kernel package calls its kernel is not known before the package is read.
    assert left <= {"KERNEL"}
