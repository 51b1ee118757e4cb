# SPDX-License-Identifier: MIT
"""What holds for every test: no generated example fails because the machine is busy."""

from hypothesis import HealthCheck, settings

settings.register_profile(
    "busy", parent=settings(), deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("busy")
