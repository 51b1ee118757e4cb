# SPDX-License-Identifier: MIT
"""The command line of openstack-demo-install."""

import os
import shutil

from .. import VERSION
from ..errors import UsageError
from ..host.addresses import is_local, read_host
from ..host.parser import Parser
from ..storage.private_files import check_ours
from . import before, network, plan, volumes
from .host import has_kvm

PROGRAM = "openstack-demo-install"
PASSWORDS = "openstack-demo-passwords"
SIZE = "10G"
DESCRIPTION = """\
Make a cloud of this host, whose OpenStack packages are installed: passwords, configuration, databases,
services and the catalog, in the order in which they need each other. Each step is shown as the commands
that a person could type. What is done already stays; a run that was interrupted is completed by the next.
For trying things out and learning: it asks nothing, and sets the services of this host to its own passwords.
"""
EPILOG = """\
examples
  dnf install openstack-keystone openstack-glance
  openstack-demo-install --dry-run
  openstack-demo-install
  source ~/keystonerc_admin

  One host with instances, and a second one that joins it:
    openstack-demo-install --address 192.0.2.10
    scp root@192.0.2.10:openstack-demo-passwords ~      # on the second
    openstack-demo-install --role compute --join 192.0.2.10

exit codes
  0 done, or nothing to do    1 failed: it says what stands, and the next run goes on    2 wrong usage
  3 the question was answered with no    4 a program or permission is missing    5 a server does not answer
  130 interrupted
"""


def make_parser():
    """Return the parser."""
    parser = Parser(PROGRAM, "[OPTION...]", DESCRIPTION, EPILOG)
    add = parser.add_argument_group("what to set up").add_argument
    add(
        "--services",
        metavar="NAME[,NAME]",
        action="append",
        default=[],
        help="keystone, glance ... and what they need (repeat it; default: all that are installed)",
    )
    add(
        "--role",
        choices=(plan.CONTROLLER, plan.COMPUTE),
        default=plan.CONTROLLER,
        help="controller: everything that is installed (default); compute: a further host for instances",
    )
    add("--join", metavar="HOST", help="with --role compute: the controller; its passwords are in --output")
    add("--address", metavar="HOST", help="of this host, as others reach it (127.0.0.1; compute: found)")
    add("--hypervisor", choices=tuple(plan.CPU_MODES), help="kvm where the host has it, else qemu")
    add("--bus", choices=("rabbitmq",), default="rabbitmq", help="the message bus (rabbitmq)")
    add("--network", metavar="RANGE", help="make a network for instances, such as 10.20.0.0/24")
    add("--nova-volumes", metavar="FILE", help="make a group of volumes in FILE, for trying out")
    add("--size", metavar="SIZE", help="of FILE: 10G (default), 500G ...")
    add("--region", metavar="NAME", default="RegionOne", help="of the endpoints (RegionOne)")
    add = parser.add_argument_group("how").add_argument
    add("-n", "--dry-run", action="store_true", help="print the commands, in their order; change nothing")
    add("--undo", action="store_true", help="stop the services, drop their databases, give options back")
    add("-y", "--yes", action="store_true", help="with --undo: ask nothing")
    add("--output", metavar="DIR", default="~", help="folder for %s and keystonerc_* (~)" % PASSWORDS)
    add("--json", action="store_true", help="the result as JSON")
    add("-q", "--quiet", action="store_true", help="errors and warnings only")
    add("--version", action="version", version="%s %s" % (PROGRAM, VERSION))
    add("-h", "--help", action="help", help="show this")
    return parser


def parse(argv):
    """Return the options. Raises UsageError."""
    options = make_parser().parse_args(argv)
    options.services = tuple(name for words in options.services for name in words.split(",") if name)
    options.output = os.path.abspath(os.path.expanduser(options.output))
    options.passwords = os.path.join(options.output, PASSWORDS)
    for name in ("join", "address"):
        value = getattr(options, name)
        setattr(options, name, read_host(value, "--" + name) if value is not None else None)
    if options.network is not None:
        options.network = network.read_range(options.network)
    problems = []
    if options.size and not options.nova_volumes:
        problems.append("--size goes with --nova-volumes")
    if options.nova_volumes and options.role == plan.COMPUTE:
        problems.append("--nova-volumes is the controller's to make")
    if options.yes and not options.undo:
        problems.append("--yes goes with --undo")
    if options.network and options.role == plan.COMPUTE:
        problems.append("--network is the controller's to make")
    if bool(options.join) != (options.role == plan.COMPUTE):
        problems.append("--role compute and --join HOST go together")
    if not options.region.isprintable() or not options.region.strip() or "{" in options.region:
        problems.append("--region: not a name")
    if options.address and not is_local(options.address):
        problems.append("--address %s is not an address of this host" % options.address)
    if options.join and is_local(options.join):
        problems.append("--join %s is this host" % options.join)
    if not os.path.isdir(options.output):
        problems.append("--output %s: no such folder" % options.output)
    if problems:
        raise UsageError("; ".join(problems), hint="%s --help" % PROGRAM)
    # What lies there is believed: passwords, and what files had before.
    for path in (options.passwords, os.path.join(options.output, before.NAME)):
        check_ours(path)
    options.hypervisor = options.hypervisor or ("kvm" if has_kvm() else "qemu")
    options.size = volumes.read_size(options.size or SIZE)
    if options.network:
        network.check_free_here(options.network)
    if options.nova_volumes:
        volumes.check(options.nova_volumes, shutil.which)
    return options
