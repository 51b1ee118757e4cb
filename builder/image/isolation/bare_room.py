# SPDX-License-Identifier: MIT
"""A room without bubblewrap, for programs of the host that work on what foreign code has made.

mkfs and mtools, which write the disk, and SQLite, which opens databases of the tree, run among our own
code, after scripts have run. Such a room costs a millisecond: its root holds the host's programs and what
the program works on, and neither /proc nor /dev. It has no descriptor but its pipes, no socket, no
capability but to read what others own, and no way to any (`seccomp.WORKER`). It has no namespaces of its
own: the inside's hold nothing that could be reached from there.
"""

from __future__ import annotations

import contextlib
import os
import resource
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from builder import limits, seccomp
from builder.bubblewrap import LINKED
from builder.calls import MS_NODEV, MS_NOSUID
from builder.image.isolation import capabilities, mounts
from builder.runner import Child

# Of /etc, what loaders read.
_CONFIGURATION = ("/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld.so.conf.d", "/etc/alternatives")
_ROOT = "mode=755,size=1m,nr_inodes=256"
# Seconds of processor time.
LONGEST = 1800


@dataclass(frozen=True, kw_only=True, slots=True)
class BareRoom:
    """A root that programs can be started in; `memory` is what each may take, in bytes."""

    root: Path
    memory: int

    def enter(self) -> None:
        """Be in it: called in a child of ours that is about to become the program."""
        os.chroot(self.root)
        os.chdir("/")
        limits.bound(resource.RLIMIT_DATA, self.memory)
        limits.bound(resource.RLIMIT_CPU, LONGEST)
        capabilities.keep_only(capabilities.OF_A_READER)
        seccomp.install(seccomp.WORKER)

    @property
    def child(self) -> Child:
        """How to start a program in it."""
        return Child(preexec=self.enter)


@contextlib.contextmanager
def bare_room(
    *, readable: Sequence[Path] = (), writable: Sequence[Path] = (), memory: int
) -> Iterator[BareRoom]:
    """Yield a room in which files and folders of the inside are seen at the same place.

    Args:
        readable: what is read-only there, with all that is mounted below.
        writable: what may be written.
    """
    root = tempfile.mkdtemp(prefix="room-", dir="/run")
    mounts.mount("tmpfs", root, "tmpfs", MS_NOSUID | MS_NODEV, _ROOT)
    try:
        for name in LINKED:
            if os.path.islink(name):
                os.symlink(os.readlink(name), root + name)
        programs = ["/usr", *(name for name in LINKED if not os.path.islink(name))]
        if not sys.base_prefix.startswith("/usr"):
            programs.append(sys.base_prefix)
        for place in (*programs, *_CONFIGURATION):
            if os.path.exists(place):
                mounts.bind(place, root + place)
        for paths, is_written in ((readable, False), (writable, True)):
            for path in paths:
                mounts.bind(os.fspath(path), f"{root}{path}", writable=is_written)
        mounts.make_read_only_alone(root)
        yield BareRoom(root=Path(root), memory=memory)
    finally:
        mounts.unmount(root)
        os.rmdir(root)
