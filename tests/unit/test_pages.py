# SPDX-License-Identifier: MIT
"""The pages for people name what there is: commands, stages and recipes follow the code."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from builder.cli import COMMANDS
from builder.image.pipeline import STAGES

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
ARCHITECTURE = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
PAGES = {"README": README, "architecture": ARCHITECTURE, "CONTRIBUTING": CONTRIBUTING}


def test_the_example_of_the_architecture_shows_the_stages_in_their_order() -> None:
    shown = re.findall(r"^ *\[(\d+)/(\d+)\] (.+?)  ", ARCHITECTURE, re.MULTILINE)

    count = str(len(STAGES))
    expected = [(str(number), count, stage.name) for number, stage in enumerate(STAGES, 1)]
    assert shown == expected, "docs/architecture.md: the example shows each stage of STAGES, numbered"


def test_the_table_of_the_architecture_has_every_stage_in_its_order() -> None:
    rows = re.findall(r"^\| (.+?) \| (?:sandbox|host)", ARCHITECTURE, re.MULTILINE)

    named = ", ".join(rows).split(", ")
    assert named == [stage.name for stage in STAGES], "docs/architecture.md: a row for each of STAGES"


def test_the_readme_names_every_command() -> None:
    rows = " ".join(re.findall(r"^\| (`.+?) \|", README, re.MULTILINE))

    assert [name for name in COMMANDS if not re.search(rf"`{name}\b", rows)] == []


@pytest.mark.parametrize("page", PAGES)
def test_files_and_folders_that_a_page_names_exist(page: str) -> None:
    named = re.findall(r"`((?:builder|specs|tests|docs|kickstarts|utils)/[\w./-]+)`", PAGES[page])
    # PROJECT and the like stand for a name.
    named = [path for path in named if not re.search(r"[A-Z]{5}", path.removesuffix("README.md"))]

    assert named
    assert [path for path in named if not (ROOT / path).exists()] == []
