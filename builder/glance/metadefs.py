# SPDX-License-Identifier: MIT
"""Properties compared with the definitions of the cloud (Glance's metadefs), where it has them.

A namespace for images defines properties, each with a type (JSON schema) and perhaps the values that it may
have; an association may put a prefix before their names.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping
from typing import Any

from builder.errors import Problem
from builder.glance.images import Images

RESOURCE = "OS::Glance::Image"
TRUTH = ("true", "false", "yes", "no", "1", "0")


def read_definitions(images: Images, wanted: Mapping[str, str]) -> dict[str, Mapping[str, Any]]:
    """Return the definitions of properties of images, by name; nothing where the cloud has none.

    Namespaces are read until all of `wanted` are defined.
    """
    found: dict[str, Mapping[str, Any]] = {}
    for namespace, prefix in images.namespaces(RESOURCE):
        if not set(wanted) - set(found):
            break
        for name, definition in images.definitions(namespace).items():
            if isinstance(definition, dict):
                found[f"{prefix}{name}"] = definition
    return found


def find_faults(properties: Mapping[str, str], defined: Mapping[str, Mapping[str, Any]]) -> Iterator[Problem]:
    """Return what of the properties does not fit its definition."""
    for name, value in properties.items():
        definition = defined.get(name)
        fault = _fault(value, definition) if definition else None
        if fault:
            near = difflib.get_close_matches(
                value, [str(each) for each in (definition or {}).get("enum") or ()], 1
            )
            yield Problem(
                where=f"{name}={value}", message=fault, hint=f"did you mean {near[0]}?" if near else None
            )


def _fault(value: str, definition: Mapping[str, Any]) -> str | None:
    allowed = definition.get("enum")
    if isinstance(allowed, list) and allowed and value not in map(str, allowed):
        shown = ", ".join(str(each) for each in allowed[:12]) + (", ..." if len(allowed) > 12 else "")
        return f"the cloud takes one of {shown}"
    kind = definition.get("type")
    if kind == "boolean" and value.lower() not in TRUTH:
        return "the cloud takes true or false"
    if kind in ("integer", "number"):
        try:
            number = float(value) if kind == "number" else int(value)
        except ValueError:
            return "the cloud takes a number"
        low, high = definition.get("minimum"), definition.get("maximum")
        if (isinstance(low, int | float) and number < low) or (
            isinstance(high, int | float) and number > high
        ):
            return f"the cloud takes a number from {low} to {high}"
    pattern = definition.get("pattern")
    if kind == "string" and isinstance(pattern, str):
        try:
            fits = re.search(pattern, value)
        except re.error:
            return None
        if not fits:
            return f"the cloud takes text like {pattern}"
    return None
