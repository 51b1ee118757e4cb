# SPDX-License-Identifier: MIT
"""Every operation and option exists in every dialect, but for what crudini refuses."""

import itertools
from pathlib import Path

import pytest

from tests.support.config_tool import config

SAMPLE = "[s]\na=1\nl=x,y\nm=1\nm=2\n#off=1\n"
# id: (arguments, then what `--get --format=lines` gives for [s])
CALLS = {
    "set": (["--set", "f", "s", "a", "2"], "a = 2|l = x,y|m = 1|m = 2"),
    "set a new one": (["--set", "f", "s", "n", "2"], "a = 1|l = x,y|m = 1|m = 2|n = 2"),
    "set all": (["--set", "--all", "f", "s", "m", "3", "4", "5"], "a = 1|l = x,y|m = 3|m = 4|m = 5"),
    "add": (["--add", "f", "s", "m", "3"], "a = 1|l = x,y|m = 1|m = 2|m = 3"),
    "del": (["--del", "f", "s", "m"], "a = 1|l = x,y"),
    "del a value": (["--del", "f", "s", "m", "1"], "a = 1|l = x,y|m = 2"),
    "list add": (["--set", "--list", "f", "s", "l", "z"], "a = 1|l = x,y,z|m = 1|m = 2"),
    "list del": (["--del", "--list", "f", "s", "l", "x"], "a = 1|l = y|m = 1|m = 2"),
    "list sep": (["--set", "--list", "--list-sep=:", "f", "s", "a", "2"], "a = 1:2|l = x,y|m = 1|m = 2"),
    "comment": (["--comment", "f", "s", "a"], "l = x,y|m = 1|m = 2"),
    "uncomment": (["--uncomment", "f", "s", "off"], "a = 1|l = x,y|m = 1|m = 2|off = 1"),
    "merge": (["--merge", "f"], "a = 9|l = x,y|m = 1|m = 2"),
    "from": (["--from", "-", "f"], "a = 9|l = x,y|m = 1|m = 2"),
    "value file": (["--set", "f", "s", "a", "--value-file=-"], "a = [s] a=9|l = x,y|m = 1|m = 2"),
    "existing": (["--set", "--existing", "f", "s", "a", "2"], "a = 2|l = x,y|m = 1|m = 2"),
    "in place": (["--set", "--inplace", "f", "s", "a", "2"], "a = 2|l = x,y|m = 1|m = 2"),
    "escape": (["--set", "--escape", "f", "s", "a", "2"], "a = 2|l = x,y|m = 1|m = 2"),
    "dry run": (["--set", "--dry-run", "--diff", "f", "s", "a", "2"], "a = 1|l = x,y|m = 1|m = 2"),
    "backup": (["--set", "--backup", "f", "s", "a", "2"], "a = 2|l = x,y|m = 1|m = 2"),
    "spaces": (["--set", "--ini-options=space", "f", "s", "a", "2"], "a = 2|l = x,y|m = 1|m = 2"),
    "two operations": (["--set", "f", "s", "a", "2", "--del", "f", "s", "l"], "a = 2|m = 1|m = 2"),
}


# crudini itself refuses a value there.
NOT_THERE = ("crudini", "del a value")
PAIRS = [pair for pair in itertools.product(["oslo", "crudini", "systemd"], CALLS) if pair != NOT_THERE]


@pytest.mark.parametrize(("dialect", "case"), PAIRS, ids=" ".join)
def test_every_dialect_does(folder: Path, monkeypatch: pytest.MonkeyPatch, dialect: str, case: str) -> None:
    arguments, expected = CALLS[case]
    monkeypatch.chdir(folder)
    (folder / "f").write_text(SAMPLE)
    given = "[s] a=9" if case == "value file" else "[s]\na=9\n"

    result = config(f"--dialect={dialect}", *arguments, stdin=given)

    assert result.code == 0, result.err
    shown = config(f"--dialect={dialect}", "--get", "--all", "--format=lines", "f", "s").out
    assert shown == "".join(f"[ s ] {option}\n" for option in expected.split("|"))
    assert config(f"--dialect={dialect}", "--check", "f").code == 0
    assert config(f"--dialect={dialect}", "--get", "--json", "f").out.startswith('{"s": {')


def test_other_bytes_are_kept_where_a_dialect_can_live_with_them(folder: Path) -> None:
    path = folder / "f"
    path.write_bytes(b"[s]\n# caf\xe9\na=1\n")
    assert config("--dialect=systemd", "--set", path, "s", "a", "2").code == 0
    assert path.read_bytes() == b"[s]\n# caf\xe9\na=2\n"
    refused = config("--dialect=crudini", "--set", path, "s", "a", "2")
    assert (refused.code, path.read_bytes()) == (1, b"[s]\n# caf\xe9\na=2\n")
    assert "offset 9" in refused.err
