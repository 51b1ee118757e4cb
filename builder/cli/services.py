# SPDX-License-Identifier: MIT
"""`openstack-builder services`: the catalogue as services.json."""

from __future__ import annotations

import argparse

from builder.catalogue.hostdata import render_services
from builder.catalogue.load import load_catalogue
from builder.cli import Context
from builder.cli.output import add_output
from builder.files import write_atomic

SUMMARY = "Print the catalogue of OpenStack services as services.json, which the host's utilities read."
EXAMPLE = "  openstack-builder services -o utils/openstack_utils/services.json"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options."""
    what = parser.add_mutually_exclusive_group()
    add_output(what, "write it there, if it differs (default, and for -: stdout)")
    what.add_argument("--check", action="store_true", help="only read and cross-check the catalogue")
    parser.add_argument("--json", action="store_true", help="accepted: JSON is what it prints anyway")


def run(args: argparse.Namespace, context: Context) -> int:
    """Print, write or check."""
    catalogue = load_catalogue()
    text = render_services(catalogue)
    if args.check:
        context.report.note(f"{len(catalogue.projects)} projects, no mistakes")
    elif args.output is None:
        context.report.result(text.rstrip("\n"))
    elif not args.output.is_file() or args.output.read_text(encoding="utf-8") != text:
        write_atomic(args.output, text)
        context.report.note(f"wrote {args.output}")
    return 0
