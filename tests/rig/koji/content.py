# SPDX-License-Identifier: MIT
"""What is in the hub: users, a host, tags, targets and packages; made by its own API where that can."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from builder.koji.contentgenerator import GENERATOR
from builder.koji.profile import library
from builder.rpm.spec.macros import target_macros
from builder.rpm.spec.packages import find_packages
from builder.runner import Runner
from builder.targets import find_target
from tests.koji.stand_in_hub import PASSWORD, USER
from tests.rig.koji.hub import ADMINISTRATOR, DATABASE, Hub
from tests.rig.koji.kerberos import principal
from tests.rig.plane.postgresql import PostgreSQL

KOJIRA = "kojira"
HOST = "builder1.example.org"
CHECKOUT = Path(__file__).resolve().parents[3]
# The hub's build target -> ours whose macros its buildroots have.
TARGETS = {"epel9": "epel-9", "fixture12": "fixture-12"}
ARCH = "x86_64"
# The target whose images are built: of packages that come from outside of the hub.
IMAGES, IMAGE = "fixture12", "jeos-fixture"


def fill(hub: Hub, database: PostgreSQL, runner: Runner, fixture: Path | None) -> None:
    """Make them. Each target NAME-candidate builds from NAME-build, which inherits NAME-testing.

    Args:
        fixture: the repository of the fixture distribution, which the hub serves and one target builds from.
    """
    koji = library()
    session = koji.ClientSession(f"{hub.address}/kojihub", {"user": ADMINISTRATOR, "password": hub.password})
    session.login()
    add_user(database, runner, USER, PASSWORD)
    add_user(database, runner, KOJIRA, hub.password)
    session.grantPermission(KOJIRA, "repo")
    session.addHost(HOST, [ARCH])
    database.execute(
        f"UPDATE users SET password = '{hub.password}' WHERE name = '{HOST}'", runner, database=DATABASE
    )
    session.editHost(HOST, capacity=8.0)
    for channel in ("createrepo", "image"):
        session.addHostToChannel(HOST, channel, create=True)
    packages = [package.name for package in find_packages(CHECKOUT, ["*"])]
    for name, target in TARGETS.items():
        add_target(session, name, [*dict.fromkeys(packages), "spam"])
        macros = hub.folder / "macros" / name
        macros.parent.mkdir(exist_ok=True)
        macros.write_text(target_macros(find_target(target)), encoding="utf-8")
    if fixture is not None:
        shutil.copytree(fixture, hub.fixture, copy_function=os.link)
        session.createExternalRepo("fixture", hub.fixture_address)
        session.addExternalRepoToTag(f"{IMAGES}-build", "fixture", 10)
        session.packageListAdd(f"{IMAGES}-testing", IMAGE, owner=USER)
    session.editUser(USER, krb_principal_mappings=[{"old": None, "new": principal(USER)}])
    session.grantPermission(USER, "image", create=True)
    session.grantCGAccess(USER, GENERATOR, create=True)
    session.logout()


def add_user(database: PostgreSQL, runner: Runner, name: str, password: str) -> None:
    """Add a user who logs in by password: the API makes none."""
    database.execute(
        f"INSERT INTO users (name, password, status, usertype) VALUES ('{name}', '{password}', 0, 0)",
        runner,
        database=DATABASE,
    )


def add_target(session: Any, name: str, packages: Sequence[str]) -> None:
    """Add a build target with its two tags, its groups and the packages that may be tagged."""
    session.createTag(f"{name}-testing")
    session.createTag(f"{name}-build", parent=f"{name}-testing", arches=ARCH)
    session.createBuildTarget(f"{name}-candidate", f"{name}-build", f"{name}-testing")
    for group in ("build", "srpm-build"):
        session.groupListAdd(f"{name}-build", group)
    with session.multicall(strict=True) as batch:
        for package in packages:
            batch.packageListAdd(f"{name}-testing", package, owner=USER)
