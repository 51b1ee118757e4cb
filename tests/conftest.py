# SPDX-License-Identifier: MIT
"""What holds for every test, however it was started.

No generated example fails because the machine is busy. An interrupt and a hangup reach the programs that
tests start: a shell that starts pytest in the background has the one ignored, nohup(1) the other, and what is
ignored stays so across exec; a handler does not.
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
if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    # pytest itself lives on.
    signal.signal(signal.SIGHUP, lambda *_: None)


def pytest_configure(config: pytest.Config) -> None:
    """A fork in a worker is no error: Python 3.15 counts the thread by which it talks to pytest-xdist."""
    if sys.version_info >= (3, 15) and "PYTEST_XDIST_WORKER" in os.environ:
        filtered = "ignore:This process .* is multi-threaded, use of fork:DeprecationWarning"
        config.addinivalue_line("filterwarnings", filtered)
