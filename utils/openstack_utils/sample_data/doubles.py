# SPDX-License-Identifier: MIT
"""Two runs at the same time: Keystone lets both make the same service or endpoint. One is taken away again.

Each run looks at what it has made after it has made it, and only takes away its own. Of two that see each
other the one with the smaller id stays. A run that has looked before the other made its own never gives way:
who sees that a larger id stays gives way instead. Then it looks once more: where the other run has given way
after all, so that nothing is left, the caller makes it again.
"""

import time

from ..keystone.client import RemoteError

# How long a run waits until the other one gives way, and how often it looks.
SECONDS = 5
LOOK_SECONDS = 0.5


def mend(session, outcomes, tell):
    """Take away services and endpoints of this run that another run has made too.

    outcomes: StepOutcomes of the run. `tell(text)` is called for each. Returns the steps of which nothing is
    left. Raises RemoteError.
    """
    lost = []
    for kind in ("service", "endpoint"):
        own = {
            outcome.found["id"]: outcome.step
            for outcome in outcomes
            if outcome.step.kind == kind and outcome.result == "created" and outcome.found
        }
        if own:
            lost += _Doubles(session, kind, own, tell).mend()
    return lost


class _Doubles:
    """Those of one kind; `own` maps the ids of this run to its steps."""

    def __init__(self, session, kind, own, tell):
        self.session = session
        self.kind = kind
        self.own = own
        self.tell = tell
        self.removed = {}

    def mend(self):
        """Take away what is double; return the steps of which nothing is left."""
        there = self._look()
        self._remove(there, [each for each, others in self._double(there).items() if min(others) < each])
        deadline = time.monotonic() + SECONDS
        while self._double(there):
            there = self._look()
            if time.monotonic() > deadline:
                self._remove(there, self._double(there))
                break
            if self._double(there):
                time.sleep(LOOK_SECONDS)
        if not self.removed:
            return []
        left = set(self._look().values())
        return [step for key, step in self.removed.items() if key not in left]

    def _look(self):
        """Return {id: key} of all that are there."""
        found = self.session.identity.get(self._path())[self._name]
        return {each["id"]: _key(self.kind, each) for each in found}

    def _double(self, there):
        """Return {id of ours: ids of others} of what is there twice."""
        double = {}
        for each in self.own:
            others = [one for one in there if there[one] == there.get(each) and one not in self.own]
            if others:
                double[each] = others
        return double

    def _remove(self, there, ids):
        for each in list(ids):
            step, key = self.own.pop(each), there.pop(each)
            try:
                self.session.identity.call("DELETE", self._path(each))
            except RemoteError as error:
                # Gone with its service.
                if error.status != 404:
                    raise
            self.removed[key] = step
            self.tell("removed    %s %s, which another run has made too" % (self.kind, step.name))

    @property
    def _name(self):
        return self.kind + "s"

    def _path(self, each=None):
        return "/%s/%s" % (self._name, each) if each else "/" + self._name


def _key(kind, each):
    if kind == "service":
        return each["type"], each.get("name", "")
    return each["service_id"], each["interface"], each.get("region_id")
