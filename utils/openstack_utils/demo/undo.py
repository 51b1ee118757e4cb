# SPDX-License-Identifier: MIT
"""The planner of --undo: what a run has made is taken back, in the reverse of its order. Pure.

Programs of others stay as they are (the database server, the bus, libvirt, Open vSwitch), and so does what no
longer means anything to anybody: Keystone's keys, Swift's rings and objects. A group of volumes is data.
"""

import os

from . import steps
from .plan import DemoPlan

KEYSTONERC = ("keystonerc_admin", "keystonerc_demo")


def make_plan(plan, wish, record, passwords):
    """Return the DemoPlan that takes back a `plan`; `record` and `passwords` are what runs have left."""
    steps_of_runs = [
        step for step in plan.steps if not isinstance(step, steps.Bus) or step.secret in passwords
    ]
    undone = [step for each in reversed(steps_of_runs) for step in _reverse(each)]
    if record:
        places = tuple((*place, value) for place, value in sorted(record.items()))
        undone.append(steps.Restore("configuration as it was", wish.record, places))
    names = [os.path.join(wish.output, name) for name in KEYSTONERC]
    undone.append(steps.RemoveFiles("files", (*names, wish.record, wish.passwords)))
    return DemoPlan(plan.projects, tuple(undone))


def _reverse(step):
    if isinstance(step, steps.Start):
        yield steps.Stop(step.title, step.units)
    elif isinstance(step, steps.InitDatabase):
        yield steps.DropDatabase(step.title, step.project)
    elif isinstance(step, steps.Bus):
        yield steps.RemoveBusUser(step.title)
