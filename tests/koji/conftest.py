# SPDX-License-Identifier: MIT
"""A hub for each test: the stand-in, with a profile that leads to it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from builder.koji.hub import Hub, read_profile
from tests.koji.stand_in_hub import PASSWORD, USER, StandInHub, serve


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Koji's fastUpload leaves the file that it sent to the garbage collector (1.36)."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"))


def no_pause(seconds: float) -> None:
    """Wait for nothing, so that no test takes the time of its pauses."""


@dataclass(frozen=True, kw_only=True)
class HubUnderTest:
    """The stand-in and the configuration file whose profile `here` leads to it."""

    stand_in: StandInHub
    config: Path
    address: str

    def connect(self) -> Hub:
        """Log in, with pauses that take no time."""
        hub = Hub(read_profile("here", self.config), pause=no_pause)
        hub.login()
        return hub


def write_profile(path: Path, address: str, **more: str) -> Path:
    """Write the profile `here` of a hub at `address`."""
    rows = {
        "server": f"{address}/kojihub", "weburl": f"{address}/koji", "topurl": f"{address}/kojifiles",
        "authtype": "password", "user": USER, "password": PASSWORD, "poll_interval": "1",
    } | more  # fmt: skip
    path.write_text("[here]\n" + "".join(f"{name} = {value}\n" for name, value in rows.items()))
    return path


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[HubUnderTest]:
    folder = tmp_path / "hub"
    folder.mkdir()
    stand_in = StandInHub(folder)
    with serve(stand_in) as address:
        yield HubUnderTest(
            stand_in=stand_in, config=write_profile(tmp_path / "koji.conf", address), address=address
        )
