# SPDX-License-Identifier: MIT
"""Elements of diskimage-builder in a plan: what is taken, in which order, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from builder.errors import InputError
from builder.kickstart.choices import Choices
from builder.kickstart.elements.planning import ElementChoice
from builder.kickstart.elements.variables import take_variables
from builder.kickstart.plan import ImagePlan
from builder.kickstart.planner import load_plan
from builder.kickstart.show import describe, plan_as_json
from builder.targets import find_target
from tests.support.elements import write_element

KICKSTART = """\
rootpw --lock
bootloader --append="console=ttyS0"
clearpart --all --initlabel
part biosboot --fstype=biosboot --size=1
part / --fstype=ext4 --size=1000
url --url=https://mirror.example/os
%packages
kernel
{packages}
%end
"""
SCRIPT = "#!/bin/sh\n"


def write(folder: Path, elements: Mapping[str, Mapping[str, str]]) -> Path:
    """Write elements; return their folder."""
    for name, files in elements.items():
        write_element(folder, name, files)
    return folder


def plan(
    folder: Path,
    elements: Mapping[str, Mapping[str, str]],
    *names: str,
    target: str = "fedora-45",
    packages: str = "",
    environment: Mapping[str, str] | None = None,
) -> ImagePlan:
    """Return the plan with the elements `names` (default: all) of those written."""
    path = folder / "guest.ks"
    path.write_text(KICKSTART.format(packages=packages))
    choice = ElementChoice(
        names=names or tuple(elements),
        path=(write(folder / "elements", elements),),
        variables=take_variables(environment or {}, ()),
    )
    return load_plan(path, target=find_target(target), choices=Choices(elements=choice))


def errors(folder: Path, elements: Mapping[str, Mapping[str, str]], *names: str, **more: str) -> str:
    """Return the lines of the error that such a plan is."""
    with pytest.raises(InputError) as found:
        plan(folder, elements, *names, **more)  # type: ignore[arg-type]
    return "\n".join(found.value.lines())


def test_elements_come_after_what_they_depend_on(tmp_path: Path) -> None:
    made = plan(
        tmp_path,
        {"a": {"element-deps": "b\nc\n"}, "b": {"element-deps": "c\n"}, "c": {"element-deps": "a\n"}},
        "a",
    )

    assert [one.name for one in made.elements.elements] == ["c", "b", "a"]


def test_the_first_folder_of_the_path_has_an_element(tmp_path: Path) -> None:
    ours = write(tmp_path / "ours", {"one": {"install.d/1-ours": SCRIPT}})
    theirs = write(tmp_path / "theirs", {"one": {"install.d/1-theirs": SCRIPT}})
    (tmp_path / "guest.ks").write_text(KICKSTART.format(packages=""))
    choice = ElementChoice(names=("one",), path=(ours, theirs))

    made = load_plan(tmp_path / "guest.ks", target=find_target("fedora-45"), choices=Choices(elements=choice))

    assert [one.path for one in made.elements.scripts] == ["install.d/1-ours"]


def test_scripts_are_sorted_by_number_and_then_by_bytes(tmp_path: Path) -> None:
    names = ("50-b", "50-B", "9-x", "100-x", "nothing", "050-a", "-5-minus")

    made = plan(tmp_path, {"one": {f"install.d/{name}": SCRIPT for name in names}})

    order = [one.path.partition("/")[2] for one in made.elements.scripts]
    assert order == ["-5-minus", "nothing", "9-x", "050-a", "50-B", "50-b", "100-x"]


def test_what_is_not_executable_or_has_a_dot_in_its_name_is_not_run(tmp_path: Path) -> None:
    made = plan(tmp_path, {"one": {"install.d/10-data": "text\n", "install.d/20-it.sh": SCRIPT}})

    assert made.elements.scripts == ()
    assert "install.d/20-it.sh is not run" in made.warnings[0].message


def test_install_types_choose_among_folders(tmp_path: Path) -> None:
    elements = {
        "one": {
            "element-deps": "install-types\n",
            "install.d/one-source-install/10-source": SCRIPT,
            "install.d/one-package-install/10-package": SCRIPT,
        }
    }

    default = plan(tmp_path, elements)
    chosen = plan(tmp_path, elements, environment={"DIB_INSTALLTYPE_one": "package"})

    assert [one.path for one in default.elements.scripts] == ["install.d/10-source"]
    assert [one.path for one in chosen.elements.scripts] == ["install.d/10-package"]


@pytest.mark.parametrize(
    ("target", "packages"),
    [
        pytest.param("fedora-45", ["special", "for-fedora"], id="distro and release"),
        pytest.param("epel-9", ["for-redhat", "two", "of-them"], id="family"),
    ],
)
def test_pkg_map_goes_from_release_to_default(tmp_path: Path, target: str, packages: list[str]) -> None:
    names = {
        "release": {"fedora": {"45": {"a": "special", "c": ""}}},
        "distro": {"fedora": {"b": "for-fedora"}},
        "family": {"redhat": {"a": "for-redhat", "c": "two of-them"}},
        "default": {"a": "nothing", "b": ""},
    }

    made = plan(
        tmp_path,
        {"one": {"package-installs.yaml": "a:\nb:\nc:\n", "pkg-map": json.dumps(names)}},
        target=target,
    )

    assert [name for name, _ in made.elements.packages] == packages
    assert set(packages) <= set(made.packages.names)


def test_rows_of_package_installs_have_conditions(tmp_path: Path) -> None:
    rows = """\
here: {arch: amd64}
elsewhere: {not-arch: "amd64, arm64"}
by-package: {installtype: package}
old-python: {dib_python_version: 2}
chosen: {when: DIB_CHOICE=yes}
by-default: {when: [DIB_DEFAULT != other, DIB_CHOICE = yes]}
not-chosen: {when: DIB_CHOICE!=yes}
either:
  - {when: DIB_CHOICE=no}
  - {arch: amd64}
gone: {uninstall: true}
"""
    environment = "export DIB_CHOICE=no\nexport DIB_CHOICE=yes\nexport DIB_DEFAULT=${DIB_DEFAULT:-mine}\n"

    made = plan(tmp_path, {"one": {"package-installs.yaml": rows, "environment.d/1-one": environment}})

    assert [name for name, _ in made.elements.packages] == ["here", "chosen", "by-default", "either"]
    assert made.packages.excluded == ("gone",)


@pytest.mark.parametrize(
    ("files", "said"),
    [
        pytest.param({"root.d/10-os": SCRIPT}, "root.d makes the root of the image", id="root.d"),
        pytest.param({"block-device.d/10-x": SCRIPT}, "block-device.d makes the disk", id="block-device.d"),
        pytest.param(
            {"block-device-default.yaml": "- x\n"}, "part lines define the disk", id="block-device.yaml"
        ),
        pytest.param({"source-repository-x": "x git /opt u\n"}, "sources are not fetched", id="sources"),
        pytest.param({"element-provides": "operating-system\n"}, "name the distribution", id="distribution"),
        pytest.param({"element-deps": "vm\n"}, "element vm: the kickstart's part", id="vm"),
        pytest.param({"element-deps": "growrot\n"}, "there is no element growrot", id="missing"),
        pytest.param({"package-installs.yaml": "a: [\n"}, "package-installs.yaml:2: ", id="not YAML"),
        pytest.param(
            {"package-installs.yaml": "\na: {fase: x}\n"}, ".yaml:2: package-installs: a: ", id="key"
        ),
        pytest.param({"package-installs.yaml": "a: {phase: root.d}\n"}, "in the phase root.d", id="phase"),
        pytest.param(
            {"package-installs.yaml": "a: {build-only: true}\n"}, "a is build-only", id="build-only"
        ),
        pytest.param({"package-installs.yaml": "a: {when: X=1}\n"}, "when: X is not set", id="unset"),
        pytest.param(
            {"package-installs.yaml": "a: {when: X=1}\n", "environment.d/1": "export X=$(date)\n"},
            "when: X is set by a program of environment.d",
            id="computed",
        ),
        pytest.param(
            {"package-installs.yaml": "kernel: {uninstall: true}\n"}, "removes kernel", id="conflict"
        ),
        pytest.param({"pkg-map": "[]"}, "pkg-map is not a mapping", id="pkg-map"),
    ],
)
def test_what_a_build_of_ours_has_not_is_refused_with_element_file_and_way_out(
    tmp_path: Path, files: dict[str, str], said: str
) -> None:
    reported = errors(tmp_path, {"bad": files})

    assert said in reported
    assert "elements/bad/" in reported
    assert "hint:" in reported or "not a mapping" in reported or ".yaml:2" in reported


def test_two_elements_with_the_same_script_are_refused(tmp_path: Path) -> None:
    reported = errors(tmp_path, {"a": {"install.d/1-x": SCRIPT}, "b": {"install.d/1-x": SCRIPT}})

    assert "element b: install.d/1-x is a script of a, too" in reported


def test_all_mistakes_are_said_at_once(tmp_path: Path) -> None:
    reported = errors(tmp_path, {"a": {"root.d/1-x": SCRIPT}, "b": {"source-repository-b": "b git / u\n"}})

    assert reported.count("error:") == 2


def test_what_the_kickstart_excludes_stays_out(tmp_path: Path) -> None:
    made = plan(tmp_path, {"one": {"package-installs.yaml": "unwanted:\n"}}, packages="-unwanted")

    assert "unwanted" not in made.packages.names
    assert "needs it, and the kickstart leaves it out" in made.warnings[0].message


def test_a_plan_shows_elements_packages_and_scripts_but_no_values(tmp_path: Path) -> None:
    made = plan(
        tmp_path,
        {"one": {"install.d/10-one": SCRIPT, "package-installs.yaml": "sudo:\n"}},
        environment={"DIB_PASSWORD": "hunter2", "HOME": "/root"},
    )

    lines = "\n".join(describe(made))
    data = json.dumps(plan_as_json(made))

    assert "install.d/10-one" in lines
    assert "one: with sudo" in lines
    assert "DIB_PASSWORD" in data
    assert "hunter2" not in lines + data
    assert "HOME" not in data


def test_without_elements_a_plan_has_none(tmp_path: Path) -> None:
    (tmp_path / "guest.ks").write_text(KICKSTART.format(packages=""))

    made = load_plan(tmp_path / "guest.ks", target=find_target("fedora-45"))

    assert made.elements.elements == ()
    assert not [line for line in describe(made) if line.startswith(("elements", "phases"))]
