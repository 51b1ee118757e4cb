# SPDX-License-Identifier: MIT
"""What every test may ask for."""

pytest_plugins = ["tests.rig.machine.fixture", "tests.rig.plane.fixture"]
