# SPDX-License-Identifier: MIT
"""No modules import each other in a circle, and an import inside a function has a reason."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.import_graph import find_circle, module_names, read_imports

ROOT = Path(__file__).resolve().parents[2]
BUILDER = ROOT / "builder"
# Programs of their own, which another Python runs.
APART = BUILDER / "image" / "packages" / "dnfworker"
# Imports of the builder inside functions, (importer's area, imported library or module) -> why.
LATER = {
    ("builder.__main__", "builder.cli"): "a Python that is too old is refused by a sentence of ours",
    ("builder.cli.image", "builder.dib"): "`image --plan` needs none of the engines",
    ("builder.cli.image", "builder.image"): "`image --plan` needs none of the stages",
    ("builder.cli.image", "builder.cli.several"): "one image needs none of the processes of several",
    ("builder.glance", "keystoneauth1"): "half a second to load: only what talks to a cloud pays",
    ("builder.glance", "openstack"): "half a second to load: only what talks to a cloud pays",
    ("builder.image.engine", "builder.image.pipeline"): "an unchanged image needs none of the stages",
    ("builder.kickstart", "pykickstart"): "once, without the library that it would fetch with",
    ("builder.koji", "koji"): "an extra that is not always installed",
    ("builder.koji", "koji_cli"): "an extra that is not always installed",
    ("builder.koji", "requests"): "comes with koji",
    ("builder.versions", "rpm"): "the shim of PyPI starts a process to find the system's",
}


@pytest.mark.parametrize("package", ["builder", "utils/openstack_utils", "tests/support", "tests/rig"])
def test_no_modules_import_each_other_in_a_circle(package: str) -> None:
    imports = read_imports(module_names(ROOT / package, apart=APART))

    assert len(imports) > 5
    assert find_circle(imports) == []


def test_an_import_inside_a_function_has_a_reason() -> None:
    imports = read_imports(module_names(BUILDER, apart=APART))
    used = set()
    for name, one in imports.items():
        for later in one.later:
            reasons = [pair for pair in LATER if _is_below(name, pair[0]) and _is_below(later, pair[1])]
            assert reasons, f"{name} imports {later} inside a function: move it up, or list it with a reason"
            used.update(reasons)

    assert used == set(LATER), "listed, and there no more"


def _is_below(name: str, above: str) -> bool:
    return name == above or name.startswith(f"{above}.")


@pytest.mark.parametrize(
    ("texts", "circle"),
    [
        pytest.param({"a": "import pack.b", "b": ""}, [], id="a chain"),
        pytest.param({"a": "from pack import b", "b": "from .a import x"}, ["a", "b"], id="two"),
        pytest.param({"a": "import pack.b", "b": "def f():\n    import pack.a\n"}, [], id="later"),
        pytest.param(
            {"a": "import pack.b", "b": "if TYPE_CHECKING:\n    import pack.a\n"}, [], id="for types only"
        ),
        pytest.param(
            {"a": "import pack.b", "b": "import pack.c", "c": "import pack.a"}, ["a", "b", "c"], id="three"
        ),
    ],
)
def test_circles_are_found(tmp_path: Path, texts: dict[str, str], circle: list[str]) -> None:
    root = tmp_path / "pack"
    root.mkdir()
    (root / "__init__.py").write_text("")
    for name, text in texts.items():
        (root / f"{name}.py").write_text(text)

    found = find_circle(read_imports(module_names(root)))

    assert sorted({name.removeprefix("pack.") for name in found}) == circle
