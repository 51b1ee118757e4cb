# SPDX-License-Identifier: MIT
"""Builds packages for targets, in parallel, and only those whose input changed since the last time.

The artifacts of a build stand in the target's folder only when all of them are there; then the manifest is
written.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

from builder.errors import BuildError
from builder.files import cache_folder, explain, locked, remove_stale, work_folder, write_atomic
from builder.memory import folder_in_memory, has_room
from builder.rpm.build.manifest import (
    Artifact,
    BuildManifest,
    are_intact,
    describe,
    read_manifest,
    write_manifest,
)
from builder.rpm.build.mock import run_mock
from builder.rpm.build.plan import Backend, BuildPlan
from builder.rpm.build.rpmbuild import run_rpmbuild
from builder.runner import Runner

# What a build takes at most, in bytes and as a multiple of its sources: it is 18 for horizon 27.0.0.
ROOM_FOR_SOURCES = 32
ROOM = 256 << 20


@dataclass(frozen=True, kw_only=True, slots=True)
class BuildResult:
    """What a build gave; `changed` is False when the earlier one was still good."""

    manifest: BuildManifest
    folder: Path
    changed: bool
    seconds: float

    def paths(self, *, source: bool, binary: bool) -> tuple[Path, ...]:
        """Return the paths of the artifacts asked for."""
        return tuple(
            self.folder / artifact.path
            for artifact in self.manifest.artifacts
            if (source if artifact.source else binary)
        )


def build_all(
    plans: Sequence[BuildPlan], *, binary: bool, jobs: int, work: Path, runner: Runner
) -> Iterator[tuple[int, BuildResult | BuildError]]:
    """Build `jobs` of the plans at a time; as each ends yield its number, and its result or why it failed.

    The largest are begun first, so that all of the jobs have work until the end. A caller that stops early
    (an interruption) ends what still runs.

    Args:
        work: the folder to build in; work folders of killed runs there are removed.
    """
    numbers = sorted(range(len(plans)), key=lambda number: plans[number].bytes_of_sources, reverse=True)
    with ThreadPoolExecutor(max_workers=jobs) as pool:
        futures = {
            pool.submit(build, plans[number], binary=binary, work=work, runner=runner): number
            for number in numbers
        }
        try:
            for future in as_completed(futures):
                number = futures[future]
                try:
                    yield number, future.result()
                except BuildError as error:
                    yield number, error
                except OSError as error:
                    yield number, explain(error, Path(error.filename or plans[number].folder))
        except BaseException:
            runner.end()
            pool.shutdown(cancel_futures=True)
            raise


def choose_work(plans: Sequence[BuildPlan], *, jobs: int) -> Path:
    """Return the folder to build in: in memory where there is room for `jobs` builds, else in the cache.

    A build makes and removes thousands of files, which takes ext4 up to a fifth of its time: it looks long
    for an inode that was not freed just now (recently_deleted() of fs/ext4/ialloc.c).
    """
    cache, memory = cache_folder("rpmbuild"), folder_in_memory()
    largest = max((plan.bytes_of_sources for plan in plans), default=0)
    remove_stale(cache)
    if memory is None:
        return cache
    remove_stale(memory)
    return memory if has_room(memory, jobs * max(ROOM, ROOM_FOR_SOURCES * largest)) else cache


def build(plan: BuildPlan, *, binary: bool, work: Path, runner: Runner) -> BuildResult:
    """Build the source RPM, and with `binary` the RPMs too, unless the last build had the same input.

    Raises:
        BuildError: see run_rpmbuild and run_mock; or the output folder cannot be written.
    """
    started = time.monotonic()
    package = plan.package.name
    try:
        plan.folder.mkdir(parents=True, exist_ok=True)
        lock = plan.folder / f".{package}.lock"
        lock.touch()
    except OSError as error:
        raise explain(error, plan.folder) from error
    inputs = plan.inputs
    with locked(lock):
        earlier = read_manifest(plan.folder, package)
        if earlier and earlier.inputs == inputs:
            enough = bool(earlier.binaries()) or not binary
            if enough and are_intact(plan.folder, earlier.artifacts):
                seconds = time.monotonic() - started
                return BuildResult(manifest=earlier, folder=plan.folder, changed=False, seconds=seconds)
        artifacts = _run(plan, binary=binary, parent=work, runner=runner)
        for artifact in earlier.artifacts if earlier else ():
            if artifact.path not in {new.path for new in artifacts}:
                (plan.folder / artifact.path).unlink(missing_ok=True)
        manifest = BuildManifest(
            package=package,
            target=plan.target.name,
            version=plan.package.version,
            source_date_epoch=plan.epoch,
            rpm=plan.settings.rpm,
            inputs=inputs,
            artifacts=artifacts,
        )
        write_manifest(plan.folder, manifest)
    seconds = time.monotonic() - started
    return BuildResult(manifest=manifest, folder=plan.folder, changed=True, seconds=seconds)


def _run(plan: BuildPlan, *, binary: bool, parent: Path, runner: Runner) -> tuple[Artifact, ...]:
    """Build in a work folder, then put the RPMs and the log where they belong."""
    log = plan.folder / f"{plan.package.name}.log"
    with work_folder(parent, plan.package.name) as work:
        topdir, fresh = work / "topdir", work / "log"
        topdir.mkdir()
        try:
            if binary and plan.settings.backend is Backend.MOCK:
                (source,) = run_rpmbuild(plan, topdir, binary=False, log=fresh, runner=runner)
                built = (source, *run_mock(plan, source, work / "mock", log=fresh, runner=runner))
            else:
                built = run_rpmbuild(plan, topdir, binary=binary, log=fresh, runner=runner)
        except BuildError as error:
            if error.log is not None:
                error.log = log
            raise
        finally:
            if fresh.exists():
                write_atomic(log, fresh.read_bytes())
        for path in built:
            write_atomic(plan.folder / path.name, path.read_bytes())
        return tuple(describe(path) for path in built)
