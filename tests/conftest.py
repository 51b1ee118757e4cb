# SPDX-License-Identifier: MIT
"""What every test may ask for."""

pytest_plugins = ["tests.machine.fixture", "tests.plane.fixture"]
