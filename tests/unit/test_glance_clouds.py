# SPDX-License-Identifier: MIT
"""clouds.yaml: the file that counts, and its mistakes with file and line. Never another cloud."""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest

from builder.errors import InputError
from builder.glance import clouds, entry
from builder.glance.entry import CloudChoice, find_entry
from builder.report import Report

GOOD = """\
clouds:
  right:
    auth: {auth_url: "https://right.example:5000/v3", username: joe, password: secret, project_name: web}
    region_name: One
"""


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a working clouds.yaml that openstacksdk finds, and no other settings."""
    from openstack.config import loader

    for name in [name for name in os.environ if name.startswith("OS_")]:
        monkeypatch.delenv(name)
    (tmp_path / "clouds.yaml").write_text(GOOD)
    monkeypatch.setattr(loader, "CONFIG_FILES", [str(tmp_path / "clouds.yaml")])
    monkeypatch.setattr(loader, "SECURE_FILES", [str(tmp_path / "secure.yaml")])
    monkeypatch.chdir(tmp_path)
    return tmp_path


def find(wanted: CloudChoice | None = None) -> tuple[entry.CloudSettings, str]:
    """Return the entry that is found, and what was said."""
    said = io.StringIO()
    return find_entry(wanted or CloudChoice(), Report(err=said)), said.getvalue()


def test_only_cloud_of_the_file_needs_no_name() -> None:
    assert find()[0].config.config["auth"]["auth_url"] == "https://right.example:5000/v3"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "OS_CLIENT_CONFIG_FILE: named.yaml does not exist"),
        ("clouds: {a: [}\n", "named.yaml:1: not YAML"),
        ("", "named.yaml: the file is empty"),
        ("# nothing\n", "named.yaml: the file is empty"),
        ("- a\n- b\n", "named.yaml:1: expected a mapping"),
        ("just text\n", "named.yaml:1: expected a mapping"),
        ("\ncloud: {}\n", 'named.yaml:2: the key "clouds" is missing'),
        ("clouds: text\n", "named.yaml:1: clouds: expected a mapping"),
        ("clouds:\n  right: text\n", "named.yaml:2: cloud right: expected a mapping"),
        ("clouds:\n  right:\n    auth: text\n", "named.yaml:3: cloud right: auth: expected a mapping"),
        (
            "clouds:\n  right:\n    auth:\n      auth_url: 5000\n",
            "named.yaml:4: cloud right: auth_url is not",
        ),
        (
            "clouds:\n  right:\n    auth:\n      auth_url: keystone:5000/v3\n",
            "named.yaml:4: cloud right: auth_url is not an address",
        ),
        ("clouds:\n  right:\n    auth:\n      password: [a]\n", "named.yaml:4: cloud right: auth: password"),
        ("clouds:\n  right:\n    regions: One\n", "named.yaml:3: cloud right: regions: expected a list"),
        ("clouds:\n  right:\n    image_endpoint_override: glance\n", "named.yaml:3: cloud right: image_end"),
    ],
)
def test_named_file_that_is_missing_or_broken_is_reported_and_no_other_is_taken(
    place: Path, monkeypatch: pytest.MonkeyPatch, text: str | None, said: str
) -> None:
    monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", "named.yaml")
    # What openstacksdk would fall back on.
    monkeypatch.setenv("OS_AUTH_URL", "https://wrong.example:5000/v3")
    if text is not None:
        (place / "named.yaml").write_text(text)

    with pytest.raises(InputError) as caught:
        find()

    assert caught.value.exit_code == 2
    assert caught.value.lines()[0].startswith(f"error: {said}")


@pytest.mark.parametrize("name", ["clouds.yaml", "secure.yaml"])
def test_file_in_its_usual_place_is_not_skipped_either(
    place: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv("OS_AUTH_URL", "https://wrong.example:5000/v3")
    (place / name).write_text("clouds: {right: {auth: }\n")

    with pytest.raises(InputError, match=rf"^{name}:\d+: not YAML"):
        find()


def test_every_mistake_of_a_file_is_reported(tmp_path: Path) -> None:
    (tmp_path / "many.yaml").write_text("clouds:\n  a: 1\n  b: {auth: 2}\n  c: {auth: {auth_url: 3}}\n")

    with pytest.raises(InputError) as caught:
        clouds.read(tmp_path / "many.yaml")

    assert [problem.where for problem in caught.value.problems] == [f"many.yaml:{line}" for line in (2, 3, 4)]


@pytest.mark.parametrize(
    ("more", "said", "hint"),
    [
        ("    cacert: /absent/ca.pem\n", "clouds.yaml:5: cacert: /absent/ca.pem does not exist", "cacert"),
        ("    auth_type: none\n", "clouds.yaml:5: auth_type none names no project", "auth_type"),
    ],
)
def test_setting_that_cannot_work_is_named_with_its_place(
    place: Path, more: str, said: str, hint: str
) -> None:
    (place / "clouds.yaml").write_text(GOOD + more)

    with pytest.raises(InputError) as caught:
        find()

    assert caught.value.message.startswith(said)
    assert hint in (caught.value.hint or "")


def test_address_of_the_environment_is_named_by_its_variable(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (place / "clouds.yaml").unlink()
    for name, value in (("AUTH_URL", "keystone:5000"), ("USERNAME", "joe"), ("PASSWORD", "secret")):
        monkeypatch.setenv(f"OS_{name}", value)

    with pytest.raises(InputError, match=r"^OS_AUTH_URL: auth_url is not an address"):
        find()


def test_what_openstacksdk_warns_of_is_reported(place: Path) -> None:
    (place / "clouds.yaml").write_text(GOOD.replace("region_name", "profile: nobody-has-it\n    region_name"))

    _, said = find()

    assert "warning:" in said
    assert "nobody-has-it" in said


def test_region_and_project_of_the_command_line_count_before_the_file(place: Path) -> None:
    (place / "clouds.yaml").write_text(GOOD.replace("region_name: One", "regions: [One, Two]"))

    found, _ = find(CloudChoice(cloud="right", region="Two", project="other"))

    auth = found.config.config["auth"]
    assert (found.label, found.config.region_name, auth["project_name"]) == (
        "right Two other",
        "Two",
        "other",
    )
