# SPDX-License-Identifier: MIT
"""Two runs at the same time: Keystone lets both make the same service or endpoint. One is taken away again.

Each run looks at what it has made after it has made it, and only takes away its own. Of two that see each
other the one with the smaller id stays; who sees a smaller one of its own that does not go away in a moment
has come after the other run's look, and gives way.
"""

import time

from ..keystone.client import RemoteError

SECONDS = 2


def mend(session, outcomes, say):
    """Take away services and endpoints of this run that another run has made too; return their number.

    outcomes: StepOutcomes of the run. `say(text)` is called for each. Raises RemoteError.
    """
    own = {
        kind: {
            outcome.found["id"]: outcome.step
            for outcome in outcomes
            if outcome.step.kind == kind and outcome.result == "created" and outcome.found
        }
        for kind in ("service", "endpoint")
    }
    removed = 0
    for kind, steps in own.items():
        if not steps:
            continue
        double = _double(session, kind, steps)
        if any(not others for others in double.values()):
            time.sleep(SECONDS)
            double = _double(session, kind, steps)
        for each in double:
            try:
                session.identity.call("DELETE", "/%ss/%s" % (kind, each))
            except RemoteError as error:
                # Gone with its service.
                if error.status != 404:
                    raise
            removed += 1
            say("removed    %s %s, which another run has made too" % (kind, steps[each].name))
    return removed


def _double(session, kind, steps):
    """Return {id of ours: ids of others that are smaller} of what is there twice."""
    there = session.identity.get("/%ss" % kind)[kind + "s"]
    keys = {}
    for each in there:
        keys.setdefault(_key(kind, each), []).append(each["id"])
    double = {}
    for each in there:
        others = [one for one in keys[_key(kind, each)] if one not in steps]
        if each["id"] in steps and others:
            double[each["id"]] = [one for one in others if one < each["id"]]
    return double


def _key(kind, each):
    if kind == "service":
        return each["type"], each.get("name", "")
    return each["service_id"], each["interface"], each.get("region_id")
