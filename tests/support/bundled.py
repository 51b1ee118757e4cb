# SPDX-License-Identifier: MIT
"""The packages of Keystone and Glance with their environment, as several tests install them."""

from __future__ import annotations

from pathlib import Path

from tests.support.rpm_tool import builder

PACKAGES = ("openstack-keystone", "openstack-glance", "openstack-python-bundled", "openstack-utils")
# Of the environment: it has openstacksdk.
PYTHON = "/usr/lib/openstack/bin/python3"


def build_bundled(folder: Path) -> tuple[Path, ...]:
    """Build them below `folder` as a packager would; return the binary RPMs."""
    builder("rpm", *PACKAGES, "-t", "fixture-12", cwd=folder)
    built = sorted((folder / "out/rpm/fixture-12").glob("*.rpm"))
    return tuple(path for path in built if not path.name.endswith(".src.rpm") and "-doc-" not in path.name)
