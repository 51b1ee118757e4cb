# SPDX-License-Identifier: MIT
"""The tree of the image: a tmpfs for each planned file system, of the same size, at /tree.

So a script that fills the disk gets ENOSPC where the guest would, writes nothing to the host, and all is
gone when the build's process is. Everything here runs inside (`builder.image.isolation.namespaces`).
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from functools import cache
from pathlib import Path, PurePosixPath

from builder.calls import MS_BIND
from builder.errors import BuildError
from builder.image.build import TREE, Build
from builder.image.disk.layout import capacity
from builder.image.disk.placement import Usage
from builder.image.isolation import mounts, sandbox
from builder.image.tree.files import TreePath, open_tree
from builder.memory import available_memory
from builder.sizes import MIB

# A tmpfs takes memory only for what is written, a page at the least a file.
SMALLEST = 4 * MIB
# What these have at the least while an image is built, however little memory there is: several kernels with
# their initramfs, and boot loaders.
LEAST_BOOT, LEAST_BELOW = 512 * MIB, 128 * MIB
# Seen by the sandbox as mounts of their own: nothing written there is of the image.
API_FOLDERS = ("proc", "sys", "dev", "run")
# Inside, the file that --keep packs the tree into.
SAVED = Path("/tree.tar")

# The file systems of the tree by mount point, each held open since before any script ran: a script may rename
# a folder above a mount point, and what has the name then is another one.
_held: dict[str, int] = {}


def bounds(build: Build, available: int) -> dict[str, Usage]:
    """Return what each file system of the plan may hold, `/` first.

    Together they never pass the share of memory that the options state: where the plan is larger, /boot
    and what is below it are made smaller (the installer's own are far larger than kernels), and then `/`.
    Their room at first boot stays as planned.
    """
    planned = capacity(build.plan.disk)
    share = build.share_of(available)
    if sum(usage.bytes for usage in planned.values()) > share:
        for mountpoint, usage in planned.items():
            if mountpoint == "/boot" or mountpoint.startswith("/boot/"):
                least = LEAST_BOOT if mountpoint == "/boot" else LEAST_BELOW
                planned[mountpoint] = Usage(bytes=min(usage.bytes, least), inodes=usage.inodes)
    others = sum(usage.bytes for mountpoint, usage in planned.items() if mountpoint != "/")
    root = min(planned["/"].bytes, share - others)
    if root < min(planned["/"].bytes, 16 * MIB):
        raise BuildError(
            f"the file systems of the plan need {others // MIB} MiB of memory besides /, "
            f"and this build may take {share // MIB} MiB of it",
            hint="raise --memory-share, lower --jobs, or plan smaller file systems",
        )
    planned["/"] = Usage(bytes=root, inodes=planned["/"].inodes)
    return dict(sorted(planned.items()))


def mount_tree(build: Build) -> None:
    """Mount the empty tree."""
    for mountpoint, bound in bounds(build, available_memory()).items():
        folder = TREE / mountpoint.lstrip("/")
        folder.mkdir(parents=True, exist_ok=True)
        size = max(bound.bytes, SMALLEST)
        options = f"mode=755,size={size},nr_inodes={max(bound.inodes, 64)}"
        mounts.mount("image", os.fspath(folder), "tmpfs", 0, options)
        _held[mountpoint] = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    # Where subvolumes will be mounted is a folder of their file system meanwhile, and so is what will be in
    # the guest's memory.
    disk = build.plan.disk
    below = [mountpoint for volume in disk.volumes for mountpoint in volume.mountpoints]
    for mountpoint in (*below, *(folder.mountpoint for folder in disk.in_memory)):
        (TREE / mountpoint.lstrip("/")).mkdir(parents=True, exist_ok=True)


def save(build: Build) -> None:
    """Pack the tree as it is into the work folder, for a look: it goes with the build otherwise."""
    folders = [f"--exclude=./{name}/*" for name in API_FOLDERS]
    words = ["tar", "--create", f"--file={SAVED}", "--xattrs", "--xattrs-include=*"]
    words += [*folders, f"--directory={TREE}", "."]
    sandbox.run_archiver(build, words, SAVED, TREE, packs=True, ok=(), log=build.log)


def separate(mountpoints: Mapping[str, object] | tuple[str, ...], parent: Path) -> dict[str, Path]:
    """Return a folder for each mount point that shows its file system alone.

    A plain (not recursive) bind shows what a mount point hides: the empty folder below it.
    """
    folders = {}
    for number, mountpoint in enumerate(mountpoints):
        folder = parent / f"{number}"
        folder.mkdir(parents=True)
        held = f"/proc/self/fd/{_held[mountpoint]}"
        mounts.mount(held, os.fspath(folder), None, MS_BIND)
        folders[mountpoint] = folder
    return folders


def below(sources: Mapping[str, Path], mountpoint: str) -> Path:
    """Return where the content of `mountpoint` lies that is a folder of another one in `sources`.

    Raises:
        BuildError: a script put something else there, a link for example, which may lead anywhere.
    """
    parent = max(
        (one for one in sources if f"{mountpoint}/".startswith(one.rstrip("/") + "/")),
        key=lambda one: len(one),
    )
    folder = sources[parent]
    for name in PurePosixPath(mountpoint.removeprefix(parent).lstrip("/")).parts:
        folder /= name
        if not os.path.lexists(folder) or not stat.S_ISDIR(folder.lstat().st_mode):
            raise BuildError(
                f"{mountpoint} of the image is not a folder, and a subvolume is to be mounted there",
                hint="a script of the kickstart put something else there, or removed it",
            )
    return folder


@cache
def _root() -> TreePath:
    return open_tree(TREE)


def path(name: str) -> TreePath:
    """Return a path of the image; every link in it is the image's (`builder.image.tree.files`)."""
    return _root() / name


def now() -> int:
    """Return the time of the tree, in nanoseconds: what is changed from here on has a later ctime.

    No program can set a ctime (inode(7)).
    """
    marker = path("/.openstack-builder-time")
    marker.touch()
    moment = marker.lstat().st_ctime_ns
    marker.unlink()
    return moment


def write(name: str, text: str, *, mode: int = 0o644) -> None:
    """Write a file of the image, its folders made when missing."""
    target = path(name)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text, mode=mode)
