# SPDX-License-Identifier: MIT
"""Hostile text through the catalogue: what a format can hold arrives as it was, what none can is refused."""

from __future__ import annotations

import configparser
import dataclasses
import os
import subprocess
from pathlib import Path

import pytest

from builder.catalogue.load import load_catalogue
from builder.catalogue.model import Catalogue
from builder.render import escapes
from builder.render.spec import render_project
from builder.report import Report
from builder.rpm.spec.macros import macro_options, target_macros
from builder.runner import Runner
from builder.targets import find_target, load_targets
from tests.support.catalogue_copy import spoil

# Macros, conditions, sections of rpm; shell; specifiers of systemd; roff; XML; a letter beyond ASCII.
HOSTILE = "100% %(touch PWNED) $(touch PWNED) `touch PWNED` \"q\" 'q' \\n %{name} ü & <b>"
LONG = " ".join([HOSTILE, "%if 1", "%files", "%description", "%(touch PWNED)"] * 6)


def hostile() -> Catalogue:
    """Return the catalogue with hostile text in every field of Keystone that takes free text."""
    catalogue = load_catalogue()
    keystone = catalogue.projects["keystone"]
    releases = {}
    for name, release in keystone.releases.items():
        assert release.rpm is not None
        summary = HOSTILE[:79].rstrip("\\. ")
        packages = {
            key: dataclasses.replace(package, summary=summary, description=f"So: {LONG}")
            for key, package in release.rpm.packages.items()
        }
        change = dataclasses.replace(
            release.rpm.changelog[0],
            packager=f"{HOSTILE.replace('<b>', '')} <a%b@example.org>",
            changes=(LONG,),
        )
        packaging = dataclasses.replace(
            release.rpm, summary=summary, description=f"So: {LONG}", packages=packages, changelog=(change,)
        )
        services = {
            key: dataclasses.replace(
                service, summary=HOSTILE, environment={"HOSTILE": HOSTILE},
                run=service.run and (*service.run, "--x=%(touch)`PWNED`$HOME\"'"),
            )
            for key, service in release.services.items()
        }  # fmt: skip
        configuration = {
            path: dataclasses.replace(
                file, set={**file.set, "hostile": {"blanks": f"  {HOSTILE} ", "quotes": f'"{HOSTILE}"'}}
            )
            if file.set is not None
            else file
            for path, file in release.configuration.items()
        }
        releases[name] = dataclasses.replace(
            release, rpm=packaging, services=services, configuration=configuration
        )
    projects = {**catalogue.projects, "keystone": dataclasses.replace(keystone, releases=releases)}
    return dataclasses.replace(catalogue, projects=projects)


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The hostile Keystone as files, for both releases."""
    folder = tmp_path_factory.mktemp("hostile")
    catalogue = hostile()
    for release in catalogue.releases:
        targets = [target for target in load_targets() if target.release == release]
        for file in render_project(catalogue.projects["keystone"], release, catalogue, targets, ()):
            path = folder / file.path
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(file.text)
    return folder


@pytest.mark.parametrize("name", ["epel-6", "fedora-17", "epel-10", "fedora-45"])
def test_rpm_reads_the_text_and_runs_none_of_it(rendered: Path, tmp_path: Path, name: str) -> None:
    target = find_target(name)
    own = tmp_path / "macros"
    own.write_text(target_macros(target))
    runner = Runner(Report())
    spec = rendered / target.release / "openstack-keystone.spec"
    options = [str(word) for word in macro_options(own, runner)]
    query = "%{SUMMARY}\\n@@@\\n%{DESCRIPTION}\\n@@@\\n[%{CHANGELOGTEXT}]"

    done = subprocess.run(
        ["rpmspec", "-q", "--srpm", *options, "--define", f"_sourcedir {spec.parent / 'openstack-keystone'}",
         "--queryformat", query, spec],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    summary, description, changes = done.stdout.split("\n@@@\n")
    packaging = hostile().projects["keystone"].releases[target.release].rpm
    assert packaging is not None
    assert summary == packaging.summary
    assert description.split() == packaging.description.split()
    assert changes.split() == ["-", *LONG.split()]
    assert sorted(os.listdir(tmp_path)) == ["macros"]


def test_scriptlets_are_sh(rendered: Path, tmp_path: Path) -> None:
    spec = rendered / "essex/openstack-keystone.spec"
    expanded = subprocess.run(
        ["rpmspec", "--parse", "--define", "with_sysv 1", "--define", f"_sourcedir {spec.parent / 'x'}",
         "--define", "_unitdir /u", "--define", "_initrddir /i", spec],
        cwd=tmp_path, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    script = expanded.partition("%pre\n")[2].partition("\nexit 0")[0]

    assert "useradd" in script
    subprocess.run(["sh", "-n"], input=script, text=True, check=True)


@pytest.mark.skipif(not Path("/usr/bin/systemd-analyze").exists(), reason="needs systemd-analyze")
def test_systemd_takes_the_units(rendered: Path, tmp_path: Path) -> None:
    unit = tmp_path / "openstack-keystone.service"
    text = (rendered / "essex/openstack-keystone/openstack-keystone.service").read_text()
    unit.write_text(
        text.replace("User=keystone\nGroup=keystone\n", "").replace("/usr/bin/keystone-all", "/bin/true")
    )

    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", unit],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )

    about_us = [line for line in done.stderr.splitlines() if "openstack-keystone.service:" in line]
    assert [line for line in about_us if "Unknown" in line or "ailed" in line or "Invalid" in line] == []


def test_configuration_holds_one_line_for_each_option(rendered: Path) -> None:
    for release in ("essex", "current"):
        parser = configparser.RawConfigParser(strict=True)
        parser.read(rendered / release / "openstack-keystone" / "keystone.conf")

        assert parser.get("hostile", "blanks") == f'"  {HOSTILE} "'
        assert parser.get("hostile", "quotes") == f'""{HOSTILE}""'


def test_init_script_passes_the_arguments_on_as_they_are(rendered: Path, tmp_path: Path) -> None:
    script = (rendered / "essex/openstack-keystone/openstack-keystone.init").read_text()
    line = next(line for line in script.splitlines() if line.startswith("arguments="))

    done = subprocess.run(
        ["bash", "-c", f'{line}\nbash -c "printf \'%s\\n\' $arguments"'],
        cwd=tmp_path, capture_output=True, text=True, check=True,
    )  # fmt: skip

    assert done.stdout.splitlines()[-1] == "--x=%(touch)`PWNED`$HOME\"'"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not Path("/usr/bin/groff").exists(), reason="needs groff")
def test_manual_page_has_the_text(rendered: Path) -> None:
    page = rendered / "current/openstack-keystone/openstack-keystone.7"
    done = subprocess.run(
        ["groff", "-man", "-Tutf8", "-k", "-ww", "-P-cbou", "-rLL=400n", page],
        capture_output=True, text=True, check=True, env={**os.environ, "GROFF_NO_SGR": "1"},
    )  # fmt: skip

    assert done.stderr == ""
    assert "%(touch PWNED) $(touch PWNED)" in " ".join(done.stdout.split())


# format, text, what is written: by the manual pages that builder.render.escapes names.
ESCAPED = [
    (escapes.spec, "%{name} 5%", "%%{name} 5%%"),
    (escapes.shell, "it's $(x)", "'it'\"'\"'s $(x)'"),
    (escapes.unit, "50 %i", "50 %%i"),
    (escapes.unit_word, "--a=%h", "--a=%%h"),
    (escapes.unit_word, "$HOME", "$$HOME"),
    (escapes.unit_word, 'a"b\\c', '"a\\"b\\\\c"'),
    (escapes.unit_word, "it's", '"it\'s"'),
    (escapes.ini, " a ", '" a "'),
    (escapes.ini, "'a'", "\"'a'\""),
    (escapes.ini, "a # b", "a # b"),
    (escapes.roff, ".so /etc/passwd", "\\&.so /etc/passwd"),
    (escapes.roff, "a\n'b\\c", "a\n\\&'b\\ec"),
]


@pytest.mark.parametrize(("escape", "text", "written"), ESCAPED)
def test_each_format_has_its_escape(escape: object, text: str, written: str) -> None:
    assert callable(escape)
    assert escape(text) == written


# What is in keystone.yaml, what is there instead, what is reported.
REFUSED = {
    "line break in a summary": (
        "      summary: OpenStack Identity service\n      description: >-\n        Keystone",
        '      summary: "one\\nReq: two"\n      description: >-\n        Keystone', "summary: a line break",
    ),
    "control character": (
        "title: Identity service", 'title: "Ident\\u001bity"', "title: the control character U+001B",
    ),
    "trailing backslash": ("title: Identity service", "title: Identity service\\", "title: a backslash"),
    "section in a description": ("        Keystone is the", "        %files is the", "begins with %"),
    "command in a comment": ("OpenStack Keystone Daemons", '"$(touch /tmp/x)"', "comment: letters"),
    "quotes in a comment": ("OpenStack Keystone Daemons", "'a\"b'", "comment: letters"),
    "colon in a comment": ("OpenStack Keystone Daemons", '"a:b"', "comment: letters"),
    "account root": ("  name: keystone\n  uid: 163", "  name: root\n  uid: 163", "root always exists"),
    "uid 0": ("uid: 163", "uid: 0", "0 is not the id of a system account"),
    "home with a blank": ("home: /var/lib/keystone", "home: /var/lib/key stone", "is not the full path"),
    "line break in a value": ("provider: fernet", 'provider: "fernet\\n[DEFAULT]"', "provider: a line break"),
    "section that ends early": (
        "          token: {provider", '          "to]ken": {provider', "name of a section",
    ),
    "option with an =": ("token: {provider: fernet", 'token: {"pro=vider": fernet', "name of an option"),
    "name of a variable": ("OS_KEYSTONE_CONFIG_FILES:", '"A B=":', "is not the name of a variable"),
    "command": ("commands: [keystone-manage,", 'commands: ["$(x)",', "is not the name of a program"),
    "address": ("url: https://docs.openstack.org/keystone/latest/", 'url: "https://x/%(id)"', "address like"),
    "folder": ("/etc/keystone/fernet-keys: {mode", '"/etc/keystone/a b": {mode', "a folder is named"),
    "owner": ("/etc/keystone: {owner: root}", '/etc/keystone: {owner: "root)"}', "name of an account"),
}  # fmt: skip


@pytest.mark.parametrize(("old", "new", "said"), REFUSED.values(), ids=REFUSED)
def test_what_no_format_can_hold_is_refused_with_its_line(
    tmp_path: Path, old: str, new: str, said: str
) -> None:
    lines = spoil(tmp_path, "keystone", old, new)

    assert said in "\n".join(lines)
    assert lines[0].startswith(f"error: {tmp_path}/specs/services/keystone.yaml:")
