# SPDX-License-Identifier: MIT
"""`openstack-builder export dib`: a kickstart as an element of diskimage-builder."""

from __future__ import annotations

import argparse
from pathlib import Path

from builder.cli import Context
from builder.cli.sources import add_source_arguments, choose
from builder.dib.export import export_plan
from builder.errors import InputError
from builder.files import make_folder, write_atomic
from builder.kickstart.choices import parse_size
from builder.kickstart.images import find_image
from builder.kickstart.planner import load_plan
from builder.masking import mode_for

SUMMARY = "Export a kickstart as an element and an image definition of diskimage-builder."
EXAMPLE = """\
  openstack-builder export dib jeos-fedora-45 dib/
  cd dib && ./build

What elements cannot express is refused with file and line; what is lost is listed in the README."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument("format", choices=["dib"], help="dib: diskimage-builder")
    parser.add_argument("image", help="a name of `openstack-builder images`, or a kickstart file")
    parser.add_argument("folder", type=Path, metavar="DIR", help="an empty or a new folder")
    parser.add_argument(
        "-t", "--target", metavar="TARGET", help="distribution of the guest (default: the image's)"
    )
    parser.add_argument("--name", help="name of image and element (default: the kickstart's)")
    parser.add_argument("--ksversion", metavar="V", help="kickstart syntax, such as F45 or RHEL9")
    parser.add_argument(
        "--size", metavar="SIZE", help="size of the disk (4G, 4096M); default: what is planned"
    )
    add_source_arguments(parser)


def run(args: argparse.Namespace, context: Context) -> int:
    """Write it; print the folder."""
    image = find_image(args.image, target=args.target)
    target = image.require_target()
    if args.folder.exists() and (not args.folder.is_dir() or any(args.folder.iterdir())):
        raise InputError(f"{args.folder} is not an empty folder", hint="name a new one, or empty it")
    size = parse_size(args.size) if args.size else image.disk_size
    plan = load_plan(image.path, target=target, choices=choose(args, image, disk_size=size))
    exported = export_plan(plan, target)
    make_folder(args.folder)
    for file in exported.files:
        mode = mode_for(file.text)
        # Who may read it may run it.
        write_atomic(
            args.folder / file.path, file.text, mode=mode | mode >> 2 & 0o111 if file.executable else mode
        )
    for loss in exported.losses:
        context.report.note(f"lost: {loss}")
    context.report.result(str(args.folder))
    return 0
