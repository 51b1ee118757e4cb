# SPDX-License-Identifier: MIT
"""cloud-init's configuration in an image."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping
from typing import Any

from builder.guest.outcome import not_applicable
from builder.guest.settings import read_yaml
from builder.guest.tree import ImageTree

MAIN, DROP_INS = "/etc/cloud/cloud.cfg", "/etc/cloud/cloud.cfg.d"


def read_cloud_config(tree: ImageTree, only: Container[str] | None = None) -> dict[str, Any]:
    """Return cloud.cfg with the drop-ins merged over it, in their order; with `only`, of those paths alone.

    Raises:
        CannotCheck: cloud-init is not in the image.
    """
    if not tree.is_file("/usr/bin/cloud-init") and not tree.is_file(MAIN):
        raise not_applicable("the image has no cloud-init")
    merged: dict[str, Any] = {}
    drop_ins = [f"{DROP_INS}/{name}" for name in tree.names(DROP_INS) if name.endswith(".cfg")]
    for path in (MAIN, *drop_ins):
        if only is not None and path not in only:
            continue
        part = read_yaml(tree.text(path), path)
        if isinstance(part, dict):
            _merge(merged, part)
    return merged


def unknown_datasources(tree: ImageTree, config: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the names of datasource_list that the image's cloud-init has no module for.

    Each is `DataSource` and its name, in whatever case (cloudinit/sources: find_source,
    match_case_insensitive_module_name). None are returned where no modules are found, of a python that keeps
    its packages elsewhere, or where the list is none; cloud-init ignores a module that is not there.
    """
    listed = config.get("datasource_list")
    known = {name.removesuffix(".py").lower() for folder in _modules(tree) for name in tree.names(folder)}
    if not known or not isinstance(listed, list):
        return ()
    names = [str(name) for name in listed]
    return tuple(
        name for name in names if f"datasource{name.lower().removeprefix('datasource')}" not in known
    )


def _modules(tree: ImageTree) -> Iterator[str]:
    """Yield the folders with cloud-init's sources of metadata."""
    for library in ("/usr/lib", "/usr/lib64"):
        for python in tree.names(library):
            for packages in ("site-packages", "dist-packages"):
                if python.startswith("python"):
                    yield f"{library}/{python}/{packages}/cloudinit/sources"


def _merge(into: dict[str, Any], other: dict[str, Any]) -> None:
    """Merge as cloud-init does by default: mappings key by key, all else replaced."""
    for key, value in other.items():
        if isinstance(value, dict) and isinstance(into.get(key), dict):
            _merge(into[key], value)
        else:
            into[key] = value
