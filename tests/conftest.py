# SPDX-License-Identifier: MIT
"""What holds for every test, however it was started.

No generated example fails because the machine is busy. An interrupt reaches the programs that tests start: a
shell that starts pytest in the background has it ignored, and what is ignored stays so across exec.
"""

import os
import signal
import sys

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile(
    "busy", parent=settings(), deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("busy")

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_configure(config: pytest.Config) -> None:
    """A fork in a worker is no error: Python 3.15 counts the thread by which it talks to pytest-xdist."""
    if sys.version_info >= (3, 15) and "PYTEST_XDIST_WORKER" in os.environ:
        filtered = "ignore:This process .* is multi-threaded, use of fork:DeprecationWarning"
        config.addinivalue_line("filterwarnings", filtered)
