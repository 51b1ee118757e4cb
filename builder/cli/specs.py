# SPDX-License-Identifier: MIT
"""`openstack-builder specs`: the specs of OpenStack's services, made from the catalogue."""

from __future__ import annotations

import argparse

from builder.catalogue.load import load_catalogue
from builder.cli import Context
from builder.data import show_path
from builder.errors import BuildError
from builder.files import write_atomic
from builder.render.tree import compare, render_tree
from builder.targets import SPECS, load_targets

SUMMARY = "Make the specs of OpenStack's services, and the files beside them, from the catalogue."
EXAMPLE = """\
  openstack-builder specs
  openstack-builder specs --check"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument(
        "--check", action="store_true", help="write nothing, fail when something would change"
    )


def run(args: argparse.Namespace, context: Context) -> int:
    """Write what differs, or tell it."""
    catalogue = load_catalogue()
    files = render_tree(catalogue, load_targets())
    stale, unknown = compare(files, catalogue, SPECS)
    if args.check:
        if stale or unknown:
            first = show_path((stale or unknown)[0])
            raise BuildError(
                f"{first} is not what the catalogue makes ({len(stale) + len(unknown)} such files)",
                hint="run `make specs` and commit the result",
            )
        context.report.note(f"{len(files)} files are what the catalogue makes")
        return 0
    texts = {SPECS / file.path: file.text for file in files}
    for path in stale:
        write_atomic(path, texts[path])
        context.report.result(show_path(path))
    for path in unknown:
        path.unlink()
        context.report.note(f"removed {show_path(path)}")
    context.report.note(f"{len(stale)} of {len(files)} files written")
    return 0
