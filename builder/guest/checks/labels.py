# SPDX-License-Identifier: MIT
"""SELinux's labels, from outside: every inode against the image's own file contexts."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator

from builder.formats.file_contexts import FileContexts
from builder.guest import filesystems
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
    texts = [evidence.tree.text(base + suffix) for suffix in ("", ".homedirs", ".local")]
    contexts = FileContexts(texts, [evidence.tree.text(base + end) for end in (".subs_dist", ".subs")])
    problems, count = [], 0
    for system, point, options in _mounted(evidence):
        if system.type == "vfat":
            continue  # it holds no labels: its mount does
        wanted = dict(_wanted(evidence, contexts, point))
        found = filesystems.labels(
            evidence.runner, evidence.disk.raw, system, list(wanted), evidence.work, options
        )
        for path, (shown, label) in wanted.items():
            actual = found.get(path, "without a label")
            if actual is None:
                continue
            count += 1
            if actual != label:
                problems.append(f"{shown} is {actual}, not {label}")
    more = [f"and {len(problems) - _SHOWN} more"] if len(problems) > _SHOWN else []
    return judge_all([*problems[:_SHOWN], *more], f"{count} files and folders, as the policy says")


def _mounted(evidence: ImageEvidence) -> Iterator[tuple[FoundFileSystem, str, tuple[str, ...]]]:
    """Yield (file system, mount point, options): the root, and what fstab gives a place in the tree."""
    yield evidence.root, "/", evidence.root_options
    for mount in evidence.mounts:
        system = evidence.disk.find_source(mount.source)
        if system is not None and mount.point.startswith("/") and mount.point != "/":
            yield system, mount.point, mount.options


def _wanted(
    evidence: ImageEvidence, contexts: FileContexts, point: str
) -> Iterator[tuple[str, tuple[str, str]]]:
    """Yield what a file system must have: its own path -> (path in the image, label)."""
    points = {mount.point for mount in evidence.mounts if mount.point.startswith("/")}
    top = evidence.tree.resolve(point)
    for folder, names, files in os.walk(top):
        inside = os.path.relpath(folder, top)
        for name in [*names, *files]:
            own = os.path.normpath(f"/{inside}/{name}")
            shown = own if point == "/" else f"{point}{own}"
            mode = os.lstat(os.path.join(folder, name)).st_mode
            label = contexts.lookup(shown, mode)
            if label is not None:
                yield own, (shown, label)
        # What is mounted there belongs to another file system; the folder below it to this one.
        names[:] = [
            name for name in names
            if (f"{point.rstrip('/')}{os.path.normpath(f'/{inside}/{name}')}") not in points - {point}
        ]  # fmt: skip
    label = contexts.lookup(point, stat.S_IFDIR)
    if label is not None:
        yield "/", (point, label)


CHECKS: tuple[Check[ImageEvidence], ...] = (
    Check(
        id="labels-as-policy",
        rows=(16,),
        explanation="Every file and folder has the label that the image's own file contexts give it, "
        "also below mount points and in lost+found.",
        judge=_labels,
    ),
)
