# SPDX-License-Identifier: MIT
"""`openstack-builder flatten`: a kickstart as one file."""

from __future__ import annotations

import argparse

from builder.cli import Context
from builder.cli.output import add_output
from builder.files import write_atomic
from builder.kickstart.flatten import flatten
from builder.kickstart.images import find_image
from builder.masking import has_login, mode_for

SUMMARY = "Print a kickstart as one file: includes resolved, comments kept, the same plan as before."
EXAMPLE = """\
  openstack-builder flatten jeos-fedora-45
  openstack-builder flatten kickstarts/jeos-epel-9.ks -o guest.ks"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    parser.add_argument("image", help="a name of `openstack-builder images`, or a kickstart file")
    add_output(parser, "write it there (default, and for -: stdout)")


def run(args: argparse.Namespace, context: Context) -> int:
    """Print it, or write it."""
    text = flatten(find_image(args.image).path)
    if args.output is None:
        context.report.result(text.rstrip("\n"))
        if has_login(text):
            context.report.warn("logins in addresses are printed as ***: --output FILE keeps them")
    else:
        write_atomic(args.output, text, mode=mode_for(text))
    return 0
