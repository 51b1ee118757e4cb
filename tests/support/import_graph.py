# SPDX-License-Identifier: MIT
"""What the modules of a package import, read from their syntax trees; and the circles among them."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter
from pathlib import Path


@dataclass
class Imports:
    """What one module imports, by full name: when it is loaded, and inside its functions."""

    at_once: set[str] = field(default_factory=set)
    later: set[str] = field(default_factory=set)


def read_imports(modules: Mapping[str, Path]) -> dict[str, Imports]:
    """Return what each of `modules` (full name -> file) imports."""
    found = {}
    for name, path in modules.items():
        found[name] = Imports()
        package = name if path.name == "__init__.py" else name.rpartition(".")[0]
        for node, is_later in _import_nodes(ast.parse(path.read_text()), is_later=False):
            target = found[name].later if is_later else found[name].at_once
            target.update(_names(node, package, modules))
    return found


def module_names(root: Path, *, apart: Path | None = None) -> dict[str, Path]:
    """Return the modules of the package in the folder `root`, by full name, but for those below `apart`."""
    found = {}
    for path in sorted(root.rglob("*.py")):
        if apart is None or apart not in path.parents:
            words = path.relative_to(root.parent).with_suffix("").parts
            found[".".join(words[:-1] if words[-1] == "__init__" else words)] = path
    return found


def find_circle(imports: Mapping[str, Imports]) -> list[str]:
    """Return modules that import each other in a circle, as they are loaded; an empty list: there is none."""
    graph = {name: {each for each in one.at_once if each in imports} for name, one in imports.items()}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def _import_nodes(parent: ast.AST, *, is_later: bool) -> Iterator[tuple[ast.Import | ast.ImportFrom, bool]]:
    for node in ast.iter_child_nodes(parent):
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield node, is_later
        elif not (isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)):
            inside = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            yield from _import_nodes(node, is_later=is_later or inside)


def _names(node: ast.Import | ast.ImportFrom, package: str, modules: Mapping[str, Path]) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
        return
    origin = node.module or ""
    if node.level:
        words = package.split(".")
        origin = ".".join([*words[: len(words) - node.level + 1], *filter(None, [node.module])])
    for alias in node.names:
        full = f"{origin}.{alias.name}"
        yield full if full in modules else origin
