# SPDX-License-Identifier: MIT
"""pytest fixture `plane`: one private plane for the whole test run, started by the first test that asks."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.rig.plane.plane import Options, Plane, private


@pytest.fixture(scope="session")
def plane() -> Iterator[Plane]:
    """MariaDB, Keystone and Glance; admin is `plane.client_environment`. Tests leave no image.

    A project may store 4 GB, so that a quota can be met.
    """
    with private(Options(glance_settings={"DEFAULT": {"user_storage_quota": "4GB"}})) as running:
        yield running
