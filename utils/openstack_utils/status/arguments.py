# SPDX-License-Identifier: MIT
"""The command line of openstack-status."""

import argparse

from .. import VERSION
from ..errors import UsageError
from ..host.parser import Parser

PROGRAM = "openstack-status"
DESCRIPTION = """\
Show what of OpenStack is on this host, and whether it works: services, what they answer over HTTP, databases,
message bus and other services that they need, disk space; with a login also what the cloud reports.
"""
EPILOG = """\
examples
  openstack-status
  openstack-status nova neutron
  openstack-status --json | jq -r '.not_well[]'
  openstack-status --watch
  openstack-status --os-cloud devstack

  A line that begins with ! is not well. Everything is asked at the same time; what has not answered after
  --timeout is not well. A plain user sees what he may; `left out` says what he does not.

exit codes
  0 all that is enabled is well    1 something is not, or OpenStack is not here    2 wrong usage
  130 interrupted
"""


def make_parser():
    """Return the parser."""
    parser = Parser(PROGRAM, "[PROJECT...] [OPTION...]", DESCRIPTION, EPILOG)
    add = parser.add_argument
    add("project", metavar="PROJECT", nargs="*", help="keystone, nova, quantum ... (all that are here)")
    add("-t", "--timeout", metavar="SECONDS", type=_seconds, default=5.0, help="for each question (5)")
    add("--os-cloud", metavar="NAME", help="log in as clouds.yaml says; else OS_CLOUD or the OS_* variables")
    add("--no-api", dest="api", action="store_false", help="do not log in to the cloud")
    add("-w", "--watch", action="store_true", help="repeat until Ctrl-C")
    add("-i", "--interval", metavar="SECONDS", type=_seconds, default=5.0, help="with --watch (5)")
    add("--json", action="store_true", help="the report as JSON; with --watch one a line")
    add("--root", metavar="DIR", default="", help="read the configuration below DIR")
    add("--config-dir", metavar="DIR", default="", help="DIR in place of /etc")
    add("--version", action="version", version="%s %s" % (PROGRAM, VERSION))
    add("-h", "--help", action="help", help="show this")
    return parser


def parse(argv):
    """Return the options. Raises UsageError."""
    # PROJECT may follow options, which Python 3.6 cannot mix with `*`.
    options, words = make_parser().parse_known_args(argv)
    unknown = [word for word in words if word.startswith("-")]
    if unknown:
        raise UsageError("unknown option %s" % unknown[0], hint="%s --help" % PROGRAM)
    options.project += words
    if options.root and options.config_dir:
        raise UsageError("--root and --config-dir exclude each other", hint="%s --help" % PROGRAM)
    return options


def _seconds(text):
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0.1 <= seconds <= 3600:
        raise argparse.ArgumentTypeError('"%s" is not a number of seconds from 0.1 to 3600' % text)
    return seconds
