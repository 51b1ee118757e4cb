# SPDX-License-Identifier: MIT
"""The boundaries between modules, read from the syntax trees."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BUILDER = ROOT / "builder"
UTILS = ROOT / "utils" / "openstack_utils"
# Lower may not import higher. What stands side by side in one row does not import each other either,
# but for the pairs of ALLOWED.
LAYERS = (
    ("errors", "folders", "masking", "sizes", "repofile", "choices", "digesting", "json_text", "yaml_text"),
    ("calls", "destination", "limits"),
    ("lifetime", "seccomp"),
    ("schema", "formats", "report", "files", "memory", "ordered", "pipes", "places", "zstd"),
    ("entries", "tools", "manifest", "page", "releases", "timeline"),
    ("versions",),
    ("runner", "http", "outliving"),
    ("bubblewrap", "idmap"),
    ("lowered",),
    ("room",),
    ("download", "conversion"),
    ("targets", "catalogue", "render"),
    ("kickstart",),
    ("rpm", "image", "guest", "glance", "koji"),
    ("dib",),
    ("cli",),
    ("__main__",),
)
ALLOWED = {("report", "files"), ("catalogue", "targets"), ("render", "catalogue"), ("render", "targets")}
# A program of its own that imports dnf: see its top.
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


def test_one_module_of_each_reads_json_since_python_ends_at_some_depth() -> None:
    for path in (*modules(), *utilities()):
        calls = [ast.unparse(node.func) for node in ast.walk(parse(path)) if isinstance(node, ast.Call)]
        assert path.name == "json_text.py" or not {"json.load", "json.loads"} & set(calls), path


# The same of openstack_utils.
UTILITY_LAYERS = (
    ("errors", "json_text"),
    ("host", "yaml_file"),
    ("storage", "services"),
    ("editor", "sources"),
    ("ini",),
    ("config", "keystone"),
    ("db", "sample_data", "service"),
    ("demo", "status"),
)


def utilities() -> list[Path]:
    """Return the modules of openstack_utils; what a package bundles is not ours."""
    return [path for path in sorted(UTILS.rglob("*.py")) if UTILS / "bundled" not in path.parents]


def test_imports_of_the_utilities_go_down_only() -> None:
    rank = {name: number for number, row in enumerate(UTILITY_LAYERS) for name in row}
    wrong = []
    for path in utilities():
        own = path.relative_to(UTILS).parts[0].removesuffix(".py")
        if own == "__init__":
            continue
        assert own in rank, f"{own} has no layer"
        for name in imports_of(path, "openstack_utils"):
            other = name.split(".")[1]
            if other not in (own, "VERSION", "bundled", "__init__") and rank[other] >= rank[own]:
                wrong.append(f"{path.relative_to(ROOT)} imports {name}")

    assert wrong == []


def imports_of(path: Path, package: str) -> set[str]:
    """Return the modules of `package` that one of its modules imports, by their full names."""
    folder = UTILS.parent if package == "openstack_utils" else ROOT
    own = path.relative_to(folder).with_suffix("").parts
    found = set()
    for node in ast.walk(parse(path)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            start = own[: len(own) - node.level] if node.level else ()
            base = ".".join((*start, node.module) if node.module else start)
            for alias in node.names:
                name = f"{base}.{alias.name}"
                as_path = folder.joinpath(*name.split("."))
                is_module = as_path.with_suffix(".py").is_file() or as_path.is_dir()
                found.add(name if is_module else base)
    return {name for name in found if name.startswith(package + ".")}


@pytest.mark.parametrize("package", ["builder", "openstack_utils"])
def test_no_modules_import_each_other_in_a_circle(package: str) -> None:
    folder = UTILS.parent if package == "openstack_utils" else ROOT
    graph = {
        ".".join(path.relative_to(folder).with_suffix("").parts): imports_of(path, package)
        for path in (utilities() if package == "openstack_utils" else modules())
        if path.name != "__init__.py"
    }
    while leaves := [name for name, used in graph.items() if not used & graph.keys()]:
        for name in leaves:
            del graph[name]
    while tops := [name for name in graph if not any(name in used for used in graph.values())]:
        for name in tops:
            del graph[name]

    assert sorted(graph) == []


def test_one_module_of_the_utilities_starts_processes() -> None:
    for path in utilities():
        if "subprocess" in imported(path):
            assert path.relative_to(UTILS).as_posix() == "host/processes.py", path


def test_utils_and_builder_never_meet() -> None:
    for path in modules():
        assert not any(name.startswith("openstack_utils") for name in imported(path)), path
    for path in (ROOT / "utils").rglob("*.py"):
        assert not any(name.split(".")[0] == "builder" for name in imported(path)), path
