# SPDX-License-Identifier: MIT
"""`openstack-builder images`: the images of kickstarts/images.yaml."""

from __future__ import annotations

import argparse

from builder.cli import Context
from builder.kickstart.images import ImageSource, load_images
from builder.schema import show_path

SUMMARY = "List the images of images.yaml, with kickstart and target."
EXAMPLE = "  openstack-builder images"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument("--names", action="store_true", help="print the names only, one per line")
    parser.add_argument("--json", action="store_true", help="print JSON in place of a table")


def run(args: argparse.Namespace, context: Context) -> int:
    """Print the images."""
    images = load_images()
    if args.names:
        context.report.result("\n".join(image.name for image in images))
        return 0
    if args.json:
        context.report.json([_as_json(image) for image in images])
        return 0
    rows = [
        (image.name, _target(image), show_path(image.path), image.default_user or "-", image.summary)
        for image in images
    ]
    context.report.table(("image", "target", "kickstart", "user", "summary"), rows)
    return 0


def _target(image: ImageSource) -> str:
    return image.target.name if image.target else "-"


def _as_json(image: ImageSource) -> dict[str, object]:
    return {
        "name": image.name,
        "target": _target(image),
        "kickstart": show_path(image.path),
        "default_user": image.default_user,
        "summary": image.summary,
    }
