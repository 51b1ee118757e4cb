# SPDX-License-Identifier: MIT
"""`openstack-builder clean`: remove the caches, after saying how much."""

from __future__ import annotations

import argparse
from pathlib import Path

from builder.cli import Context
from builder.errors import Declined
from builder.files import cache_folder, remove_stale
from builder.folders import remove_tree
from builder.memory import folder_in_memory

SUMMARY = "Remove the caches: packages, trees, initramfs, the fixture distribution, the plane's environment."
EXAMPLE = """\
  openstack-builder clean --dry-run
  openstack-builder clean --yes"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument("-y", "--yes", action="store_true", help="do not ask")
    parser.add_argument("-n", "--dry-run", action="store_true", help="show how much, and stop")


def run(args: argparse.Namespace, context: Context) -> int:
    """Ask on a terminal, refuse without one unless --yes, remove."""
    report = context.report
    if not args.dry_run and (memory := folder_in_memory()):
        # Nobody's any more, and none of the caches: no need to ask.
        remove_stale(memory)
    root = cache_folder()
    # What a link leads to stays.
    folders = [path for path in sorted(root.iterdir()) if path.is_dir() and not path.is_symlink()]
    rows = [(path.name, round(size_of(path) / 1e6)) for path in folders]
    if not rows:
        report.note(f"{root}: nothing there")
        return 0
    report.table(("cache", "MB"), rows)
    report.note(f"{root}: {sum(megabytes for _, megabytes in rows)} MB")
    if args.dry_run:
        return 0
    if not args.yes and not report.ask("remove all of it?"):
        raise Declined("nothing removed", hint="use --yes to skip the question")
    remove_tree(root)
    return 0


def size_of(folder: Path) -> int:
    """Return the bytes that the files of `folder` take on the disk."""
    return sum(path.lstat().st_blocks * 512 for path in folder.rglob("*"))
