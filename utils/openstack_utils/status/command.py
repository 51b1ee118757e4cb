# SPDX-License-Identifier: MIT
"""openstack-status: looks, prints what it found, once or again and again."""

import os
import sys
import time

from ..errors import UtilityError
from ..host.console import Console, exit_code
from ..service.known import Known
from ..services import load_services
from . import arguments, rendering
from .looking import Looker

# Home, and nothing below: what was there is written over, without a flicker.
CLEAR = "\x1b[H\x1b[2J"


def main(argv=None):
    """Run the command with these arguments, or the process's; return the exit code."""

    def work():
        options = arguments.parse(sys.argv[1:] if argv is None else argv)
        looker = Looker(options, Known(load_services()), os.environ)
        console = Console()
        return watch(looker, options, console) if options.watch else once(looker, options, console)

    return exit_code(work)


def once(looker, options, console):
    """Look and print; return the exit code. Raises UtilityError where OpenStack is not installed."""
    report = looker.look()
    if options.json:
        console.result(rendering.as_json(report))
    elif not report.is_empty:
        console.result(rendering.text(report))
    if report.is_empty:
        what = " and ".join(options.project) or "OpenStack"
        raise UtilityError("%s: not installed on this host" % what)
    return int(bool(report.not_well))


def watch(looker, options, console):
    """Look and print until Ctrl-C; return the exit code of the last report."""
    is_terminal = sys.stdout is not None and sys.stdout.isatty()
    code = 0
    try:
        while True:
            report = looker.look()
            code = int(bool(report.not_well))
            if options.json:
                console.result(rendering.as_json(report, one_line=True))
            else:
                clock = time.strftime("%Y-%m-%d %H:%M:%S")
                head = "%s%s, every %g s\n\n" % (CLEAR if is_terminal else "", clock, options.interval)
                console.result(head + rendering.text(report) + ("" if is_terminal else "\n"))
            if sys.stdout is None:
                # The reader has gone.
                return code
            time.sleep(options.interval)
    except KeyboardInterrupt:
        return code
