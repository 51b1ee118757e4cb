# SPDX-License-Identifier: MIT
"""`python -m tests.rig.machine [--rpm FILE] fixture|sysv [COMMAND]`: a machine to try things in, by hand."""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from builder.errors import BuildError, PermissionMissing
from builder.report import Report
from builder.runner import Runner
from tests.rig.machine.fixture_root import fixture_tree
from tests.rig.machine.machine import booted, reason_not_to_boot
from tests.rig.machine.sysv_root import sysv_tree
from tests.rig.machine.trees import Tree

TREES: dict[str, Callable[[Report], Tree]] = {"fixture": fixture_tree, "sysv": sysv_tree}
EPILOG = """\
example:
  python -m tests.rig.machine fixture                      # a shell; the machine ends with it
  python -m tests.rig.machine --rpm out/rpm/fixture-12/openstack-utils-2.0-1.fx12.noarch.rpm fixture
  python -m tests.rig.machine sysv service mysqld status

Nothing that is done inside outlives the machine.
"""


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.rig.machine",
        description="Boot a machine with systemd or sysvinit, run a command in it, and remove it.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("kind", choices=list(TREES), help="systemd (fixture) or sysvinit (sysv)")
    parser.add_argument("--rpm", type=Path, action="append", default=[], help="install this file first")
    parser.add_argument("command", nargs=argparse.REMAINDER, help="what to run (a shell)")
    return parser.parse_args(argv)


def main(argv: Sequence[str]) -> int:
    """Boot, run, remove; return the command's exit status."""
    options = parse(argv)
    report = Report()
    try:
        reason = reason_not_to_boot()
        if reason:
            raise PermissionMissing(reason)
        with booted(TREES[options.kind](report), Runner(report)) as machine:
            if options.rpm:
                machine.install(*options.rpm)
            words = options.command or ["/bin/bash", "--login"]
            return subprocess.run([*machine.enter(), *words], check=False).returncode
    except BuildError as error:
        report.error(error.lines())
        return error.exit_code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
