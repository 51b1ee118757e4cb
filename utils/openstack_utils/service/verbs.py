# SPDX-License-Identifier: MIT
"""What can be done to services: verbs of systemctl(1) that take units, and of init scripts. Pure."""

import difflib

from ..errors import UsageError

# Shown by ourselves, from one reading of all states.
ASKED = ("list", "status", "is-active", "is-enabled", "is-failed")
# Those that run, end or signal something: in the order of the catalogue, one service after the other.
RUNNING = (
    "start", "stop", "restart", "reload", "try-restart", "condrestart", "reload-or-restart",
    "try-reload-or-restart", "reload-or-try-restart", "force-reload", "kill", "freeze", "thaw", "clean",
)  # fmt: skip
BACKWARDS = ("stop", "kill", "freeze", "clean", "disable", "mask")
# Those that change what happens at boot.
BOOT = ("enable", "disable", "reenable", "preset", "mask", "unmask", "revert")
# systemd's own text about all of them, in one call.
SHOWN = ("show", "cat", "help", "list-dependencies")
OTHER = ("reset-failed",)
SYSTEMD = ASKED + RUNNING + BOOT + OTHER + SHOWN
# Over services that are not enabled too: over the enabled ones they would do nothing.
OVER_INSTALLED = ("enable", "reenable", "preset", "unmask", "is-enabled")
# What they change is wide: without a word they ask for --all.
NEED_WORDS = ("enable", "reenable", "preset", "unmask", "revert", "clean")
SYSV_SWITCH = {"enable": "on", "disable": "off", "reenable": "reset"}
WITH_NOW = ("enable", "disable", "reenable", "mask")


def check(verb, now=False):
    """Raise UsageError for a verb that takes no units, or is none."""
    if verb not in SYSTEMD:
        near = difflib.get_close_matches(verb, SYSTEMD, 1)
        hint = "did you mean %s? " % near[0] if near else ""
        hint += "actions are %s" % ", ".join(SYSTEMD)
        raise UsageError('unknown action "%s"' % verb, hint=hint)
    if now and verb not in WITH_NOW:
        raise UsageError("--now goes with %s" % ", ".join(WITH_NOW))


def runs_something(verb, now=False):
    """Say whether a verb starts, stops or signals what a service has running."""
    return verb in RUNNING or now


def in_order(verb, services):
    """Return services, given in the order of a start, in the order in which a verb takes them."""
    return list(reversed(services)) if verb in BACKWARDS else list(services)
