# SPDX-License-Identifier: MIT
"""Install the packages into the tree."""

from __future__ import annotations

from functools import partial

from builder.errors import BuildError
from builder.image.build import TREE, Build
from builder.image.cache import trees
from builder.image.isolation import sandbox
from builder.image.packages import bootstrap, dnf, rpmdb
from builder.image.tree import tree
from builder.image.tree.files import TreePath
from builder.image.tree.scripts import run_section
from builder.image.tree.untouched import Watch
from builder.kickstart.plan import ScriptSection

# kernel-install(8): a plugin of that name in /etc, linked to /dev/null, is masked. The initramfs is made
# in a stage of its own, once, after %post.
MASKED = ("50-dracut.install", "51-dracut-rescue.install")


def run(build: Build) -> str:
    """Mount the tree, run %pre-install, make the rpm database with the keys, run dnf's transaction.

    Where the tree of the same packages is in the cache, it is filled from there. With a bootstrap, it is the
    target's rpm that installs.
    """
    tree.mount_tree(build)
    if build.bootstrap:
        bootstrap.unpack(build)
    if trees.unpack_kept(build):
        _watch(build)
        return f"{len(build.facts.packages)} packages, the tree from the cache"
    said = len(build.facts.warnings)
    run_section(build, ScriptSection.PRE_INSTALL)
    masked = _mask_initramfs()
    _make_database(build)
    if build.bootstrap:
        bootstrap.install(build)
    else:
        _install(build)
    for path in masked:
        path.unlink(missing_ok=True)
    _remove_unowned(build, masked[0].parent)
    if trees.keep(build, tuple(build.facts.warnings[said:])):
        _watch(build)
    return f"{len(build.facts.packages)} packages"


def _watch(build: Build) -> None:
    """Know from here on which files are as they are kept, where that will be asked."""
    if build.clusters and build.clusters.may_promise:
        build.watch = Watch(TREE, tree.now)


def _install(build: Build) -> None:
    assert build.step is not None
    wanted = {(package.nevra, package.sha256) for package in build.facts.packages}
    transaction = partial(sandbox.stream_transaction, build)
    for event in dnf.ask(build, start=transaction, until="install", offline=True):
        if event["event"] == "progress":
            build.step.progress(f"{event['done']} of {event['total']}")
        elif event["event"] == "solved":
            solved = {(package["nevra"], package["sha256"]) for package in event["packages"]}
            if solved != wanted:
                raise BuildError("the repositories changed during the build", hint="build again")


def _make_database(build: Build) -> None:
    """Make an empty rpm database that knows the keys; rpm takes only packages signed by them."""
    tree.path(str(build.target.rpm.dbpath)).mkdir(parents=True, exist_ok=True)
    sandbox.run_on_tree(build, ["rpm", *rpmdb.options(build), "--initdb"], log=build.log)
    keys = sorted((build.work / "keys").glob("*.asc"))
    if keys:
        command = ["rpm", *rpmdb.options(build), "--import", *map(str, keys)]
        sandbox.run_on_tree(build, command, log=build.log, packages=len(keys))


def _mask_initramfs() -> list[TreePath]:
    folder = tree.path("/etc/kernel/install.d")
    folder.mkdir(parents=True, exist_ok=True)
    links = []
    for name in MASKED:
        (folder / name).symlink_to("/dev/null")
        links.append(folder / name)
    return links


def _remove_unowned(build: Build, folder: TreePath) -> None:
    """Remove a folder that only the mask needed: not when a package owns it or has put something there."""
    owned = (
        sandbox.run_on_tree(build, ["rpm", *rpmdb.options(build), "-qf", str(folder)], ok=()).returncode == 0
    )
    if not owned and not folder.names():
        folder.rmdir()
