# SPDX-License-Identifier: MIT
"""Services as rows of text and as JSON. Pure."""

import time


def row(service):
    """Return the cells of a service: name, state, at boot, what runs it, process and time."""
    state = service.state
    active = state.active
    if state.sub and state.sub not in ("running", "dead", active):
        active += " (%s)" % state.sub
    if state.result:
        active += ", " + state.result
    what = " ".join(filter(None, [
        "in %s" % (service.host or state.runs_in) if service.host or state.runs_in else "",
        "pid %d" % state.pid if state.pid else "",
        "since %s" % stamp(state.since) if state.since else "",
    ]))  # fmt: skip
    return [service.unit, active, state.boot or "-", what]


def table(rows):
    """Return rows of cells as lines, columns aligned."""
    widths = [max([len(each[number]) for each in rows]) for number in range(len(rows[0]))] if rows else []
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(each, widths)).rstrip() for each in rows]
    return "".join(line + "\n" for line in lines)


def data(service):
    """Return a service for --json."""
    found = {"service": service.unit, "project": service.kind.project}
    state = service.state
    if state is not None:
        found.update(
            state=state.active,
            substate=state.sub or None,
            boot=state.boot or None,
            pid=state.pid,
            since=stamp(state.since, "%Y-%m-%dT%H:%M:%S%z") if state.since else None,
            failure=state.result or None,
            runs_in=service.host or state.runs_in or None,
        )
    return found


def stamp(seconds, form="%Y-%m-%d %H:%M:%S"):
    """Return a time, given in seconds since the epoch, in this host's zone."""
    return time.strftime(form, time.localtime(seconds))
