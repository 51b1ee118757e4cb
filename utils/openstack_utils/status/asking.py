# SPDX-License-Identifier: MIT
"""Asks many things at the same time, each with the same limit of time. Knows nothing of OpenStack."""

import queue
import threading
import time
from typing import NamedTuple, Optional

from ..errors import UtilityError

# What a probe needs beyond its limit to say that it was reached, before nobody waits for it any more.
GRACE = 0.25


class LeftOut(UtilityError):
    """Not looked at: who asks may not, or has not what it needs. The message says why."""


class Limit:
    """The time that a probe has, from the moment all of them begin."""

    def __init__(self, seconds):
        self.seconds = seconds
        self.end = time.monotonic() + seconds

    def left(self):
        """Return the seconds that are left; never 0, which means no limit to sockets."""
        return max(0.001, self.end - time.monotonic())


class Answer(NamedTuple):
    """What a probe found: a value, or the reason why there is none; and the seconds that it took."""

    value: object = None
    error: Optional[str] = None
    left_out: Optional[str] = None
    seconds: float = 0.0


def ask(probes, seconds):
    """Run all functions of `probes` {key: function(limit)} at once; return {key: Answer}.

    It takes the time of the slowest, and at most `seconds` and GRACE: what has not ended by then has no
    answer. Its thread is left to itself; it dies with the process.
    """
    limit = Limit(seconds)
    arrived = queue.Queue()
    for key, probe in probes.items():
        threading.Thread(target=_run, args=(key, probe, limit, arrived), daemon=True).start()
    answers = {}
    while len(answers) < len(probes):
        try:
            key, answer = arrived.get(timeout=max(0, limit.end + GRACE - time.monotonic()))
        except queue.Empty:
            break
        answers[key] = answer
    late = Answer(error="no answer within %g s" % seconds, seconds=seconds)
    return {key: answers.get(key, late) for key in probes}


def _run(key, probe, limit, arrived):
    started = time.monotonic()
    try:
        answer = Answer(value=probe(limit))
    except LeftOut as error:
        answer = Answer(left_out=error.message)
    except UtilityError as error:
        answer = Answer(error=error.message)
    except Exception as error:
        # A fault of one probe is reported, and does not stop the others.
        answer = Answer(error="%s: %s" % (type(error).__name__, error))
    arrived.put((key, answer._replace(seconds=time.monotonic() - started)))
