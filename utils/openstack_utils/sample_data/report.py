# SPDX-License-Identifier: MIT
"""What openstack-keystone-sample-data prints: progress, tables or JSON.

No password, token or secret key is ever given to it.
"""

import json
from collections import Counter

from .apply import NOT_DONE, RESULTS

ORDER = tuple(RESULTS.values()) + (NOT_DONE, "deleted")
WORDS = {"conflict": "conflicts"}


def show_outcome(console, outcome, dry_run=False):
    """Say what became of one object."""
    result = ("would be " if dry_run and outcome.result in ("created", "updated") else "") + outcome.result
    text = "%-9s  %s %s" % (result, outcome.step.kind, outcome.step.name)
    changes = "; ".join(show_change(change) for change in outcome.step.changes)
    more = ", ".join(part for part in (outcome.note, changes) if part)
    if more:
        text += " (%s)" % more
    if outcome.result == "conflict":
        console.say(text)
    elif outcome.result == "unchanged" and not more:
        console.detail(text)
    else:
        console.note(text)


def show_change(change):
    """Return a difference in words."""
    name, there, wanted = change
    if name == "password":
        return "the password is another than %s" % wanted
    return "%s %s, wanted %s" % (name, _show(there), _show(wanted))


def count(outcomes, deleted=()):
    """Return result -> number of objects, for the results that every summary names and those there are."""
    counter = Counter(outcome.result for outcome in outcomes)
    counter["deleted"] = len(deleted)
    return {name: counter[name] for name in ORDER if counter[name] or name in RESULTS.values()}


def render_summary(outcomes, deleted=(), dry_run=False):
    """Return the one line that counts."""
    counts = count(outcomes, deleted)
    line = ", ".join("%s %d" % (WORDS.get(name, name), number) for name, number in counts.items())
    return ("would be: " if dry_run else "") + line


def render_json(outcomes, **more):
    """Return the result for machines."""
    counts = count(outcomes, more.get("deleted", ()))
    data = dict(more)
    data["summary"] = {WORDS.get(name, name).replace(" ", "_"): number for name, number in counts.items()}
    data["objects"] = [_object(outcome) for outcome in outcomes]
    return json.dumps(data, indent=1, sort_keys=True) + "\n"


def _object(outcome):
    found = outcome.found or {}
    shown = {"kind": outcome.step.kind, "name": outcome.step.name, "result": outcome.result}
    if "id" in found:
        shown["id"] = found["id"]
    if outcome.note:
        shown["note"] = outcome.note
    if outcome.step.changes:
        changes = outcome.step.changes
        shown["differs"] = {name: {"there": there, "wanted": want} for name, there, want in changes}
    return shown


def render_table(names, rows):
    """Return a table in the form of the keystone command of 2012."""
    widths = [max([len(name)] + [len(str(row[index])) for row in rows]) for index, name in enumerate(names)]
    rule = "+" + "+".join("-" * (width + 2) for width in widths) + "+\n"
    head = "|" + "|".join(" %s " % name.center(width) for name, width in zip(names, widths)) + "|\n"
    text = rule + head + rule
    for row in rows:
        text += "|" + "|".join(" %s " % str(cell).ljust(width) for cell, width in zip(row, widths)) + "|\n"
    return text + rule


def render_tables(outcomes):
    """Return the users, and the services with their public URLs, as `keystone user-list` showed them."""
    users, services, urls = [], [], {}
    for outcome in outcomes:
        found, wanted = outcome.found or {}, outcome.step.wanted
        if outcome.step.kind == "endpoint" and wanted.interface == "public" and "url" in found:
            urls[wanted.type] = found["url"]
    for outcome in outcomes:
        found, wanted = outcome.found or {}, outcome.step.wanted
        if "id" not in found:
            continue
        if outcome.step.kind == "user":
            users.append((found["id"], found.get("enabled", True), found.get("email") or "", found["name"]))
        elif outcome.step.kind == "service":
            services.append((found["name"], found["type"], urls.get(wanted.type, "")))
    text = ""
    if users:
        text += render_table(("id", "enabled", "email", "name"), sorted(users, key=lambda row: row[3]))
    if services:
        text += render_table(("name", "type", "public URL"), services)
    return text


def _show(value):
    return '"%s"' % value if isinstance(value, str) else str(value)
