# SPDX-License-Identifier: MIT
"""A hub for each test: the stand-in; or the real one that KOJI_HUB_URL names (README.md)."""

from __future__ import annotations

import gc
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from builder.koji.hub import Hub
from builder.koji.profile import Profile, read_profile
from builder.koji.tasks import Task, make_task
from tests.koji.front import Front, serve
from tests.koji.real_hub import RealHub
from tests.koji.stand_in_hub import PASSWORD, USER, StandInHub

# What needs the hub of `tests.rig.koji --logins`.
collect_ignore = [] if os.environ.get("KOJI_KEYTAB") else ["test_real_logins.py"]
TARGET, TAG = "epel9-candidate", "epel9-testing"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Koji's fastUpload leaves the file that it sent to the garbage collector (1.36)."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"))


def no_pause(seconds: float) -> None:
    """Wait for nothing, so that no test takes the time of its pauses."""


@dataclass(frozen=True, kw_only=True)
class HubUnderTest:
    """A hub behind its front, and the configuration file whose profile `here` leads to it.

    `user` and `password` of the profile; `started` is when the test began.
    """

    front: Front
    config: Path
    address: str
    user: str
    password: str
    started: float = field(default_factory=time.time)

    @property
    def stand_in(self) -> StandInHub:
        """The stand-in; a test that puts things into it, or looks into it, is skipped with a real hub."""
        if not isinstance(self.front, StandInHub):
            pytest.skip("puts into the hub, or takes out of it, what only the stand-in allows")
        return self.front

    def connect(self) -> Hub:
        """Log in, with pauses that take no time."""
        hub = Hub(read_profile("here", self.config), pause=no_pause)
        hub.login()
        return hub

    def tasks(self, method: str, mark: str) -> list[Task]:
        """Return the user's tasks of this test that carry the mark in their request."""
        hub = self.connect()
        owner = hub.ask("getLoggedInUser")["id"]
        wanted = {"method": method, "owner": owner, "createdAfter": self.started - 60, "decode": True}
        return [task for task in map(make_task, hub.ask("listTasks", wanted)) if mark in str(task.request)]

    def end(self, task: int) -> None:
        """Cancel a task that nobody needs."""
        if isinstance(self.front, RealHub):
            self.connect().ask("cancelTask", task)


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
    user, password, front = USER, PASSWORD, _find_front(tmp_path / "hub")
    if isinstance(front, RealHub):
        options = _real_profile().options
        user, password = options["user"], options["password"]
    with serve(front) as address:
        config = write_profile(tmp_path / "koji.conf", address, user=user, password=password)
        yield HubUnderTest(front=front, config=config, address=address, user=user, password=password)
    # While the filter above holds: what the library has not closed.
    gc.collect()


def _find_front(folder: Path) -> Front:
    if address := os.environ.get("KOJI_HUB_URL"):
        files = _real_profile().topurl or f"{address.rstrip('/')}/kojifiles"
        return RealHub(f"{address.rstrip('/')}/kojihub", files)
    folder.mkdir()
    return StandInHub(folder)


def _real_profile() -> Profile:
    config = os.environ.get("KOJI_CONFIG")
    return read_profile(os.environ.get("KOJI_PROFILE", "koji"), Path(config) if config else None)
