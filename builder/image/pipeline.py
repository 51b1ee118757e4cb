# SPDX-License-Identifier: MIT
"""From an image plan to its finished files, stage by stage.

    solve and fetch    inside, with the network, without the tree
    install ... disk   inside, apart from the network, on a tree that lives in memory
    convert, manifest  outside, as the user

Nothing is seen under its final name before it is whole: the result is a folder, renamed in one step.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import Enum
from itertools import groupby
from pathlib import Path
from typing import Any

from builder import idmap
from builder.errors import BuildError
from builder.files import (
    cache_folder,
    locked,
    work_folder,
)
from builder.image.build import DISK, Build, BuildOptions, Facts
from builder.image.cache import choices, trees
from builder.image.cache.clusters import Damaged
from builder.image.finished import FinishedImage, log_of
from builder.image.isolation import memory
from builder.image.isolation.door import Request
from builder.image.isolation.namespaces import Bind, Door, run_inside
from builder.image.isolation.wire import pack, unpack
from builder.image.packages import bootstrap, dnf, keys, repomd
from builder.image.publish import log_kept, publish
from builder.image.stages import (
    bootfiles,
    configure,
    convert,
    fetch,
    filesystems,
    initramfs,
    install,
    scripts,
    seal,
    solve,
)
from builder.image.tree import tree
from builder.image.turns import ALONE, Turn
from builder.kickstart.plan import ImagePlan
from builder.report import Report, Step
from builder.runner import Runner
from builder.sizes import MIB
from builder.targets import Target
from builder.timeline import Span
from builder.versions import load_rpm

# Of a raw disk, only the .zst takes room of its own.
COMPRESSED = ("qcow2", "raw", "vmdk")


class Room(Enum):
    """Where a stage runs."""

    ONLINE = "inside, with the network"
    OFFLINE = "inside, with the tree and without the network"
    HOST = "outside"


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage: its name on the screen, what it does, where."""

    name: str
    run: Callable[[Build], str]
    room: Room


STAGES = (
    Stage("solve", solve.run, Room.ONLINE),
    Stage("fetch", fetch.run, Room.ONLINE),
    Stage("install", install.run, Room.OFFLINE),
    Stage("configure", configure.run, Room.OFFLINE),
    Stage("boot files", bootfiles.run, Room.OFFLINE),
    Stage("initramfs", initramfs.run, Room.OFFLINE),
    Stage("scripts", scripts.run, Room.OFFLINE),
    Stage("seal", seal.run, Room.OFFLINE),
    Stage("disk", filesystems.run, Room.OFFLINE),
    Stage("convert", convert.run, Room.HOST),
)


def run(
    plan: ImagePlan,
    target: Target,
    options: BuildOptions,
    result: FinishedImage,
    *,
    fingerprint: str,
    seed: str,
    states: tuple[repomd.RepositoryState, ...],
    report: Report,
    runner: Runner,
    turn: Turn,
) -> FinishedImage:
    """Build the image of `plan` where `result` says; return that with what came out.

    Args:
        fingerprint: of all that decides the bytes.
        seed: what identifiers of the disk are made from.
        states: of the plan's repositories.
        turn: says when packages may be installed.

    Raises:
        InputError, ToolMissing, RemoteError, CommandFailed, BuildError: as they say.
    """
    # Before the sandbox, where the shim of PyPI does not find it (`builder.versions`).
    load_rpm()
    with work_folder(options.out, plan.name, keep=options.keep) as work:
        build = Build(
            plan=plan,
            target=target,
            options=options,
            report=report,
            runner=runner,
            work=work,
            disk=work / DISK.name,
            fingerprint=fingerprint,
            seed=seed,
            request=dnf.make_request(plan, target),
        )
        with log_kept(build, log_of(build.plan, build.options)):
            keys.collect(plan, target, work / "keys", runner)
            _run_stages(build, states, turn)
            publish(build, result, states)
    spans = (*build.facts.spans, *runner.spans("host"))
    return replace(result, unchanged=False, failed_scripts=build.facts.failed_scripts, spans=spans)


def _run_stages(build: Build, states: tuple[repomd.RepositoryState, ...], turn: Turn) -> None:
    numbered = list(enumerate(STAGES, 1))
    rooms = {room: list(group) for room, group in groupby(numbered, key=lambda pair: pair[1].room)}
    before = _make_bootstrap(build, states, rooms) if build.options.bootstrap else None
    choice = choices.key_of(build, states)
    build.tree_key = _recall(build, choice, turn, rooms[Room.ONLINE])
    recalled = build.tree_key is not None
    if not recalled:
        build.tree_key = _choose(build, choice, rooms[Room.ONLINE])
    build.memory = turn.install(build.tree_key, build.facts.installed_size)
    kept = trees.locate(build.tree_key)
    if recalled and kept is None:
        # Gone meanwhile: the packages have to be there after all.
        build.facts = Facts()
        _choose(build, choice, rooms[Room.ONLINE])
    if build.options.formats == ("qcow2",) and not build.options.keep:
        # Nobody else wants to see the whole disk.
        build.clusters = convert.know_clusters(build)
    while True:
        chosen = build.facts
        try:
            _make_image(build, kept, turn, rooms)
            break
        except Damaged as error:
            assert build.clusters is not None
            build.report.verbose(f"note: {error.message}: the disk is made again")
            build.clusters.forget_promises()
            build.facts, kept = chosen, trees.locate(build.tree_key)
            _remove_half_made(build)
        except trees.Harmed as error:
            build.report.verbose(f"note: {error.message}: the packages are installed again")
            if build.clusters:
                build.clusters.forget_foreseen()
            build.facts, kept = chosen, None
            _remove_half_made(build)
            if recalled:
                build.facts = Facts()
                _choose(build, choice, rooms[Room.ONLINE])
    if before:
        _note(build, before, at=0)


def _remove_half_made(build: Build) -> None:
    for path in (build.disk, build.work / tree.SAVED.name, *build.finished.glob("*")):
        path.unlink(missing_ok=True)


def _make_image(
    build: Build, kept: Path | None, turn: Turn, rooms: dict[Room, list[tuple[int, Stage]]]
) -> None:
    """Run the stages from the packages on.

    Args:
        kept: the installed tree from the cache.

    Raises:
        Damaged: a cluster that the inside has left out is not there any more.
        trees.Harmed: the kept tree is damaged.
    """
    files = (build.disk, build.work / tree.SAVED.name) if build.options.keep else (build.disk,)
    try:
        with trees.offer(build, kept) as tree_offer:
            facts = _run_inside(build, Room.OFFLINE, rooms[Room.OFFLINE], tree_offer, turn, files)
    finally:
        if build.clusters:
            build.clusters.end_guessing()
    build.facts = unpack(facts, Facts)
    _run_group(build, rooms[Room.HOST])


def _make_bootstrap(
    build: Build, states: tuple[repomd.RepositoryState, ...], rooms: dict[Room, list[tuple[int, Stage]]]
) -> Span:
    """Have a tree with the target's own rpm in the cache: the stages up to `install`, in one step."""
    part = bootstrap.plan(build)
    choice = choices.key_of(part, states)
    with build.report.step("bootstrap") as step:
        part.tree_key = _recall(part, choice, ALONE, rooms[Room.ONLINE])
        kept = trees.find(part.tree_key)
        step.detail = f"rpm of {build.target.name}  from the cache"
        if kept is None:
            part.facts = Facts()
            part.tree_key = _choose(part, choice, rooms[Room.ONLINE])
            with trees.offer(part, None) as tree_offer:
                _run_inside(part, Room.OFFLINE, rooms[Room.OFFLINE][:1], tree_offer)
            kept = trees.find(part.tree_key)
            step.detail = f"rpm of {build.target.name}  {len(part.facts.packages)} packages"
        span = _span(build, "bootstrap", step)
    if kept is None:
        raise BuildError(
            f"the tree with the rpm of {build.target.name} cannot be kept in {cache_folder('trees')}",
            hint="free some space there; a repository must have SHA-256 digests of its packages",
        )
    build.bootstrap = kept
    return span


def _recall(build: Build, choice: str, turn: Turn, stages: list[tuple[int, Stage]]) -> str | None:
    """Know the packages from an earlier choice; return the key of their tree if the cache has it, or will.

    None: they are to be chosen and fetched.
    """
    known = choices.find(choice)
    if known is None:
        return None
    build.facts.packages, build.facts.installed_size = known.packages, known.installed_size
    key = trees.key_of(build)
    if key is None or not (trees.has(key) or turn.is_promised(key)):
        build.facts = Facts()
        return None
    for warning in known.warnings:
        build.warn(warning)
    again = (lambda _: f"{solve.check(build)}, as before", lambda _: "not needed")
    _run_group(
        build,
        [(number, replace(stage, run=run)) for (number, stage), run in zip(stages, again, strict=True)],
    )
    return key


def _choose(build: Build, choice: str, stages: list[tuple[int, Stage]]) -> str | None:
    """Choose the packages, have them, remember the choice; return the key of their tree, if it has one."""
    build.facts = unpack(_run_inside(build, Room.ONLINE, stages), Facts)
    choices.keep(build, choice)
    return trees.key_of(build)


def _run_inside(
    build: Build,
    room: Room,
    stages: list[tuple[int, Stage]],
    offer: trees.Offer = trees.NOTHING,
    turn: Turn = ALONE,
    files: tuple[Path, ...] = (),
) -> Any:
    """Run stages inside; return their facts, as JSON gave them.

    The inside gets copies of small files, the packages read-only, what `offer` has, and new files to write:
    `files`, in the work folder.
    """
    cache = cache_folder("dnf", build.target.name)
    idmap.hand_over(cache)
    given = {f"keys/{path.name}": path.read_bytes() for path in (build.work / "keys").glob("*.asc")}
    given |= {f"dnfworker/{name}": text for name, text in dnf.read_worker().items()}
    binds = [
        *dnf.repository_binds(build.plan),
        Bind(source=cache, target="/cache", writable=room == Room.ONLINE),
        *offer.binds,
    ]
    if build.bootstrap:
        binds.append(Bind(source=build.bootstrap, target=str(bootstrap.ARCHIVE)))
    if room == Room.OFFLINE:
        _check_room(build)
    for path in files:
        _make_for_inside(path)
        binds.append(Bind(source=path, target=f"/{path.name}", writable=True))

    def inside(door: Door) -> Any:
        build.go_inside(door)
        for name, data in given.items():
            path = build.work / name
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(data)
        try:
            facts = _run_group(build, stages)
            facts.spans += build.runner.spans("inside")
            return pack(facts)
        finally:
            if tree.SAVED.exists():
                tree.save(build)

    # Builds side by side read the packages together; only one at a time fetches.
    with locked(cache.parent / f"{cache.name}.lock", shared=room == Room.OFFLINE):
        facts = run_inside(
            inside,
            log=build.log,
            binds=tuple(binds),
            network=room == Room.ONLINE or build.options.network,
            requests=requests_of(build, offer, turn),
            # Of all that a build alone may take the same part as of what its trees may.
            most=build.memory and build.memory * memory.MOST // build.options.memory_share,
            runner=build.runner,
        )
    for path in files:
        idmap.take_back(path)
    return facts


def requests_of(build: Build, offer: trees.Offer, turn: Turn) -> dict[str, Request]:
    """Return what the inside may ask for."""
    folders = {name: cache_folder(name) for name in ("initramfs", "grub")}
    found = initramfs.requests(build, folders, turn) | offer.requests
    if build.clusters:
        clusters = build.clusters
        found |= {"clusters": clusters.take, "known clusters": clusters.tell, "so far": clusters.count}
        found["foreseen"] = clusters.foresee
    share = found["share"]

    def share_what_is_kept(text: str, content: bytes) -> bytes:
        offer.finish()
        return share(text, content)

    return found | {"share": share_what_is_kept}


def _make_for_inside(path: Path) -> None:
    """Make an empty file that the inside may write; its folder is ours alone."""
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600))
    idmap.hand_over(path)


def _run_group(build: Build, stages: list[tuple[int, Stage]]) -> Facts:
    for number, stage in stages:
        with build.report.step(stage.name, count=(number, len(STAGES))) as step:
            build.step = step
            step.detail = stage.run(build)
            if build.watch:
                build.watch.listen()
        _note(build, _span(build, stage.name, step), at=len(build.facts.stages))
    return build.facts


def _span(build: Build, name: str, step: Step) -> Span:
    where = "inside" if build.door else "host"
    return Span(name=name, kind="stage", where=where, began=step.started, seconds=step.seconds)


def _note(build: Build, stage: Span, *, at: int) -> None:
    build.facts.stages.insert(at, (stage.name, round(stage.seconds, 3)))
    build.facts.spans.append(stage)


def _check_room(build: Build) -> None:
    """Compare what will be installed with what the host's disk can hold.

    Raises:
        BuildError: too small, and by how much.
    """
    needed = build.facts.installed_size
    # The raw disk with its blocks, and for a moment the finished files as well: half of that if compressed.
    free = shutil.disk_usage(build.work).free
    wanted = needed + sum(needed // (2 if name in COMPRESSED else 1) for name in build.options.formats)
    if free < wanted:
        raise BuildError(
            f"{build.options.out}: {free // MIB} MiB are free, and the build needs {wanted // MIB} MiB",
            hint="free some space, or choose another folder with --out",
        )
