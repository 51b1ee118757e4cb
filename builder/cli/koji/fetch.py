# SPDX-License-Identifier: MIT
"""`openstack-builder koji fetch`: what a build made, compared with what the hub says of it."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

from builder.cli import Context
from builder.cli.koji import connect, find_profile
from builder.cli.repo import make, read_folder
from builder.cli.signing import add_signing_arguments, choose_key
from builder.errors import InputError
from builder.koji.outputs import fetch, list_outputs
from builder.koji.tasks import read_trees

SUMMARY = "Fetch RPMs, source RPM and logs of builds; an interrupted fetch goes on where it stopped."
EXAMPLE = """\
  openstack-builder koji fetch 123456
  openstack-builder koji fetch 123456 --key 8cd08a6e --repo"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the action's options."""
    parser.add_argument("task", nargs="+", type=int, metavar="ID", help="number of a build's task")
    parser.add_argument("--out", type=Path, default=Path("out"), metavar="DIR",
                        help="fetch into DIR/koji/ID (default: out)")  # fmt: skip
    parser.add_argument("--key", metavar="ID", help="the copies of RPMs that are signed by this key")
    parser.add_argument("--repo", action="store_true", help="make a repository of the RPMs too")
    add_signing_arguments(parser)
    parser.add_argument("--json", action="store_true", help="print the files as JSON")


def run(args: argparse.Namespace, context: Context) -> int:
    """Fetch; print the paths of the RPMs, one a line."""
    if args.key is not None and not re.fullmatch(r"[0-9A-Fa-f]{8,40}", args.key):
        raise InputError(f"--key {args.key}: the id of a key is 8 to 40 hex digits")
    if (args.sign or args.local_key) and not args.repo:
        raise InputError("--sign and --local-key sign a repository", hint="add --repo")
    key = choose_key(args, context.runner)
    hub = connect(find_profile(args), context)
    trees = read_trees(hub, args.task)
    shown = []
    for tree in trees:
        outputs = list_outputs(hub, tree, key=args.key)
        fetched = fetch(hub, outputs, args.out / "koji" / str(tree.id), context.report)
        context.report.note(
            f"task {tree.id}: {len(fetched.rpms)} RPMs and {len(fetched.others)} other files in "
            f"{fetched.folder}, {fetched.kept} of them already there"
        )
        shown.append(
            {
                "task": tree.id,
                "folder": str(fetched.folder),
                "rpms": [str(path) for path in fetched.rpms],
                "others": [str(path) for path in fetched.others],
            }
        )
        if not args.json:
            for path in fetched.rpms:
                context.report.result(str(path))
        binary = [path for path in fetched.rpms if not path.name.endswith((".src.rpm", ".nosrc.rpm"))]
        if args.repo and binary:
            made = make(read_folder(fetched.folder, binary), key=key, url=None, context=context)
            context.report.note(f"repository: {made.folder}")
    if args.json:
        context.report.json(shown)
    return 0
