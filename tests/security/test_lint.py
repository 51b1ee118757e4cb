# SPDX-License-Identifier: MIT
"""The boundary, held in the source: what must not be used, and who alone may use what."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from builder import seccomp
from builder.errors import BuildError
from tests.unit.test_imports import BUILDER, imported, modules, parse

# The tree's place inside. Who may name it: those that mount it, hand it to a room as a whole, or open its
# root; everybody else goes by `builder.image.tree.files`.
MAY_NAME_THE_TREE = {
    "image/build.py": "defines it",
    "image/isolation/sandbox.py": "binds it into rooms",
    "image/stages/install.py": "names it to rpm, in a room",
    "image/packages/rpmdb.py": "names it to rpm, in a room",
    "image/cache/trees.py": "packs it before scripts have run, and unpacks that",
    "image/tree/tree.py": "mounts it, opens its root",
}
MAY_PICKLE: set[str] = set()
# Programs that parse an image: none runs outside a room.
PARSERS = (
    "qemu-img",
    "blkid",
    "e2fsck",
    "debugfs",
    "fsck.vfat",
    "mdir",
    "mcopy",
    "rpm",
    "rpmdb",
    "zstd",
    "xfs_repair",
    "gpg",
)


def name_of(path: Path) -> str:
    """Return the path as the tables above have it."""
    return str(path.relative_to(BUILDER))


def test_only_a_few_modules_name_the_tree() -> None:
    naming = {name_of(path) for path in modules() if "builder.image.build.TREE" in imported(path)}
    naming |= {name_of(path) for path in modules() if re.search(r'["\']/tree\b', path.read_text())}

    # dnf gets it as text, in its request.
    assert naming - {"image/packages/dnf.py", "image/isolation/root.py"} == set(MAY_NAME_THE_TREE) & naming


@pytest.mark.parametrize("module", ["pickle", "marshal", "shelve", "dill"])
def test_nothing_is_unpickled(module: str) -> None:
    assert {name_of(path) for path in modules() if module in imported(path)} == MAY_PICKLE


def test_openat2_has_one_owner() -> None:
    assert {name_of(path) for path in modules() if re.search(r'call\(\s*"openat2"', path.read_text())} == {
        "image/tree/files.py"
    }


def test_numbers_of_system_calls_stand_in_one_table() -> None:
    calling = {
        name_of(path)
        for path in modules()
        if re.search(r"libc\.syscall\(|_SYS_[A-Z]+\b.* = ", path.read_text())
    }

    assert calling == {"calls.py"}


def test_a_machine_without_numbers_is_refused_not_left_open() -> None:
    with pytest.raises(BuildError, match="system calls of s390x"):
        seccomp.compile_rules(seccomp.BASE, "s390x")


def test_programs_that_parse_an_image_run_in_rooms() -> None:
    outside = []
    for path in modules():
        if not name_of(path).startswith(("guest/", "conversion.py", "image/packages/")):
            continue
        for node in ast.walk(parse(path)):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
                continue
            if node.func.attr not in ("run", "stream", "spawn") or not node.args:
                continue
            first = node.args[0]
            words = first.elts[:1] if isinstance(first, ast.List) else []
            outside += [
                f"{name_of(path)}:{node.lineno}"
                for word in words
                if isinstance(word, ast.Constant) and word.value in PARSERS
            ]

    assert outside == []


def test_every_recipe_names_a_test_that_is_there() -> None:
    folder = Path(__file__).parents[1]
    defined = {path.stem for path in folder.rglob("test_*.py")}
    for path in folder.rglob("test_*.py"):
        defined |= set(re.findall(r"def (test_\w+)", path.read_text()))
    named = re.findall(r"test_\w+", Path(__file__).with_name("README.md").read_text())

    assert len(named) > 40
    assert [name for name in named if not any(one.startswith(name) for one in defined)] == []
