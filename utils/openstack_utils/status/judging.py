# SPDX-License-Identifier: MIT
"""What the answers mean: for each thing looked at a Finding, with whether it is well. Pure.

Only what is meant to work counts: a service that is enabled at boot, and what belongs to one that is
enabled or runs. In a container without an init system nobody can say what is: `meant` is None there, and
what is not there at all does not count.
"""

from typing import NamedTuple, Optional

from ..service import rows
from . import cloud

# States of openstack-db that nobody can call wrong.
FINE, UNSURE = ("current",), ("unknown",)
# Not installed, which is not a fault where it is optional.
ABSENT = ("connection refused", "not set", "missing")
GIB = float(1 << 30)


class Finding(NamedTuple):
    """A thing that was looked at: `well` None does not count. `more` are lines below, `facts` for --json."""

    kind: str
    name: str
    state: str
    well: Optional[bool] = None
    detail: str = ""
    more: tuple = ()
    facts: dict = {}


def is_meant(state):
    """Say whether a service is meant to work."""
    return state is not None and (state.is_enabled or state.is_active)


def counts(state, well, meant):
    """Return whether something is well, None where that does not count."""
    if meant is None and state in ABSENT:
        return None
    return None if meant is False else well


def service(each, states, reasons):
    """Return the Finding of a Service; `states` is None without an answer."""
    unit = each.host or each.unit
    state = states.get(unit) if states is not None else None
    facts = rows.data(each.with_state(state))
    del facts["project"]
    name = facts.pop("service")
    if state is None:
        return Finding("service", name, "unknown", None, facts=facts)
    _, shown, boot, detail = rows.row(each.with_state(state))
    well = None
    if each.kind.cleans_up:
        # It has ended, or was never needed; all that counts is that it did not fail.
        well = state.active != "failed" if state.is_enabled else None
    elif state.is_enabled:
        well = state.is_active
    reason = reasons.get(unit)
    facts["last_error"] = reason or None
    return Finding("service", name, shown, well, "  ".join((boot, detail)).rstrip(),
                   (reason,) if reason else (), facts)  # fmt: skip


def endpoint(address, answer, meant):
    """Return the Finding of an endpoints.Address; None where nothing answers and nothing need."""
    facts = {"service": address.service, "url": address.url}
    if answer.value is None:
        if meant is False:
            return None
        facts.update(error=answer.error, seconds=round(answer.seconds, 3))
        return Finding("endpoint", address.url, answer.error, counts(answer.error, False, meant), facts=facts)
    reply = answer.value
    facts.update(status=reply.status, seconds=round(reply.seconds, 3), version=reply.version or None)
    detail = "%.3f s  %s" % (reply.seconds, reply.version)
    well = counts("", reply.is_well, meant)
    return Finding("endpoint", reply.url, "HTTP %d" % reply.status, well, detail.rstrip(), facts=facts)


def databases(project, answer, meant):
    """Return the Findings of a project's databases."""
    if answer.value is None:
        if meant is False or answer.error is None:
            return []
        facts = {"error": answer.error}
        return [
            Finding("database", "database " + each, answer.error, False, facts=facts)
            for each in project.facts["databases"]
        ]
    states, error = answer.value
    found = []
    for name, state in states.items():
        well = None if state in UNSURE else counts(state, state in FINE, meant)
        # The reason is the worst one's, and is shown with the first that is not well.
        why = error if error and state not in FINE and not any(each.detail for each in found) else ""
        why = "" if why == "the database is not current" else why
        facts = {"database": name, "error": why or None}
        found.append(Finding("database", "database " + name, state, well, why, facts=facts))
    return found


def support(name, facts, unit, state, answer):
    """Return the Finding of a support whose `unit` is installed."""
    data = {"unit": unit}
    shown, boot, detail, well = "unknown", "", "", None
    if state is not None:
        _, shown, boot, detail = rows.row(_Row(unit, state))
        data.update(rows.data(_Row(unit, state)))
        del data["service"], data["project"]
        well = state.is_active if state.is_enabled else None
    more: tuple = ()
    if answer is not None and (is_meant(state) or state is None):
        if answer.value is not None:
            detail = "answers in %.3f s  %s  %s" % (answer.seconds, answer.value, detail)
            data.update(answers=True, version=answer.value or None, seconds=round(answer.seconds, 3))
        elif answer.error and state is not None:
            more, well = (answer.error,), False
            data.update(answers=False, error=answer.error)
    detail = "  ".join(filter(None, (boot, " ".join(detail.split()))))
    title = "%s (%s)" % (facts["title"], unit)
    return Finding("support", title, shown, well, detail, more, dict(data, support=name))


def bus(place, answer, meant):
    """Return the Finding of a message bus that configuration names."""
    name = "message bus %s:%d" % place
    facts = {"host": place[0], "port": place[1], "seconds": round(answer.seconds, 3)}
    if answer.value is None:
        well = None if answer.error is None else counts(answer.error, False, meant)
        return Finding("bus", name, answer.error or "not asked", well, facts=dict(facts, error=answer.error))
    detail = " ".join(("%.3f s %s" % (answer.seconds, answer.value)).split())
    return Finding("bus", name, "answers", counts("", True, meant), detail, facts=facts)


def rooms(answers):
    """Return the Findings of file systems, of {path: Answer(Room)}: each once, with its folders."""
    by_device, late = {}, []
    for path, answer in answers.items():
        if answer.value is not None:
            by_device.setdefault(answer.value.device, []).append((path, answer.value))
        elif answer.error:
            late.append(
                Finding("disk", path, answer.error, False, facts={"path": path, "error": answer.error})
            )
    found = []
    for folders in by_device.values():
        room = folders[0][1]
        free, total = room.free / GIB, room.total / GIB
        state = (
            "low" if room.is_low else "%.0f %% free" % (100 * room.free / room.total if room.total else 100)
        )
        detail = "%.1f of %.1f GiB free" % (free, total)
        if room.inodes_free < 0.05:
            detail += ", %.1f %% of inodes" % (100 * room.inodes_free)
        facts = {
            "mount": room.mount,
            "free": room.free,
            "total": room.total,
            "inodes_free": round(room.inodes_free, 4),
            "folders": [path for path, _ in folders],
        }
        found.append(Finding("disk", room.mount, state, not room.is_low, detail, facts=facts))
    return found + late


def listing(question, answer):
    """Return the Finding of how many there are of something; None where the cloud has no such service."""
    if answer.value is None:
        if answer.error is None:
            return None
        return Finding("count", question.name, answer.error, False, facts={"error": answer.error})
    states = {}
    for each in answer.value:
        if question.key == "servers":
            states[str(each.get("status"))] = states.get(str(each.get("status")), 0) + 1
    detail = ", ".join("%d %s" % (count, state) for state, count in sorted(states.items()))
    facts = dict({"states": states} if states else {}, count=len(answer.value))
    return Finding("count", question.name, str(len(answer.value)), None, detail, facts=facts)


def agents(question, answer):
    """Return the Findings of agents: one for how many are up, one for each that is down."""
    if answer.value is None:
        if answer.error is None:
            return []
        return [Finding("agents", question.name, answer.error, False, facts={"error": answer.error})]
    every = cloud.read_agents(answer.value)
    up = sum(each.is_up for each in every)
    facts = {"up": up, "count": len(every)}
    found = [Finding("agents", question.name, "%d of %d up" % (up, len(every)), None, facts=facts)]
    for each in every:
        if not each.is_up:
            facts = {"agent": each.name, "host": each.host, "enabled": each.is_enabled, "since": each.since}
            found.append(Finding(
                "agent", "%s on %s" % (each.name, each.host), "down", False if each.is_enabled else None,
                "last seen %s" % each.since if each.since else "", facts=facts,
            ))  # fmt: skip
    return found


class _Row(NamedTuple):
    """What service.rows needs of a unit that is not OpenStack's."""

    unit: str
    state: object
    host: str = ""

    @property
    def kind(self):
        return _NoKind


class _NoKind:
    project = None
