# SPDX-License-Identifier: MIT
"""The state of a service's databases, as `openstack-db --check` has it: a process for each, with a limit."""

import os
import sys

from .. import json_text
from ..errors import UtilityError
from ..host import processes
from .asking import LeftOut

# Where our own launchers are: next to the one that runs.
LAUNCHER = "openstack-db"


def files(facts):
    """Return the configuration files that the databases of a project stand in."""
    return sorted({each["file"] for base in facts["databases"].values() for each in base["connection"]})


def check(project, settings, limit):
    """Return {database: state} of a project.

    Raises LeftOut where its configuration may not be read, UtilityError where the server does not answer: its
    text is openstack-db's own, passwords masked.
    """
    closed = [path for path in files(project.facts) if settings.is_closed(path)]
    if closed:
        raise LeftOut("%s may not be read" % closed[0])
    argv = [sys.executable, "-I", _launcher(), "--check", "--service", project.name, "--json", "--quiet"]
    argv += ["--release", project.release]
    places = settings.places
    argv += ["--root", places.root] if places.root else []
    argv += ["--config-dir", places.config_dir] if places.config_dir else []
    done = processes.run(argv, limit=limit.left(), ok=None)
    try:
        found = json_text.parse(done.out)["services"][0]
    except (ValueError, LookupError, TypeError):
        raise UtilityError("openstack-db: %s" % (done.said or "exit status %d" % done.code)) from None
    return read(found, project.facts)


def read(found, facts):
    """Return ({database: state}, error or None) of what openstack-db says of a service. Pure."""
    states = found.get("databases")
    if not isinstance(states, dict) or not states:
        states = dict.fromkeys(facts["databases"], found.get("result", "unknown"))
    return states, found.get("error")


def _launcher():
    return os.path.join(os.path.dirname(os.path.realpath(sys.argv[0])), LAUNCHER)
