# SPDX-License-Identifier: MIT
"""`openstack-builder koji ACTION`: one module for each action."""

from __future__ import annotations

import argparse
import importlib
from collections.abc import Callable
from pathlib import Path
from typing import cast

from builder.cli import Command, Context, Parser
from builder.koji.hub import Hub
from builder.koji.profile import Profile, read_profile

SUMMARY = "Build packages and images on a Koji hub; watch and fetch what it makes; import our images."
EXAMPLE = """\
  openstack-builder koji build 'openstack-*' -t epel-9 -t fedora-45
  openstack-builder koji watch 123456
  openstack-builder koji fetch 123456 --repo
  openstack-builder koji image jeos-fedora-45 --tree https://mirror.example/45/os
  openstack-builder koji import out/jeos-epel-9/jeos-epel-9.qcow2 --release 1 --dry-run"""

ACTIONS = {
    "build": "submit packages and watch their builds",
    "watch": "watch tasks that were submitted",
    "fetch": "fetch RPMs, source RPM and logs of a build",
    "image": "submit the kickstart of an image and watch its build",
    "import": "import an image that was built here as a build of the hub",
}
# `import` is a word of Python's.
MODULES = {"import": "import_image"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the actions with their options."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True, parser_class=Parser)
    for word, summary in ACTIONS.items():
        action = actions.add_parser(
            word,
            help=summary,
            description=summary,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        module = _load(word)
        action.description = module.SUMMARY
        action.epilog = f"example:\n{module.EXAMPLE}"
        add_profile(action)
        module.add_arguments(action)
        action.set_defaults(act=module.run)


def run(args: argparse.Namespace, context: Context) -> int:
    """Do what the action says."""
    function = cast("Callable[[argparse.Namespace, Context], int]", args.act)
    return function(args, context)


def _load(action: str) -> Command:
    return cast("Command", importlib.import_module(f"builder.cli.koji.{MODULES.get(action, action)}"))


def add_profile(parser: argparse.ArgumentParser) -> None:
    """Add the options that say which hub."""
    parser.add_argument(
        "--profile", metavar="NAME", help="profile of Koji's configuration (default: the target's)"
    )
    parser.add_argument(
        "--config", type=Path, metavar="FILE", help="read profiles from FILE instead of ~/.koji/config"
    )


def find_profile(args: argparse.Namespace, default: str | None = None) -> Profile:
    """Return the profile that the options name, else `default`, else Koji's own default, `koji`."""
    return read_profile(args.profile or default or "koji", args.config)


def connect(profile: Profile, context: Context) -> Hub:
    """Log in at the hub of a profile.

    Raises:
        RemoteError: it does not answer, or does not let us in.
    """
    hub = Hub(profile)
    user = hub.login()
    context.report.verbose(f"{profile.server}: logged in as {user}")
    return hub
