# SPDX-License-Identifier: MIT
"""Prepared data folders for MariaDB, kept in the cache: making the tables costs ten times a copy of them.

`empty` is what mariadb-install-db makes; `synced` has the tables of Keystone and Glance in it. Each is
named by what it was made from (versions of MariaDB, Keystone, Glance), so that a new one is made by itself.
"""

from __future__ import annotations

from pathlib import Path

from builder import files
from builder.report import Report
from builder.runner import Runner
from tests.rig.plane import glance, keystone, mariadb
from tests.rig.plane.environment import Environment

# Raise it when what this module makes changes.
FORMAT = 1


def prepare_empty(report: Report, runner: Runner) -> Path:
    """Return a data folder with no databases of ours in it."""
    key = files.digest_of([FORMAT, mariadb.version(runner)])[:16]
    folder = _cache() / f"empty-{key}"
    with files.locked(folder.with_suffix(".lock")):
        if not folder.exists():
            with files.work_folder(_cache(), "empty") as work:
                mariadb.install_database(work / "data", runner)
                (work / "data").rename(folder)
    return folder


def prepare_synced(environment: Environment, report: Report, runner: Runner) -> Path:
    """Return a data folder with the databases `keystone` and `glance` and all their tables."""
    empty = prepare_empty(report, runner)
    key = files.digest_of([FORMAT, empty.name, environment.digest])[:16]
    folder = _cache() / f"synced-{key}"
    with files.locked(folder.with_suffix(".lock")):
        if not folder.exists():
            with report.step("tables", "of Keystone and Glance"):
                with files.work_folder(_cache(), "synced") as work:
                    _sync(work, empty, environment, runner)
                    (work / "db" / "data").rename(folder)
    return folder


def _sync(work: Path, empty: Path, environment: Environment, runner: Runner) -> None:
    with mariadb.running(work / "db", runner, template=empty, databases=("keystone", "glance")) as server:
        configs = {
            "keystone": keystone.write_config(work / "k", server.url("keystone")),
            "glance": glance.write_config(
                work / "g", environment, port=9292, database_url=server.url("glance")
            ),
        }
        syncs = [
            keystone.start_service(name, config, environment, runner, commands=[["db_sync"]], port=None)
            for name, config in configs.items()
        ]
        for sync in syncs:
            sync.wait_for_end(seconds=300)


def _cache() -> Path:
    return files.cache_folder("plane")
