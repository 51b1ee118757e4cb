# SPDX-License-Identifier: MIT
"""What works for the hub: kojid, with rpmbuild in mock's place, and kojira, which sees to repositories."""

from __future__ import annotations

import os
import sys

from builder.runner import Runner
from tests.rig.koji import content
from tests.rig.koji.hub import HERE, Hub
from tests.rig.plane import process, settings


def start_builder(hub: Hub, runner: Runner) -> process.Server:
    """Start the one builder."""
    folder = hub.folder / "builder"
    mocks = folder / "mock.cfg"
    for path in (folder / "work", folder / "mock", mocks):
        path.mkdir(parents=True)
    options = {
        "server": f"{hub.address}/kojihub", "topurl": f"{hub.address}/kojifiles", "topdir": hub.topdir,
        "workdir": folder / "work", "mockdir": folder / "mock", "user": content.HOST,
        "password": hub.password, "sleeptime": 1, "minspace": 100, "maxjobs": 20, "retry_interval": 2,
        "allowed_scms": "*:*:no:true",
    }  # fmt: skip
    settings.write_ini(hub.folder / "kojid.conf", {"kojid": options})
    argv: list[str | os.PathLike[str]] = [
        hub.python, HERE / "kojid.py", hub.source / "builder/kojid", hub.folder / "kojid.conf",
        HERE / "rpmbuild_for_mock.py", mocks,
    ]  # fmt: skip
    more = {
        "MOCK_CONFIGURATIONS": str(mocks), "MOCK_MACROS": str(hub.folder / "macros"),
        "BUILDER_PYTHON": sys.executable,
        "IMAGE_OPTIONS": f"--target {content.TARGETS[content.IMAGES]} "
        # What the hub built itself is not signed.
        "--no-gpgcheck",
    }  # fmt: skip
    log = hub.folder / "kojid.log"
    return process.Server(
        name="kojid", process=runner.spawn(argv, log=log, env=hub.environment | more), log=log
    )


def start_kojira(hub: Hub, runner: Runner) -> process.Server:
    """Start what works off the requests for repositories."""
    log = hub.folder / "kojira.log"
    options = {
        "server": f"{hub.address}/kojihub", "topdir": hub.topdir, "user": content.KOJIRA,
        "password": hub.password, "logfile": log, "sleeptime": 1, "retry_interval": 2,
    }  # fmt: skip
    settings.write_ini(hub.folder / "kojira.conf", {"kojira": options})
    argv: list[str | os.PathLike[str]] = [
        hub.python, hub.source / "util/kojira", "--fg", "--verbose", "--force-lock",
        "--config", hub.folder / "kojira.conf",
    ]  # fmt: skip
    return process.Server(name="kojira", process=runner.spawn(argv, log=log, env=hub.environment), log=log)
