# SPDX-License-Identifier: MIT
"""The command line of openstack-keystone-sample-data, and the variables of both eras."""

import argparse
import os

from .. import VERSION
from ..errors import UsageError
from ..host.addresses import read_host
from ..host.parser import Parser

PROGRAM = "openstack-keystone-sample-data"
DESCRIPTION = """\
Fill a Keystone with what a cloud needs to begin: projects, users, roles, the services' own accounts
and the catalog. What already exists stays as it is; a second run changes nothing.
"""
EPILOG = """\
examples
  On the host of a fresh Keystone (runs keystone-manage bootstrap first, as nobody can log in yet):
    ADMIN_PASSWORD=verysecret openstack-keystone-sample-data
    source keystonerc_admin
  Passwords that nobody knows, one for each account, kept in sample-data-passwords (0600):
    openstack-keystone-sample-data --generate-passwords
  A Keystone elsewhere, logging in with the variables of a keystonerc or a cloud of clouds.yaml:
    source keystonerc_admin; openstack-keystone-sample-data --dry-run
    openstack-keystone-sample-data --os-cloud mycloud --service nova glance
  The objects of 2012 (Essex), Swift and Quantum too:
    ENABLE_SWIFT=1 ENABLE_QUANTUM=1 openstack-keystone-sample-data --profile essex
  The controller has got another address:
    CONTROLLER_PUBLIC_ADDRESS=cloud.example.com openstack-keystone-sample-data --update
  Objects of your own (openstack-keystone-sample-data(1) has the keys):
    openstack-keystone-sample-data --file team.yaml

variables
  ADMIN_PASSWORD (also of demo, unless DEMO_PASSWORD; default: secrete), SERVICE_PASSWORD (of the
  services' users; default: ADMIN_PASSWORD), NOVA_PASSWORD, GLANCE_PASSWORD, CINDER_PASSWORD,
  SWIFT_PASSWORD, NEUTRON_PASSWORD or QUANTUM_PASSWORD, PLACEMENT_PASSWORD, HEAT_PASSWORD;
  SERVICE_TOKEN with SERVICE_ENDPOINT; OS_* and OS_CLOUD; and those named with the options.
  Passwords have no option, since everybody can read a command line: --passwords-file takes them.

exit codes
  0 done, or nothing to do    1 something is there twice, or a file cannot be written
  2 wrong usage or input      3 declined    4 a program or permission is missing
  5 Keystone failed; what was done is listed, and the next run goes on    130 interrupted
"""


def make_parser():
    """Return the parser; every default is None, so that a variable can stand in for an option."""
    parser = Parser(PROGRAM, "[OPTION...]", DESCRIPTION, EPILOG)
    _add_what(parser.add_argument_group("what to make").add_argument)
    _add_how(parser.add_argument_group("how").add_argument)
    _add_login(parser.add_argument_group("login").add_argument)
    _add_output(parser.add_argument_group("output").add_argument)
    return parser


def _add_what(add):
    add("--profile", metavar="NAME", help="current (default) or essex: the objects of 2012.1")
    add(
        "--service",
        metavar="NAME",
        nargs="+",
        action="append",
        help="only these services: nova glance ... (those that are installed here)",
    )
    add("--all-services", action="store_true", help="all services of the profile, installed or not")
    add("--file", metavar="FILE.yaml", help="the objects of this file instead of a profile")
    add(
        "--strict-2012",
        action="store_true",
        help="essex: the URLs of 2012; today's clients cannot use them",
    )
    add(
        "--enable-swift",
        action="store_true",
        default=None,
        help="essex: swift's account (ENABLE_SWIFT)",
    )
    add(
        "--enable-quantum",
        action="store_true",
        default=None,
        help="essex: quantum's (ENABLE_QUANTUM)",
    )
    add(
        "--endpoints",
        action="store_true",
        default=None,
        help="services with their endpoints (default; ENABLE_ENDPOINTS)",
    )
    add(
        "--no-endpoints",
        dest="endpoints",
        action="store_false",
        default=None,
        help="services without endpoints (DISABLE_ENDPOINTS)",
    )
    add(
        "--region",
        metavar="NAME",
        help="region of the endpoints (REGION, OS_REGION_NAME; RegionOne)",
    )
    for kind in ("public", "internal", "admin"):
        add(
            "--%s-address" % kind,
            metavar="HOST",
            help="host of the %s URLs (CONTROLLER_%s_ADDRESS)" % (kind, kind.upper()),
        )
    add("--keystone-port", metavar="PORT", help="port of the identity endpoints (KEYSTONE_PORT)")
    add("--domain", metavar="ID", help="id of the domain of users and projects (default)")


def _add_how(add):
    add("--dry-run", action="store_true", help="read only; say what would be done")
    add(
        "--update",
        action="store_true",
        help="correct what differs: URLs, descriptions, passwords (one login each to test them)",
    )
    add(
        "--prune",
        action="store_true",
        help="delete other endpoints of these services, doubles of them, other roles of these users",
    )
    add("--yes", action="store_true", help="do not ask before --prune deletes")
    add("--passwords-file", metavar="FILE", help="lines NAME=VALUE; '-' is stdin")
    add(
        "--generate-passwords",
        action="store_true",
        help="random ones, kept in DIR/sample-data-passwords",
    )


def _add_login(add):
    add("--os-cloud", metavar="NAME", help="a cloud of clouds.yaml (OS_CLOUD)")
    add(
        "--auth-url",
        metavar="URL",
        help="Keystone (OS_AUTH_URL, SERVICE_ENDPOINT; http://localhost:5000/v3)",
    )
    add("--keystone-conf", metavar="FILE", help="of a local Keystone (KEYSTONE_CONF)")
    add(
        "--bootstrap",
        choices=("auto", "always", "never"),
        help="keystone-manage bootstrap: auto when nobody can log in and nothing is there (default);"
        " always also sets a new password for admin",
    )
    add("--cacert", metavar="FILE", help="certificates to trust (OS_CACERT)")
    add("--cert", metavar="FILE", help="client certificate (OS_CERT)")
    add("--key", metavar="FILE", help="its key (OS_KEY)")
    add("--insecure", action="store_true", default=None, help="trust any certificate (OS_INSECURE)")
    add(
        "--wait",
        metavar="SECONDS",
        type=_seconds,
        default=30.0,
        help="how long to wait for Keystone to come up (30)",
    )
    add(
        "--timeout",
        metavar="SECONDS",
        type=_limit,
        default=60.0,
        help="limit of each request (60)",
    )
    add("--threads", metavar="N", type=_threads, default=4, help="requests at the same time (4)")


def _add_output(add):
    add("--output", metavar="DIR", default=".", help="folder for keystonerc_*, ec2rc (.)")
    add("--no-files", action="store_true", help="write none of them")
    add("--clouds-file", metavar="FILE", help="add the accounts to this clouds.yaml")
    add(
        "--cloud-name",
        metavar="NAME",
        default="openstack",
        help="name of admin's cloud there; demo's is that name with -demo (openstack)",
    )
    add("--json", action="store_true", help="the result as JSON")
    add("-q", "--quiet", action="store_true", help="errors and warnings only")
    add("-v", "--verbose", action="store_true", help="report unchanged objects too")
    add("--version", action="version", version="%s %s" % (PROGRAM, VERSION))
    add("-h", "--help", action="help", help="show this")


def parse(argv, environment=None):
    """Return the options, with the variables where no option stands. Raises UsageError."""
    environment = os.environ if environment is None else environment
    options = make_parser().parse_args(argv)
    options.given_profile = options.profile
    options.profile = options.profile or "current"
    words = [word for group in options.service or () for word in group]
    options.services = tuple(each for word in words for each in word.split(",") if each)
    options.keystone_conf = options.keystone_conf or environment.get("KEYSTONE_CONF") or ""
    options.os_cloud = options.os_cloud or environment.get("OS_CLOUD") or ""
    options.addresses = {
        kind: _address(kind, options, environment) for kind in ("public", "internal", "admin")
    }
    options.port = _port(options.keystone_port or environment.get("KEYSTONE_PORT") or "0")
    options.optional = _optional(options, environment)
    options.endpoints = _endpoints(options, environment)
    _check(options)
    return options


def _address(kind, options, environment):
    """Return the host of the URLs of a kind, or None where it is not given."""
    for value, source in (
        (getattr(options, kind + "_address"), "--%s-address" % kind),
        (environment.get("CONTROLLER_%s_ADDRESS" % kind.upper()), "CONTROLLER_%s_ADDRESS" % kind.upper()),
    ):
        if value:
            return read_host(value, source)
    return None


def _optional(options, environment):
    optional = []
    for name in ("swift", "quantum"):
        if getattr(options, "enable_" + name) or environment.get("ENABLE_" + name.upper()):
            optional.append(name)
    # Today's profile has both anyway.
    return tuple(optional) if options.profile == "essex" else ()


def _endpoints(options, environment):
    if options.endpoints is not None:
        return options.endpoints
    # Upstream's scripts asked only whether these are empty.
    enabled, disabled = environment.get("ENABLE_ENDPOINTS"), environment.get("DISABLE_ENDPOINTS")
    if enabled and disabled:
        raise UsageError("ENABLE_ENDPOINTS and DISABLE_ENDPOINTS are both set", hint="unset one of them")
    return not disabled


def _check(options):
    problems = []
    if options.file and options.given_profile:
        problems.append("--file and --profile exclude each other")
    if options.file and (options.services or options.all_services):
        word = "--service" if options.services else "--all-services"
        problems.append("%s goes with a profile, not with --file" % word)
    if options.services and options.all_services:
        problems.append("--service and --all-services exclude each other")
    if options.strict_2012 and options.profile != "essex":
        problems.append("--strict-2012 goes with --profile essex")
    if options.yes and not options.prune:
        problems.append("--yes goes with --prune")
    if options.key and not options.cert:
        problems.append("--key goes with --cert")
    if options.passwords_file == "-" and options.prune and not (options.yes or options.dry_run):
        problems.append("--passwords-file - takes stdin, where --prune would ask: add --yes")
    if problems:
        raise UsageError("; ".join(problems))


def _port(text):
    if not text.isdigit() or int(text) > 65535:
        raise UsageError('"%s" is not a port' % text, hint="--keystone-port, or the variable KEYSTONE_PORT")
    return int(text)


def _seconds(text):
    try:
        value = float(text)
    except ValueError:
        value = -1
    if not 0 <= value < 1e6:
        raise argparse.ArgumentTypeError('"%s" is not a number of seconds' % text)
    return value


def _limit(text):
    value = _seconds(text)
    if not value:
        raise argparse.ArgumentTypeError("a request needs more than 0 seconds")
    return value


def _threads(text):
    if not text.isdigit() or not 1 <= int(text) <= 64:
        raise argparse.ArgumentTypeError('"%s" is not a number from 1 to 64' % text)
    return int(text)
