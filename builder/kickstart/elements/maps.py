# SPDX-License-Identifier: MIT
"""pkg-map and svc-map: what a name of an element is called on a distribution."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from builder import json_text, yaml_text
from builder.kickstart.elements.read import place_of, text_of
from builder.kickstart.findings import Findings
from builder.kickstart.plan import Element, MappedName

# diskimage-builder's words for families (elements/pkg-map): all that we build for is one of these.
FAMILY = "redhat"


@dataclass(frozen=True, kw_only=True, slots=True)
class Distribution:
    """What elements know a target by: DISTRO_NAME, DIB_RELEASE, DIB_INIT_SYSTEM."""

    name: str
    release: str
    init: str


def package_map(element: Element, distribution: Distribution, findings: Findings) -> dict[str, str]:
    """Return the pkg-map of an element; of release, distro, family and default the first that has a name."""
    data = _read(element, "pkg-map", findings)
    release = "8" if distribution.release == "8-stream" else distribution.release
    found: dict[str, str] = {}
    for part in (
        data.get("default"),
        _below(data, "family", FAMILY),
        _below(data, "distro", distribution.name),
        _below(data, "release", distribution.name, release),
    ):
        if isinstance(part, Mapping):
            found |= {str(name): str(mapped or "") for name, mapped in part.items()}
    return found


def service_map(element: Element, distribution: Distribution, findings: Findings) -> dict[str, str]:
    """Return the svc-map of an element."""
    found = {}
    for service, names in _read(element, "svc-map", findings).items():
        if isinstance(names, Mapping):
            ways = (distribution.name, FAMILY, "default")
            found[str(service)] = str(next((names[way] for way in ways if way in names), service))
    return found


def as_rows(element: Element, names: Mapping[str, str]) -> Iterator[MappedName]:
    """Yield the rows of a map, for the programs that answer from it."""
    for name, mapped in names.items():
        yield MappedName(element=element.name, name=name, mapped=mapped)


def split(names: Iterable[str], known: Mapping[str, str]) -> Iterator[str]:
    """Yield the packages that `names` are; a map may say several for one, or none."""
    for name in names:
        yield from known.get(name, name).split()


def _read(element: Element, path: str, findings: Findings) -> Mapping[str, Any]:
    """Return the mapping in a file: JSON, which is YAML as well."""
    text = text_of(element, path)
    if text is None or not text.strip():
        return {}
    try:
        # JSON may have tabs, which YAML refuses.
        data = json_text.parse(text)
    except ValueError:
        try:
            data = yaml_text.load(text)
        except yaml.YAMLError as error:
            line, reason = yaml_text.fault(error)
            findings.error(place_of(element, path, line), f"{path}: {reason}")
            return {}
    if not isinstance(data, Mapping):
        findings.error(place_of(element, path), f"{path} is not a mapping")
        return {}
    return data


def _below(data: Mapping[str, Any], *names: str) -> object:
    value: object = data
    for name in names:
        value = value.get(name) if isinstance(value, Mapping) else None
    return value
