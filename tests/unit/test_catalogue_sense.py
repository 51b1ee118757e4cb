# SPDX-License-Identifier: MIT
"""What is well-formed in the catalogue and makes no sense is reported with file and line."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from builder.catalogue.load import load_catalogue
from builder.catalogue.sense import find_license_fault
from builder.errors import InputError
from builder.places import SOURCE, SPECS
from builder.rpm.build.failure import explain_failure, find_origin
from builder.rpm.spec.packages import find_packages
from builder.targets import find_target
from tests.support.catalogue_copy import spoil

# What is in keystone.yaml, what is there instead, what is reported.
SENSELESS = {
    "folder of the system": ("/etc/keystone/fernet-keys: {mode", "/etc/cron.d: {mode", "cron.d is not a"),
    "folder of another": ("/etc/keystone/fernet-keys: {mode", "/etc/glance/x: {mode", "glance/x is not a"),
    "folder for everybody": ('fernet-keys: {mode: "0700"', 'fernet-keys: {mode: "0777"', "may write there"),
    "folder to list only": ('fernet-keys: {mode: "0700"', 'fernet-keys: {mode: "0744"', "may list it and"),
    "folder without entry": ('fernet-keys: {mode: "0700"', 'fernet-keys: {mode: "0600"', "may not read"),
    "configuration for everybody": (
        "sso_callback_template.html: {source", 'sso_callback_template.html: {mode: "0666", source',
        "everybody may write it",
    ),
    "executable configuration": (
        "sso_callback_template.html: {source", 'sso_callback_template.html: {mode: "0755", source',
        "configuration is not executable",
    ),
    "licence": ("license: Apache-2.0", "license: ASL 2.0", '"ASL 2.0" is not an SPDX expression'),
    "spelling of a licence": ("license: Apache-2.0", "license: apache-2.0", "is written Apache-2.0 in SPDX"),
    "database without sync": ("- databases: [keystone]", "- databases: []", "no command of sync"),
    "folder of log_dir": (
        "log_file: /var/log/keystone/keystone.log", "log_dir: /var/log/keyston", "keyston is not among",
    ),
    "log folder": ("{log_file: /var/log/keystone/", "{log_file: /var/log/keyston/", "keyston is not among"),
}  # fmt: skip


@pytest.mark.parametrize(("old", "new", "said"), SENSELESS.values(), ids=SENSELESS)
def test_what_makes_no_sense_is_reported(tmp_path: Path, old: str, new: str, said: str) -> None:
    lines = spoil(tmp_path, "keystone", old, new)

    assert said in "\n".join(lines)
    assert lines[0].startswith(f"error: {tmp_path}/specs/services/keystone.yaml:")


def test_uid_that_is_taken_is_reported_at_the_newcomer(tmp_path: Path) -> None:
    specs = tmp_path / "specs"
    shutil.copytree(SPECS, specs)
    # Before all others in the alphabet, and younger than they.
    text = (specs / "services/placement.yaml").read_text().replace("placement", "aardvark")
    text = text.replace("aardvark\n  home", "aardvark\n  uid: 161\n  home").replace(
        '"2026-11-25"', '"2026-11-26"'
    )
    (specs / "services/aardvark.yaml").write_text(text)

    with pytest.raises(InputError) as caught:
        load_catalogue(specs)

    reported = [line for line in caught.value.lines() if "the uid 161" in line]
    assert len(reported) == 1
    assert "services/aardvark.yaml:" in reported[0]
    assert "the uid 161 already belongs to glance" in reported[0]


@pytest.mark.parametrize("text", ["MIT", "Apache-2.0 AND MIT", "GPL-2.0-only OR (MIT AND BSD-3-Clause)"])
def test_expressions_of_spdx_are_taken(text: str) -> None:
    assert find_license_fault(text) is None


@pytest.mark.parametrize(
    ("needle", "file"),
    [
        ("Summary:          OpenStack Identity service", "      summary: OpenStack Identity service"),
        ("License:          Apache-2.0", "      license: Apache-2.0"),
        ("Keystone is the Identity service", "        Keystone is the Identity service"),
    ],
)
def test_line_of_a_spec_leads_to_its_line_of_the_catalogue(needle: str, file: str) -> None:
    package = next(
        each for each in find_packages(SPECS.parent, ["openstack-keystone"]) if each.release == "current"
    )
    number = next(at for at, line in enumerate(package.text.splitlines(), 1) if line.startswith(needle))

    origin = find_origin(package, number)

    assert origin is not None
    place, _, line = origin.rpartition(":")
    assert place == "specs/services/keystone.yaml"
    text = (SPECS.parent / place).read_text().splitlines()
    assert any(file.strip() in each for each in text[int(line) - 1 : int(line) + 2])


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (
            "openstack-nova",
            "specs/current/openstack-nova.spec, made from specs/services/nova.yaml, and the log",
        ),
        ("openstack-utils", "specs/openstack-utils.spec, and the log"),
    ],
)
def test_a_failed_build_names_the_spec_and_what_it_is_made_from(name: str, expected: str) -> None:
    target = find_target("fixture-12")
    package = next(one for one in find_packages(SOURCE, [name]) if one.release in (None, target.release))
    said = "error: Installed (but unpackaged) file(s) found:\n   /usr/bin/x\n"

    error = explain_failure(package, target, said, buildroot="/build/root", log=None)

    assert error.message.endswith("file(s) found: /usr/bin/x")
    assert (error.hint or "").replace(f"{SOURCE}/", "") == f"see {expected}"


@pytest.mark.parametrize(
    "path",
    [
        pytest.param("/build/root/openstack-utils-1-1.x86_64/usr/bin/absent", id="before rpm 4.20"),
        pytest.param("/build/BUILD/openstack-utils-1-build/BUILDROOT/usr/bin/absent", id="since rpm 4.20"),
    ],
)
def test_the_folder_of_a_build_is_left_out_of_messages(path: str) -> None:
    (package,) = find_packages(SOURCE, ["openstack-utils"])
    said = f"error: File not found: {path}\n"

    error = explain_failure(package, find_target("fixture-12"), said, buildroot="/build/root", log=None)

    assert error.message.endswith(": File not found: /usr/bin/absent")
