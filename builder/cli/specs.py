# SPDX-License-Identifier: MIT
"""`openstack-builder specs`: the specs of OpenStack's services, made from the catalogue."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from builder.catalogue.load import load_catalogue
from builder.catalogue.model import Catalogue
from builder.cli import Context
from builder.errors import BuildError
from builder.files import write_atomic
from builder.places import SPECS, require_checkout
from builder.render.spec import BuildTool, RenderedFile
from builder.render.tree import compare, render_tree
from builder.rpm.bundle.lock import read_lock, tools_of
from builder.rpm.bundle.parts import SPDX, SPEC
from builder.schema import show_path
from builder.targets import load_targets

SUMMARY = "Make the specs of OpenStack's services, and the files next to them, from the catalogue."
EXAMPLE = """\
  openstack-builder specs
  openstack-builder specs --check"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument(
        "--check", action="store_true", help="write nothing, fail when something would change"
    )


def run(args: argparse.Namespace, context: Context) -> int:
    """Write the files that differ, or list them."""
    catalogue = load_catalogue()
    files = render_tree(catalogue, load_targets(), read_tools(SPEC.parent))
    stale, unknown = compare(files, catalogue, SPECS)
    if args.check:
        if stale or unknown:
            first = show_path((stale or unknown)[0])
            raise BuildError(
                f"{first} differs from what the catalogue makes ({len(stale) + len(unknown)} such files)",
                hint="run `make specs`, remove what nothing makes, and commit the result",
            )
        context.report.note(f"{len(files)} files are up to date")
        return 0
    require_checkout(SPECS.parent)
    for path in write_specs(files, catalogue, SPECS):
        context.report.result(show_path(path))
    for path in unknown:
        context.report.note(f"{show_path(path)}: nothing in the catalogue makes it; remove it if it is old")
    context.report.note(f"{len(stale)} of {len(files)} files written")
    return 0


def read_tools(specs: Path) -> tuple[BuildTool, ...]:
    """Return what the code of projects is built with: parts of openstack-python-bundled in `specs`."""
    spec, spdx = (specs / path.relative_to(SPEC.parent) for path in (SPEC, SPDX))
    lock = read_lock(spec.read_text(encoding="utf-8"), spdx.read_text(encoding="utf-8"))
    return tuple(BuildTool(file=part.file, sha256=part.sha256) for part in tools_of(lock))


def write_specs(files: Sequence[RenderedFile], catalogue: Catalogue, specs: Path) -> list[Path]:
    """Write what differs below `specs`; return what changed."""
    texts = stale_specs(files, catalogue, specs)
    for path, text in texts.items():
        write_atomic(path, text)
    return list(texts)


def stale_specs(files: Sequence[RenderedFile], catalogue: Catalogue, specs: Path) -> dict[Path, str]:
    """Return what is to be written below `specs`."""
    stale, _ = compare(files, catalogue, specs)
    texts = {specs / file.path: file.text for file in files}
    return {path: texts[path] for path in stale}
