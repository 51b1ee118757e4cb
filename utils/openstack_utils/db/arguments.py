# SPDX-License-Identifier: MIT
"""The command line of openstack-db: its options of 2012, and those since."""

import argparse
import os
import re

from .. import VERSION
from ..errors import UsageError
from ..host.addresses import read_host
from ..host.parser import Parser

PROGRAM = "openstack-db"
DESCRIPTION = """\
Set up, migrate, check and drop the databases of OpenStack services: the database, its account, the URL
in the service's configuration and the tables, or nothing of it.
"""
EPILOG = """\
examples
  openstack-db --init --service keystone
  openstack-db --init --service keystone --service glance --service placement
  openstack-db --check --all-installed --json
  openstack-db --update --service nova
  openstack-db --drop --service heat
  openstack-db --init --service nova --host db.example.com --rootpw-file root.pw --dry-run
  openstack-db --init --service keystone --engine postgresql

passwords
  The service's: --password-file, --generate-password, or the one in its configuration, else a new one.
  It is never shown, and stands only in the configuration. Root's: the server's Unix socket asks for none;
  else --rootpw-file, or a question. --password and --rootpw show in the list of processes.

exit codes
  0 done, or nothing to do    1 failed (what was made is taken back)    2 wrong usage
  3 declined    4 a program or permission is missing    5 no server    130 interrupted
"""


class _Once(argparse.Action):
    """One action a run; the last one counted, which nobody meant."""

    def __call__(self, parser, options, values, option_string=None):
        del values, option_string
        if options.action not in (None, self.const):
            parser.error("--%s and --%s exclude each other" % (options.action, self.const))
        options.action = self.const


def make_parser():
    """Return the parser."""
    parser = Parser(PROGRAM, "--init|--update|--check|--drop --service NAME [OPTION...]", DESCRIPTION, EPILOG)
    _add_what(parser.add_argument_group("what to do").add_argument)
    _add_passwords(parser.add_argument_group("passwords").add_argument)
    _add_server(parser.add_argument_group("server").add_argument)
    _add_more(parser.add_argument_group("more").add_argument)
    return parser


def _add_what(add):
    for name, text in (
        ("init", "make what is missing: database, account, configuration, tables"),
        ("update", "migrate the tables to the installed code"),
        ("check", "say whether everything exists and is current"),
        ("drop", "drop all databases and accounts of the service"),
    ):
        add("--" + name, dest="action", action=_Once, nargs=0, const=name, default=None, help=text)
    add("--service", metavar="NAME", action="append", default=[], help="keystone, nova ... (repeat it)")
    add("--all-installed", action="store_true", help="every service whose files and programs are here")
    add("--release", metavar="NAME", default="auto", help="such as essex, or auto: by the files (auto)")
    add("--dry-run", action="store_true", help="print SQL, options and commands; change nothing")


def _add_passwords(add):
    add("--password-file", metavar="FILE", help="the service's; - is stdin, or asks without echo")
    add("--generate-password", action="store_true", help="a new one")
    add("-p", "--password", metavar="PW", help="the service's; everybody can read it")
    add("--rootpw-file", metavar="FILE", help="of the server's root; - is stdin, or asks without echo")
    add("-r", "--rootpw", metavar="PW", help="of the server's root; everybody can read it")


def _add_server(add):
    add("--engine", choices=("mysql", "postgresql"), help="the configuration's, or mysql")
    add("--host", metavar="HOST", help="the configuration's, or this host")
    add("--port", metavar="PORT", type=_port, help="3306, 5432")
    add("--socket", metavar="PATH", help="the server's Unix socket")
    add("--ssl-ca", metavar="FILE", default="", help="TLS, with this authority")
    add(
        "--grant-from",
        metavar="HOST",
        action="append",
        default=[],
        help="from where the account may log in (localhost and 127.0.0.1; repeat it; %% is anywhere)",
    )
    add("--charset", metavar="NAME", type=_word, help="of new databases (utf8mb4; essex: utf8)")


def _add_more(add):
    add("-y", "--yes", action="store_true", help="ask nothing")
    add("--root", metavar="DIR", default="", help="work on the files below DIR")
    add("--config-dir", metavar="DIR", default="", help="DIR in place of /etc")
    add("--inplace", action="store_true", help="write into the files themselves (bind mounts, hard links)")
    add("--json", action="store_true", help="the result as JSON")
    add("-q", "--quiet", action="store_true", help="errors and warnings only")
    add("--version", action="version", version="%s %s" % (PROGRAM, VERSION))
    add("-h", "--help", action="help", help="show this")


def parse(argv):
    """Return the options. Raises UsageError."""
    options = make_parser().parse_args(argv)
    options.host = read_host(options.host, "--host") if options.host else options.host
    # The services' commands run in another folder.
    options.root = os.path.abspath(options.root) if options.root else ""
    options.config_dir = os.path.abspath(options.config_dir) if options.config_dir else ""
    problems = []
    if options.action is None:
        problems.append("give --init, --update, --check or --drop")
    if bool(options.service) == options.all_installed:
        problems.append("give --service NAME, or --all-installed")
    given = [
        name
        for name in ("password", "password_file", "generate_password")
        if getattr(options, name) not in (None, False)
    ]
    if len(given) > 1:
        problems.append("%s exclude each other" % " and ".join(map(_option, given)))
    if options.rootpw is not None and options.rootpw_file:
        problems.append("--rootpw and --rootpw-file exclude each other")
    # --password with --drop was taken in 2012, without any use.
    if options.action != "init" and (options.password_file or options.generate_password):
        problems.append("%s goes with --init" % _option(given[0]))
    if options.root and options.config_dir:
        problems.append("--root and --config-dir exclude each other")
    if options.socket and options.host:
        problems.append("--socket and --host exclude each other")
    if options.engine == "postgresql" and options.grant_from:
        problems.append("--grant-from is MySQL's: with PostgreSQL pg_hba.conf says who may come from where")
    if problems:
        raise UsageError("; ".join(problems), hint="%s --help" % PROGRAM)
    return options


def _option(name):
    return "--" + name.replace("_", "-")


def _port(text):
    if not text.isdigit() or not 0 < int(text) < 65536:
        raise argparse.ArgumentTypeError('"%s" is not a port' % text)
    return int(text)


def _word(text):
    if not re.fullmatch("[A-Za-z0-9_]+", text):
        raise argparse.ArgumentTypeError('"%s" is not the name of a character set' % text)
    return text
