# SPDX-License-Identifier: MIT
"""package-installs.yaml: the packages that elements want, and those that they want removed.

They are installed with the kickstart's, before any phase: by one solver, with signatures checked. What an
element has removed is not installed in the first place.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from builder import json_text, yaml_text
from builder.kickstart.elements.maps import split
from builder.kickstart.elements.read import place_of, text_of
from builder.kickstart.findings import Findings
from builder.kickstart.place import Place
from builder.kickstart.plan import Element
from builder.schema import did_you_mean

# diskimage-builder's words for architectures (ARCH).
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
FILES = ("package-installs.yaml", "package-installs.json")
_KEYS = (
    "phase", "uninstall", "build-only", "installtype", "arch", "not-arch", "dib_python_version", "when",
)  # fmt: skip
_PHASES = ("pre-install.d", "install.d", "post-install.d")
_WHEN = re.compile(r"(?P<name>\w+)\s*(?P<sign>!?=)\s*(?P<value>.*)")
# The old form: a list in a phase's folder.
_LIST = re.compile(r"(pre-install|install|post-install)\.d/package-installs-(?P<element>.+)")


@dataclass(kw_only=True)
class ElementPackages:
    """Packages by name -> (element, place): to install, to remove, and to install for the build only."""

    installed: dict[str, tuple[str, Place]] = field(default_factory=dict)
    removed: dict[str, tuple[str, Place]] = field(default_factory=dict)
    build_only: dict[str, tuple[str, Place]] = field(default_factory=dict)

    def settle(self, findings: Findings) -> None:
        """Let who wants a package keep it, whatever others say; refuse what is wanted for the build only."""
        for name in self.installed:
            self.removed.pop(name, None)
            self.build_only.pop(name, None)
        for name, (element, place) in self.build_only.items():
            findings.error(
                place,
                f"element {element}: {name} is build-only, and a build never removes a package",
                "package what the build makes, or let diskimage-builder make the image: --engine dib",
            )


@dataclass(kw_only=True)
class Conditions:
    """What rows are chosen by. `variables`: None where only bash knows."""

    architecture: str
    variables: Mapping[str, str | None]

    def install_type(self, element: str) -> str:
        """Return how an element is installed: from source or packages."""
        default = self.variables.get("DIB_DEFAULT_INSTALLTYPE") or "source"
        return self.variables.get(f"DIB_INSTALLTYPE_{element.replace('-', '_')}") or default


def collect(
    element: Element,
    names: Mapping[str, str],
    conditions: Conditions,
    wanted: ElementPackages,
    findings: Findings,
) -> None:
    """Add what an element says to `wanted`.

    Args:
        names: its pkg-map.
    """
    for path in FILES:
        for name, options, place in _rows(element, path, findings):
            _take(element, names, name, options, place, conditions, wanted, findings)
    for file in element.files:
        if match := _LIST.fullmatch(file.path):
            for number, line in enumerate(file.content.decode(errors="replace").splitlines(), 1):
                _take_line(element, names, line, place_of(element, file.path, number), match, wanted)


def _take(
    element: Element,
    names: Mapping[str, str],
    name: str,
    options: Mapping[str, Any],
    place: Place,
    conditions: Conditions,
    wanted: ElementPackages,
    findings: Findings,
) -> None:
    for key in options:
        if key not in _KEYS:
            findings.error(place, f"package-installs: {name}: there is no {key}", did_you_mean(key, _KEYS))
    if options.get("phase", "install.d") not in _PHASES:
        findings.error(
            place,
            f"package-installs: {name}: no packages are installed in the phase {options['phase']}",
            f"one of {', '.join(_PHASES)}",
        )
    if "arch" in options and "not-arch" in options:
        findings.error(place, f"package-installs: {name}: has both arch and not-arch", "keep one of them")
    if not _fits(element, name, options, place, conditions, findings):
        return
    for package in split([name], names):
        if "build-only" in options:
            wanted.build_only.setdefault(package, (element.name, place))
        elif "uninstall" in options:
            wanted.removed.setdefault(package, (element.name, place))
        else:
            wanted.installed.setdefault(package, (element.name, place))


def _fits(
    element: Element,
    name: str,
    options: Mapping[str, Any],
    place: Place,
    conditions: Conditions,
    findings: Findings,
) -> bool:
    """Say whether a row is for this image."""
    here = ARCHITECTURES.get(conditions.architecture, conditions.architecture)
    if "arch" in options and here not in _words(options["arch"]):
        return False
    if "not-arch" in options and here in _words(options["not-arch"]):
        return False
    if options.get("installtype", conditions.install_type(element.name)) != conditions.install_type(
        element.name
    ):
        return False
    python = str(options.get("dib_python_version", ""))
    if python and python != (conditions.variables.get("DIB_PYTHON_VERSION") or "3"):
        return False
    statements = options.get("when") or []
    statements = statements if isinstance(statements, list) else [statements]
    # Each is judged, also after one that does not hold.
    held = [_holds(str(one), name, place, conditions, findings) for one in statements]
    return all(held)


def _holds(statement: str, name: str, place: Place, conditions: Conditions, findings: Findings) -> bool:
    match = _WHEN.fullmatch(statement.strip())
    if match is None:
        findings.error(
            place,
            f"package-installs: {name}: when: {statement!r} is not understood",
            "NAME=VALUE or NAME!=VALUE",
        )
        return False
    variable = match["name"]
    if conditions.variables.get(variable) is None:
        why = "is set by a program of environment.d" if variable in conditions.variables else "is not set"
        findings.error(
            place,
            f"package-installs: {name}: when: {variable} {why}",
            f"set it in the environment: {variable}=… openstack-builder image …"
            + ("" if variable.startswith("DIB_") else f" --element-env {variable}"),
        )
        return False
    return (conditions.variables[variable] == match["value"]) == (match["sign"] == "=")


def _take_line(
    element: Element,
    names: Mapping[str, str],
    line: str,
    place: Place,
    match: re.Match[str],
    wanted: ElementPackages,
) -> None:
    name = line.strip()
    if not name or name.startswith("#"):
        return
    chosen = wanted.removed if name.startswith("-") else wanted.installed
    for package in split([name.removeprefix("-")], names if match["element"] == element.name else {}):
        chosen.setdefault(package, (element.name, place))


def _words(text: object) -> list[str]:
    return [word.strip() for word in str(text).split(",")]


def _rows(element: Element, path: str, findings: Findings) -> Iterator[tuple[str, Mapping[str, Any], Place]]:
    """Yield name, options and place of every row of a file."""
    text = text_of(element, path)
    if text is None:
        return
    try:
        lines = _lines(text)
        data = json_text.parse(text) if path.endswith(".json") else yaml_text.load(text)
    except (ValueError, yaml.YAMLError) as error:
        line, reason = yaml_text.fault(error)
        findings.error(place_of(element, path, line), f"{path}: {reason}")
        return
    if data is not None and not isinstance(data, Mapping):
        findings.error(place_of(element, path), f"{path} is not a mapping of packages")
        return
    for name, rows in (data or {}).items():
        place = place_of(element, path, lines.get(str(name), 1))
        for row in rows if isinstance(rows, list) else [rows]:
            if row is not None and not isinstance(row, Mapping):
                findings.error(
                    place, f"package-installs: {name}: {row!r} is not a mapping", "NAME: {KEY: VALUE}"
                )
                continue
            yield str(name), row or {}, place


def _lines(text: str) -> dict[str, int]:
    """Return the line of each package."""
    node = yaml_text.compose(text)
    if not isinstance(node, yaml.MappingNode):
        return {}
    return {str(key.value): key.start_mark.line + 1 for key, _ in node.value}
