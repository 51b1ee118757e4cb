# SPDX-License-Identifier: MIT
"""What each step of a plan waits for; what does not wait for each other is done at the same time. Pure.

The plan keeps the order of the talk, one service after the other. But databases are independent, and so are
services that do not need each other: while one loads, another one's tables are made.
"""

from . import steps


def find_needs(owned, needed):
    """Return {step: the steps that it waits for}.

    owned: (project or None, step) in the order of the plan. needed: {project: projects that it needs}.
    """
    needs, before = {}, []
    for project, step in owned:
        rule = _RULES.get(type(step), _everything)
        needs[step] = tuple(each.step for each in before if rule(each, project, needed.get(project, ())))
        is_first = not any(each.is_a(type(step)) for each in before)
        before.append(_Before(project, step, is_first))
    return needs


class _Before:
    """A step that comes before another one: of which project, and whether it is the first of its kind."""

    def __init__(self, project, step, is_first):
        self.project = project
        self.step = step
        self.is_first = is_first

    def is_a(self, *kinds):
        return isinstance(self.step, kinds)


def _everything(_before, _project, _needed):
    return True


def _nothing(_before, _project, _needed):
    return False


def _own(before, project, _needed):
    return before.project == project


def _configure(before, _project, _needed):
    return before.is_a(steps.PasswordFile)


def _bus(before, _project, _needed):
    return before.is_a(steps.PasswordFile, steps.StartSupport)


def _database(before, project, _needed):
    # The first one installs and starts the server where there is none.
    is_first = before.is_first and before.is_a(steps.InitDatabase)
    return is_first or (before.project == project and before.is_a(steps.Configure))


def _start(before, project, needed):
    """Its own steps, the bus, the accounts in Keystone, and the answers of those that it needs."""
    is_theirs = before.project in needed and before.is_a(steps.Start, steps.WaitForApi)
    return before.project == project or is_theirs or before.is_a(steps.Bus, steps.Fill)


# What has no rule waits for all that comes before it.
_RULES = {
    steps.PasswordFile: _nothing,
    steps.StartSupport: _nothing,
    steps.VolumeGroup: _nothing,
    steps.Bus: _bus,
    steps.Configure: _configure,
    steps.InitDatabase: _database,
    # After the database, whose command opens the log as the account of the service: here root does.
    steps.Prepare: _own,
    steps.Start: _start,
    steps.WaitForApi: _own,
    steps.Fill: _own,
}
