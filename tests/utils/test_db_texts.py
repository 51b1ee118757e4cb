# SPDX-License-Identifier: MIT
"""openstack-db's help, man page and completion: that they know the same options, and each service."""

import re
import subprocess
from pathlib import Path

import pytest
from openstack_utils.db import arguments
from openstack_utils.db.catalogue import Catalogue, Places
from openstack_utils.services import load_services

from tests.support.completion import offered

UTILS = Path(__file__).resolve().parents[2] / "utils"
MAN = UTILS / "man/openstack-db.1"
COMPLETION = UTILS / "completion/openstack-db"


def options() -> "set[str]":
    parser = arguments.make_parser()
    return {word for action in parser._actions for word in action.option_strings if word.startswith("--")}


def test_man_page_and_completion_know_every_option():
    manual = MAN.read_text().replace("\\-", "-")
    offered = re.search(r"local options='(.*?)'", COMPLETION.read_text(), re.DOTALL)

    assert offered is not None
    assert set(offered.group(1).split()) == options()
    assert options() <= set(re.findall(r"--[a-z-]+[a-z]", manual))


def test_man_page_has_an_example_for_every_service():
    manual = MAN.read_text().replace("\\-", "-")

    for name in (*Catalogue(Places()).names, "quantum"):
        assert f"--service {name}" in manual, f"{MAN}: add an example for {name}"
    assert ".B horizon" in manual


def test_completion_offers_every_service_and_release_of_the_catalogue(tmp_path: Path) -> None:
    catalogue = Catalogue(Places())

    services = offered(tmp_path, ["openstack-db", "--service", ""])
    releases = offered(tmp_path, ["openstack-db", "--release", ""])

    assert set(services) == {*catalogue.names, "quantum"}
    assert releases == ["auto", *load_services()["releases"]]


def test_man_page_is_good_roff():
    done = subprocess.run(
        ["groff", "-man", "-Tutf8", "-ww", MAN], capture_output=True, text=True, check=False
    )

    assert [line for line in done.stderr.splitlines() if "an.tmac" not in line] == []
    assert "Tested by its configuration and SQL" in " ".join(done.stdout.split())


COMPLETIONS = {
    "option": (["--generate"], ["--generate-password"]),
    "service": (["--service", "ke"], ["keystone"]),
    "after =": (["--engine", "=", "p"], ["postgresql"]),
    "release": (["--release", "e"], ["essex"]),
    "nothing for a password": (["--password", "x"], []),
}


@pytest.mark.parametrize(("words", "expected"), COMPLETIONS.values(), ids=COMPLETIONS.keys())
def test_completion_offers_what_fits(tmp_path: Path, words: "list[str]", expected: "list[str]") -> None:
    assert offered(tmp_path, ["openstack-db", *words]) == expected
