# SPDX-License-Identifier: MIT
"""SELinux's labels, from outside: every inode against the image's own file contexts."""

from __future__ import annotations

from collections.abc import Iterator

from builder.formats.file_contexts import FileContexts
from builder.guest import readers
from builder.guest.evidence import ImageEvidence
from builder.guest.filesystems import FoundFileSystem
from builder.guest.outcome import Check, Outcome, judge_all, not_applicable

_SHOWN = 5


def _labels(evidence: ImageEvidence) -> Outcome:
    policy = evidence.tree.settings("/etc/selinux/config").get("SELINUXTYPE", "targeted")
    base = f"/etc/selinux/{policy}/contexts/files/file_contexts"
    if not evidence.tree.is_file(base):
        raise not_applicable("the image has no SELinux policy")
    if evidence.tree.settings("/etc/selinux/config").get("SELINUX") == "disabled":
        raise not_applicable("SELinux is disabled")
    contexts = FileContexts.read(lambda suffix: evidence.tree.text(base + suffix))
    points = {mount.point for mount in evidence.mounts if mount.point.startswith("/")}
    problems, count = [], 0
    for system, point, options in _mounted(evidence):
        if not readers.has_labels(system.type):
            continue  # its mount has one for all
        folder = evidence.tree.resolve(point)
        inodes = readers.labels(evidence.runner, evidence.disk.raw, system, folder, evidence.work, options)
        for own, inode in inodes.items():
            path = point.rstrip("/") + own if own != "/" else point
            # What is beneath a mount point nobody sees; the folder itself is seen by what mounts there.
            hidden = any(path.startswith(f"{one}/") for one in points if len(one) > len(point))
            wanted = None if hidden else contexts.lookup(path, inode.mode)
            if wanted is None:
                continue
            count += 1
            if inode.label != wanted:
                problems.append(f"{path} is {inode.label or 'without a label'}, not {wanted}")
    more = [f"and {len(problems) - _SHOWN} more"] if len(problems) > _SHOWN else []
    return judge_all([*problems[:_SHOWN], *more], f"{count} files and folders, as the policy says")


def _mounted(evidence: ImageEvidence) -> Iterator[tuple[FoundFileSystem, str, tuple[str, ...]]]:
    """Yield (file system, mount point, options): the root, and what fstab gives a place in the tree."""
    yield evidence.root, "/", evidence.root_options
    for mount in evidence.mounts:
        system = evidence.disk.find_source(mount.source)
        if system is not None and mount.point.startswith("/") and mount.point != "/":
            yield system, mount.point, mount.options


CHECKS: tuple[Check[ImageEvidence], ...] = (
    Check(
        id="labels-as-policy",
        rows=(16,),
        explanation="Every file, folder and device node has the label that the image's own file contexts "
        "give it, also below mount points and in lost+found.",
        judge=_labels,
    ),
)
