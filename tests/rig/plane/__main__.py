# SPDX-License-Identifier: MIT
"""`python -m tests.rig.plane up|down|status`: a control plane to try things on, by hand."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from builder.errors import BuildError
from builder.report import Report
from builder.runner import Runner
from tests.rig.plane import keeper, plane
from tests.rig.plane.keystone import Tables
from tests.rig.plane.mariadb import RootLogin

EPILOG = """\
example:
  eval "$(python -m tests.rig.plane up)"      # exports OS_CLIENT_CONFIG_FILE and OS_CLOUD
  openstack-builder upload out/jeos-fixture/jeos-fixture.qcow2
  python -m tests.rig.plane down

state.json in the folder holds ports, files and pids; clouds.yaml and mariadb/client.cnf hold passwords.
"""


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.rig.plane",
        description="A private MariaDB, Keystone and Glance on loopback.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("action", choices=["up", "down", "status", "keep"], metavar="up|down|status")
    parser.add_argument(
        "--folder", type=Path, default=keeper.CHECKOUT / "out/plane", help="where it lives (out/plane)"
    )
    parser.add_argument(
        "--until", choices=list(plane.Until), default=plane.Until.GLANCE, help="the last server to start"
    )
    parser.add_argument(
        "--tables",
        choices=list(Tables),
        default=Tables.BOOTSTRAPPED,
        help="what Keystone's database holds (Glance needs it bootstrapped)",
    )
    parser.add_argument(
        "--root",
        choices=list(RootLogin),
        default=RootLogin.PASSWORD,
        help="how MariaDB's root logs in",
    )
    parser.add_argument("--debug", action="store_true", help="show the commands that are run")
    parser.add_argument("--token", default="", help=argparse.SUPPRESS)
    return parser.parse_args(argv)


def run(args: argparse.Namespace, report: Report) -> int:
    """Do the action; return the exit code."""
    folder = args.folder.absolute()
    options = plane.Options(
        until=plane.Until(args.until), tables=Tables(args.tables), root=RootLogin(args.root)
    )
    runner = Runner(report)
    if args.action == "keep":
        return keeper.keep(folder, args.token, options, report, runner)
    if args.action == "up":
        state = keeper.start(folder, options, report, runner)
        if "clouds_file" in state.plane:
            variables = plane.client_environment(Path(state.plane["clouds_file"]))
            words = [f"{name}={shlex.quote(value)}" for name, value in variables.items()]
            report.result(f"export {' '.join(words)}")
        return 0
    if args.action == "down":
        if not keeper.stop(folder, report):
            report.note(f"no plane in {folder}")
        return 0
    return show(folder, report)


def show(folder: Path, report: Report) -> int:
    """Print what runs; 1 when the plane is not up."""
    state = keeper.read(folder)
    if state is None or not state.is_alive:
        report.note(f"no plane is up in {folder}" + (" (a dead one is)" if state else ""))
        return 1
    ports, processes = state.plane.get("ports", {}), state.plane.get("processes", {})
    rows = [
        [name, f"127.0.0.1:{port}", processes[name]["pid"], state.plane["logs"][name]]
        for name, port in ports.items()
    ]
    report.note(f"the plane in {folder} is {state.status}")
    report.table(["server", "address", "pid", "log"], rows)
    return 0 if state.status == "up" else 1


def main() -> int:
    """Run the command line of this process; return the exit code."""
    args = parse(sys.argv[1:])
    report = Report(debug=args.debug)
    try:
        return run(args, report)
    except BuildError as error:
        report.error(error.lines())
        return error.exit_code
    except KeyboardInterrupt:
        report.error(["error: interrupted"])
        return 130


if __name__ == "__main__":
    sys.exit(main())
