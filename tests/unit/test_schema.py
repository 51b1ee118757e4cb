# SPDX-License-Identifier: MIT
"""The YAML loader: what it makes of a file, and what it says of a wrong one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Literal

import pytest

from builder.errors import InputError
from builder.schema import FROM_KEY, Reader, load, nearest, show_path


class Colour(StrEnum):
    RED = "red"
    GREEN = "green"


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    size: int
    label: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Thing:
    name: str = field(metadata=FROM_KEY)
    where: str = ""
    colour: Colour
    kind: Literal["thin", "thick"] = "thin"
    version: str = "1"
    ready: bool = False
    path: Path | None = None
    parts: tuple[Part, ...] = ()
    words: Mapping[str, str] = field(default_factory=dict)
    either: str | Part | None = None

    def __post_init__(self) -> None:
        if self.name == "forbidden":
            raise ValueError("is a forbidden name")


GOOD = """\
first:
  colour: red
  kind: thick
  version: 1.10
  ready: yes
  path: /etc/x
  parts:
    - {size: 1, label: no}
    - {size: 2}
  words: {a: 0640, b: "x: y"}
  either: {size: 3}
second:
  colour: green
  either: text
  path: null
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "things.yaml"
    path.write_text(text)
    return path


def test_values_have_the_types_of_the_fields(tmp_path: Path) -> None:
    first, second = load(write(tmp_path, GOOD), dict[str, Thing]).values()

    assert first == Thing(
        name="first",
        where=f"{tmp_path}/things.yaml:1",
        colour=Colour.RED,
        kind="thick",
        version="1.10",
        ready=True,
        path=Path("/etc/x"),
        parts=(Part(size=1, label="no"), Part(size=2)),
        words={"a": "0640", "b": "x: y"},
        either=Part(size=3),
    )
    assert (second.either, second.path, second.where) == ("text", None, f"{tmp_path}/things.yaml:12")


BAD = {
    "unknown key": ("a:\n  colour: red\n  colr: x\n", 3, 'a: unknown key "colr"', "did you mean colour?"),
    "unknown value": ("a:\n  colour: gren\n", 2, 'a: colour: unknown value "gren"', "did you mean green?"),
    "unknown literal": ("a:\n  colour: red\n  kind: thik\n", 3, 'kind: unknown value "thik"', "thick"),
    "missing key": ("x:\n  colour: red\na:\n  ready: no\n", 3, 'a: the key "colour" is missing', ""),
    "key twice": ("a:\n  colour: red\n  ready: no\n  ready: yes\n", 4, '"ready" is given twice', ""),
    "object twice": ("a: {colour: red}\na: {colour: red}\n", 2, '"a" is given twice (first in line 1)', ""),
    "not a number": ("a:\n  colour: red\n  parts:\n  - {size: x}\n", 4, "expected a whole number", ""),
    "not a truth": ("a:\n  colour: red\n  ready: maybe\n", 3, 'expected yes or no, found "maybe"', ""),
    "not a list": ("a:\n  colour: red\n  parts: x\n", 3, "parts: expected a list, found a value", ""),
    "not a mapping": ("a:\n  - x\n", 2, "a: expected a mapping, found a list", ""),
    "list for a value": ("a:\n  colour: [red]\n", 2, "expected a value, found a list", ""),
    "nothing for text": ("a:\n  colour: red\n  version:\n", 3, "expected text, found nothing", ""),
    "own check": ("forbidden:\n  colour: red\n", 1, "forbidden: is a forbidden name", ""),
    "not YAML": ("a:\n  colour: red\n b: x\n", 3, "not YAML:", ""),
    "tab": ("a:\n\tcolour: red\n", 2, "not YAML:", ""),
    "key that is a list": ("a:\n  [x]: y\n  colour: red\n", 2, "a key must be text", ""),
}


@pytest.mark.parametrize(("text", "line", "message", "hint"), BAD.values(), ids=BAD.keys())
def test_a_mistake_is_reported_with_file_line_and_a_way_out(
    tmp_path: Path, text: str, line: int, message: str, hint: str
) -> None:
    path = write(tmp_path, text)

    with pytest.raises(InputError) as caught:
        load(path, dict[str, Thing])

    lines = "\n".join(caught.value.lines())
    assert f"error: {path}:{line}: " in lines
    assert message in lines
    assert hint in lines
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("data", "message"),
    [(None, "no such file"), (b"", "empty"), (b"# only a comment\n", "empty"), (b"a: \xff\n", "not UTF-8")],
    ids=["missing", "empty", "comment only", "not UTF-8"],
)
def test_an_unreadable_file_is_reported_by_name(tmp_path: Path, data: bytes | None, message: str) -> None:
    path = tmp_path / "things.yaml"
    if data is not None:
        path.write_bytes(data)

    with pytest.raises(InputError, match=message) as caught:
        load(path, dict[str, Thing])

    assert str(path) in caught.value.lines()[0]


def test_all_mistakes_of_all_files_are_reported_at_once(tmp_path: Path) -> None:
    reader = Reader()
    for number in (1, 2):
        path = tmp_path / f"{number}.yaml"
        path.write_text("a: {colour: blue, kind: broad}\nb: {ready: no}\n")
        assert reader.read(path, dict[str, Thing]) is None

    with pytest.raises(InputError) as caught:
        reader.check()

    reported = [line for line in caught.value.lines() if line.startswith("error")]
    assert len(reported) == 6
    assert sum("2.yaml" in line for line in reported) == 3


def test_paths_below_the_current_folder_are_shown_short(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    assert show_path(tmp_path / "a" / "b.yaml") == "a/b.yaml"
    assert show_path(Path("/elsewhere/b.yaml")) == "/elsewhere/b.yaml"


def test_nearest_word_is_none_when_nothing_is_near() -> None:
    assert nearest("epel9", ["epel-9", "fedora-45"]) == "epel-9"
    assert nearest("zzz", ["epel-9", "fedora-45"]) is None
