# SPDX-License-Identifier: MIT
"""JSON patches for images (RFC 6902, in the dialect of openstack-images-v2.1-json-patch). Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from builder.glance.description import FIELDS
from builder.glance.images import CloudImage

# Fields that are not strings, as the image that was read has them.
_READ = {"os_hidden": "hidden", "protected": "protected"}


def changes(image: CloudImage, fields: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the JSON patch that gives `image` these fields and properties and no others."""
    patch: list[dict[str, Any]] = []
    for name, value in fields.items():
        if name in FIELDS:
            # Base fields are always there; the formats cannot change once set, and need not.
            there = getattr(image, _READ[name]) if name in _READ else image.properties.get(name)
            if there != value:
                patch.append({"op": "replace", "path": f"/{name}", "value": value})
        elif name not in image.properties:
            patch.append({"op": "add", "path": _pointer(name), "value": value})
        elif image.properties[name] != value:
            patch.append({"op": "replace", "path": _pointer(name), "value": value})
    stale = (name for name in image.properties if name not in FIELDS and name not in fields)
    # What begins with os_glance is the cloud's.
    patch += [{"op": "remove", "path": _pointer(name)} for name in stale if not name.startswith("os_glance")]
    return patch


def set_fields(**values: Any) -> list[dict[str, Any]]:
    """Return the patch that replaces base fields."""
    return [{"op": "replace", "path": f"/{name}", "value": value} for name, value in values.items()]


def set_property(image: CloudImage, name: str, value: str) -> dict[str, Any]:
    """Return the operation that gives an image a property."""
    return {"op": "replace" if name in image.properties else "add", "path": _pointer(name), "value": value}


def remove_properties(image: CloudImage, *names: str) -> list[dict[str, Any]]:
    """Return the operations that take properties away that an image has."""
    return [{"op": "remove", "path": _pointer(name)} for name in names if name in image.properties]


def _pointer(name: str) -> str:
    # RFC 6901: ~ and / have a meaning of their own.
    return "/" + name.replace("~", "~0").replace("/", "~1")
