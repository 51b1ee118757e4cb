# SPDX-License-Identifier: MIT
"""A kickstart as one file: nothing lost, and the plan as before."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from builder.errors import InputError
from builder.kickstart.choices import Choices
from builder.kickstart.flatten import flatten
from builder.kickstart.images import load_images
from builder.kickstart.planner import load_plan


def write(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        (folder / f"{name}.ks").write_bytes(text.encode(errors="surrogateescape"))
    return folder / "main.ks"


def test_includes_are_replaced_and_comments_kept(tmp_path: Path) -> None:
    main = write(tmp_path, main="# one\n%include part.ks\nlang C\n", part="# two\ntimezone UTC\n")

    assert flatten(main) == "# one\n# two\ntimezone UTC\nlang C\n"


def test_an_include_inside_a_section_stays_in_it(tmp_path: Path) -> None:
    main = write(tmp_path, main="%packages\nbash\n%include more.ks\n%end\n", more="vim\n")

    assert flatten(main) == "%packages\nbash\nvim\n%end\n"


@pytest.mark.parametrize("name", ["/tmp/made-by-pre-4711", "https://example.org/x.ks"])
def test_what_is_not_here_stays_an_include(tmp_path: Path, name: str) -> None:
    main = write(tmp_path, main=f"%include {name}\n")

    assert flatten(main) == f"%include {name}\n"


@pytest.mark.parametrize(
    ("files", "message"),
    [
        pytest.param({"main": "%include main.ks\n"}, "includes itself", id="a circle"),
        pytest.param({"main": "%include nosuch.ks\n"}, "no such file", id="a missing file"),
        pytest.param(
            {"main": "lang C\n%include u16.ks\n", "u16": "\udcff"}, "u16.ks:1: not UTF-8", id="not a text"
        ),
        pytest.param({"main": "%include 'x\n"}, "%include: no closing quotation", id="a lost quote"),
    ],
)
def test_what_cannot_be_resolved_is_refused(tmp_path: Path, files: dict[str, str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        flatten(write(tmp_path, **files))


@pytest.mark.parametrize("image", load_images(), ids=lambda image: image.name)
def test_the_plan_stays_the_same(tmp_path: Path, image: object) -> None:
    from builder.kickstart.images import ImageSource

    assert isinstance(image, ImageSource)
    flat = tmp_path / f"{image.name}.ks"
    flat.write_text(flatten(image.path))
    choices = Choices(name=image.name, repositories=image.repositories, default_user=image.default_user)

    before = load_plan(image.path, target=image.target, choices=choices)
    after = load_plan(flat, target=image.target, choices=choices)

    assert "%include" not in flat.read_text()
    places = {"kickstarts": (), "kickstart_digests": (), "warnings": (), "notes": ()}
    assert describe(replace(before, **places)) == describe(replace(after, **places))


def describe(plan: object) -> str:
    """Return a plan as text, without the places of its lines, which move."""
    import re

    return re.sub(r"Place\([^()]*(\([^()]*\))?[^()]*\)", "Place", repr(plan))
