# SPDX-License-Identifier: MIT
"""The boundaries between modules, read from the syntax trees."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BUILDER = ROOT / "builder"
# Lower may not import higher. What stands side by side in one row does not import each other either,
# but for the pairs of ALLOWED.
LAYERS = (
    ("errors", "sizes", "repofile"),
    ("destination",),
    ("data", "formats", "report", "files", "memory", "pipes", "places", "zstd"),
    ("tools", "manifest", "releases"),
    ("versions",),
    ("runner", "http"),
    ("download",),
    ("targets", "catalogue", "render"),
    ("kickstart",),
    ("rpm", "image", "guest", "glance", "koji"),
    ("cli",),
    ("__main__",),
)
ALLOWED = {("report", "files"), ("catalogue", "targets"), ("render", "catalogue"), ("render", "targets")}
# A program of its own beside dnf: see its top.
APART = BUILDER / "image" / "packages" / "dnfworker"


def modules() -> list[Path]:
    """Return the modules of builder."""
    return [path for path in sorted(BUILDER.rglob("*.py")) if APART not in path.parents]


@cache
def parse(path: Path) -> ast.Module:
    """Return the syntax tree of a module."""
    return ast.parse(path.read_text())


@cache
def imported(path: Path) -> frozenset[str]:
    """Return the full names that a module imports."""
    names = set()
    for node in ast.walk(parse(path)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {f"{node.module}.{alias.name}" for alias in node.names} | {node.module}
    return frozenset(names)


def area(name: str) -> str | None:
    """Return the part of builder that a full name belongs to."""
    words = name.split(".")
    return words[1] if len(words) > 1 and words[0] == "builder" else None


def test_imports_go_down_only() -> None:
    rank = {name: number for number, row in enumerate(LAYERS) for name in row}
    wrong = []
    for path in modules():
        own = path.relative_to(BUILDER).parts[0].removesuffix(".py")
        if own == "__init__":
            continue
        assert own in rank, f"{own} has no layer"
        for name in imported(path):
            other = area(name)
            if other is None or other == own or other.startswith("__version"):
                continue
            assert other in rank, f"{path}: {name} has no layer"
            if rank[other] >= rank[own] and (own, other) not in ALLOWED:
                wrong.append(f"{path.relative_to(ROOT)} imports {name}")

    assert wrong == []


@pytest.mark.parametrize(
    ("module", "owner"),
    [
        pytest.param("subprocess", "runner.py", id="processes"),
        pytest.param("argparse", "cli", id="the command line"),
    ],
)
def test_a_library_has_one_owner(module: str, owner: str) -> None:
    for path in modules():
        if module in imported(path):
            assert path.relative_to(BUILDER).parts[0] == owner, path


def test_only_main_exits_and_only_the_report_prints() -> None:
    for path in modules():
        for node in ast.walk(parse(path)):
            if not isinstance(node, ast.Call):
                continue
            name = ast.unparse(node.func)
            relative = str(path.relative_to(BUILDER))
            assert name != "print", f"{relative}:{node.lineno}"
            if name in ("sys.exit", "exit", "quit"):
                assert relative == "__main__.py", f"{relative}:{node.lineno}"


def test_utils_and_builder_never_meet() -> None:
    for path in modules():
        assert not any(name.startswith("openstack_utils") for name in imported(path)), path
    for path in (ROOT / "utils").rglob("*.py"):
        assert not any(name.split(".")[0] == "builder" for name in imported(path)), path
