# SPDX-License-Identifier: MIT
"""How we build: RPMs, guest images, uploads. `openstack-builder --help` is the way in."""

# The one version: pyproject.toml reads it from here, specs/openstack-utils.spec is held equal by a test.
__version__ = "2026.2"
