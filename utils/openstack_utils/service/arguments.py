# SPDX-License-Identifier: MIT
"""The command line of openstack-service."""

from .. import VERSION
from ..errors import UsageError
from ..host.parser import Parser
from . import verbs

PROGRAM = "openstack-service"
DESCRIPTION = """\
List, show, start, stop and otherwise act on the OpenStack services of this host: all that are enabled, or
the services of a project, or those whose names begin so.
"""
EPILOG = """\
actions
  list              their names, one a line
  status            state, at boot, process, since when
  is-active, is-enabled, is-failed   for each; exit 0 if it is so of all
  start stop restart reload try-restart ...   in the order of the catalogue, stop backwards
  enable disable mask unmask preset ...       what happens at boot
  show cat list-dependencies ...              systemd's own text
  With SysV init: list, status, is-*, start, stop, restart, reload, enable, disable.

examples
  openstack-service list
  openstack-service status nova
  openstack-service restart neutron openstack-nova-compute
  openstack-service stop --dry-run
  openstack-service enable swift-object@1
  openstack-service list --all --json

  What cleans up at boot (neutron-*-cleanup) is never started, stopped or restarted: it would cut running
  guests off. A service that httpd serves is shown, and left to `systemctl restart httpd`.

exit codes
  0 done    1 failed, or not so    2 wrong usage    4 no permission, or no init system    130 interrupted
"""


def make_parser():
    """Return the parser."""
    parser = Parser(PROGRAM, "ACTION [PREFIX...] [--all] [-n] [--json]", DESCRIPTION, EPILOG)
    add = parser.add_argument
    add("action", metavar="ACTION", help="one of those below")
    add("prefix", metavar="PREFIX", nargs="*", help="nova, quantum, nova-api, 'swift-object@1', 'nova-*'")
    add("-a", "--all", action="store_true", help="installed services too, not the enabled ones only")
    add("-n", "--dry-run", action="store_true", help="print the commands, in their order; change nothing")
    add("--now", action="store_true", help="with enable, disable, mask: start or stop as well")
    add("--json", action="store_true", help="the result as JSON")
    add("-q", "--quiet", action="store_true", help="errors and warnings only")
    add("--version", action="version", version="%s %s" % (PROGRAM, VERSION))
    add("-h", "--help", action="help", help="show this")
    return parser


def parse(argv):
    """Return the options. Raises UsageError."""
    parser = make_parser()
    # Before argparse asks for ACTION: the option that it does not know is the mistake. No option has a value.
    if not any(not word.startswith("-") or word in ("-h", "--help", "--version") for word in argv):
        _refuse_unknown([word for word in argv if word not in parser._option_string_actions])
        raise UsageError("give an action: list, status, start, stop ...", hint="%s --help" % PROGRAM)
    # PREFIX may follow options, which Python 3.6 cannot mix with `*`.
    options, words = parser.parse_known_args(argv)
    _refuse_unknown([word for word in words if word.startswith("-")])
    options.prefix += words
    verbs.check(options.action, options.now)
    if options.action in verbs.NEED_WORDS and not options.prefix and not options.all:
        message = "%s without PREFIX would be for every installed service" % options.action
        raise UsageError(message, hint="name some, or give --all")
    return options


def _refuse_unknown(words):
    """Raise UsageError for the first of these options, if there is one."""
    if words:
        raise UsageError("unknown option %s" % words[0], hint="%s --help" % PROGRAM)
