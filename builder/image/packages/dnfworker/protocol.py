# SPDX-License-Identifier: MIT
"""What the builder asks of the programs here, and how they answer.

Each is a program apart, not a module of `builder`: it runs under the system's own Python, because only that
has the modules of dnf, libdnf5 and rpm. It reads one JSON request from stdin and answers with JSON lines on
stdout, each with an `event`:

    solved     what would be installed: packages, with name, nevra, arch, repo, sha256, size, path
    progress   {"done": bytes or elements, "total": ..., "what": ...}
    fetched, installed   the end of a stage
    warning    something a user should see
    error      the end: kind (missing, depsolve, repo, fetch, verify, transaction), message, hint
"""

from __future__ import annotations

import difflib
import json
import re
import sys

# Of what went wrong, in one error.
MOST_REASONS = 3
MISSING_ROOM = re.compile(r"needs .* more (space|inodes) on ")


class Stop(Exception):
    """Ends the work with an `error` event."""

    def __init__(self, kind, message, **more):
        super().__init__(message)
        self.event = dict(event="error", kind=kind, message=message, **more)


def say(event, **fields):
    """Write one event."""
    sys.stdout.write(json.dumps(dict(event=event, **fields)) + "\n")
    sys.stdout.flush()


def one_line(error):
    """Return the text of an exception on one line."""
    return "; ".join(line.strip() for line in str(error).splitlines() if line.strip())


def several(reasons, between="; "):
    """Return reasons on one line: the first ones, and how many more there are. The log has them all."""
    if len(reasons) > MOST_REASONS:
        sys.stderr.write("".join("%s\n" % reason for reason in reasons))
        # rpm says after each package what is missing by then (lib/rpmts.c): the last number counts.
        room = [reason for reason in reasons if MISSING_ROOM.search(reason)]
        reasons = [*room[-1:], *(reason for reason in reasons if reason not in room)]
    left = ["and %d more" % (len(reasons) - MOST_REASONS)] if len(reasons) > MOST_REASONS else []
    return between.join([*reasons[:MOST_REASONS], *left])


def refused(reasons, details):
    """Return what ends the work when rpm refuses a transaction for `reasons`."""
    kind = "verify" if any("does not verify" in reason for reason in reasons) else "transaction"
    return Stop(kind, several(reasons), details=details)


def nearest(name, names):
    """Return the missing name with the nearest that is there."""
    near = difflib.get_close_matches(name, names, n=1)
    return {"name": name, "nearest": near[0] if near else None}


def asks_for_paths(request):
    """Say whether a path is asked for, or excluded: it may stand in the lists of all files only."""
    return any("/" in spec for spec in (*request["names"], *request["excluded"]))
