# SPDX-License-Identifier: MIT
"""`python -m tests.rig.koji SOURCE`: a real Koji until Ctrl-C; SIGUSR1 takes the hub away for a moment."""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from builder.errors import BuildError
from builder.report import Report
from builder.runner import Runner
from tests.koji.conftest import write_profile
from tests.rig.koji import content, daemons, logins
from tests.rig.koji.hub import Hub, prepared
from tests.rig.plane import process

# Seconds that the hub is away.
AWAY = 10.0


def main() -> int:
    """Set it up, say how to reach it, and run it."""
    parser = argparse.ArgumentParser(prog="python -m tests.rig.koji", description=__doc__)
    parser.add_argument(
        "source", type=Path, help="a source tree of Koji: https://github.com/koji-project/koji"
    )
    parser.add_argument(
        "--fixture", type=Path, metavar="FOLDER",
        help="build images too, of this repository: python -m tests.rig.fixture build prints it",
    )  # fmt: skip
    parser.add_argument(
        "--logins", action="store_true", help="certificates and Kerberos too: Apache and a KDC"
    )
    parser.add_argument("--folder", type=Path, help="where it lives, new (default: a temporary folder)")
    args = parser.parse_args()
    report = Report()
    runner = Runner(report)
    with tempfile.TemporaryDirectory(prefix="koji-") as temporary:
        # PostgreSQL is another user, and looks through the folder.
        Path(temporary).chmod(0o755)
        folder = (args.folder or Path(temporary, "hub")).absolute()
        try:
            with prepared(args.source, folder, runner) as (hub, database):
                server = hub.start(runner)
                content.fill(hub, database, runner, args.fixture)
                builder, kojira = daemons.start_builder(hub, runner), daemons.start_kojira(hub, runner)
                config = write_profile(folder / "koji.conf", hub.address)
                with ExitStack() as stack:
                    words = {"KOJI_HUB_URL": hub.address, "KOJI_CONFIG": str(config), "KOJI_PROFILE": "here"}
                    if args.logins:
                        words |= stack.enter_context(logins.running(hub, config, runner))
                    shown = " ".join(f"{name}={value}" for name, value in words.items())
                    report.result(f"export {shown}")
                    sys.stdout.flush()
                    serve(hub, server, (builder, kojira), runner)
        except KeyboardInterrupt:
            return 0
        except BuildError as error:
            report.error(error.lines())
            return error.exit_code
    return 0


def serve(hub: Hub, server: process.Server, others: Sequence[process.Server], runner: Runner) -> None:
    """Wait until Ctrl-C; restart the hub where SIGUSR1 asks for it."""
    asked: list[int] = []
    signal.signal(signal.SIGUSR1, lambda number, _frame: asked.append(number))
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        while all(one.process.poll() is None for one in others):
            if asked:
                asked.clear()
                server.stop()
                time.sleep(AWAY)
                server = hub.start(runner)
            time.sleep(0.2)
        raise BuildError("kojid or kojira ended", hint=f"see their logs in {hub.folder}")
    finally:
        for one in (*others, server):
            one.stop()


if __name__ == "__main__":
    sys.exit(main())
