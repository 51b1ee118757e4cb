# SPDX-License-Identifier: MIT
"""What an image's manifest says of its packages, as a content generator names them."""

from __future__ import annotations

import re

from builder.errors import InputError
from builder.koji.contentgenerator import Component
from builder.manifest import ImageManifest, InstalledPackage

_NEVRA = re.compile(
    r"(?P<name>.+)-(?:(?P<epoch>\d+):)?(?P<version>[^-]+)-(?P<release>[^-]+)\.(?P<arch>[^.-]+)"
)


def list_components(manifest: ImageManifest) -> tuple[Component, ...]:
    """Return the packages of an image.

    Raises:
        InputError: the manifest is of an older builder, which did not write by which digest Koji knows them.
    """
    unknown = [package.nevra for package in manifest.packages if package.sigmd5 is None]
    if unknown:
        raise InputError(
            f"the manifest of {manifest.name} has no sigmd5 of {unknown[0]} "
            f"({len(unknown)} of {len(manifest.packages)} packages)",
            hint="build the image again with this openstack-builder, then import it",
        )
    return tuple(map(_component, manifest.packages))


def _component(package: InstalledPackage) -> Component:
    match = _NEVRA.fullmatch(package.nevra)
    if match is None:
        raise InputError(f"the manifest names a package whose name cannot be parsed: {package.nevra}")
    return Component(
        name=match["name"],
        epoch=int(match["epoch"]) if match["epoch"] else None,
        version=match["version"],
        release=match["release"],
        arch=match["arch"],
        sigmd5=package.sigmd5,
        signature=package.key,
    )
