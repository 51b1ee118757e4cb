# SPDX-License-Identifier: MIT
"""Services under SysV init: scripts of /etc/init.d, links of rc?.d, `service` and `chkconfig`."""

import os
import re
from concurrent.futures import ThreadPoolExecutor

from ..errors import UnreachableError, UsageError
from ..host import processes
from . import verbs
from .states import read_status

SCRIPTS = ("/etc/rc.d/init.d", "/etc/init.d")
LINKS = ("/etc/rc.d/rc%s.d", "/etc/rc%s.d")
LINK = re.compile(r"S[0-9][0-9](.+)")
USUAL_LEVEL = "3"
VERBS = ("start", "stop", "restart", "reload", "try-restart", "condrestart", "force-reload")


class Sysv:
    """This host's init scripts. `root` is where their folders are looked for, / but in tests."""

    name = "sysv"

    def __init__(self, root="/"):
        self.root = root
        self._level = None

    def installed(self):
        """Return the names of all scripts; no process is started."""
        found = set()
        for folder in self._paths(SCRIPTS):
            found.update(_programs(folder))
        return found

    def running_instances(self, limit=None):
        """Scripts have no instances."""
        del limit
        return set()

    def states(self, units, limit=None):
        """Return {unit: State}: each script is asked, all at the same time."""
        if not units:
            return {}
        enabled = self.enabled()

        def ask(unit):
            boot = "enabled" if unit in enabled else "disabled"
            try:
                done = processes.run(["service", unit, "status"], limit=limit, ok=None)
            except UnreachableError:
                # One that hangs (rhbz#971606) is unknown, and the others are not.
                return unit, read_status(unit, None, b"", boot)
            return unit, read_status(unit, done.code, done.raw, boot)

        with ThreadPoolExecutor(len(units)) as pool:
            return dict(pool.map(ask, units))

    def enabled(self):
        """Return the names that are started in this runlevel: those that rc?.d has a link for."""
        found = set()
        for folder in self._paths([each % self.level() for each in LINKS]):
            for name in _list(folder):
                match = LINK.fullmatch(name)
                if match:
                    found.add(match.group(1))
        return found

    def level(self):
        """Return the runlevel; where init cannot say, a server's."""
        if self._level is None:
            done = processes.run(["runlevel"], limit=5, ok=None)
            words = done.out.split()
            good = done.code == 0 and len(words) == 2 and words[1] in ("2", "3", "4", "5")
            self._level = words[1] if good else USUAL_LEVEL
        return self._level

    def argv(self, verb, units, now=False):
        """Return the command that does a verb to one script. Raises UsageError for systemd's own verbs."""
        (unit,) = units
        if verb in verbs.SYSV_SWITCH and not now:
            return ["chkconfig", unit, verbs.SYSV_SWITCH[verb]]
        if verb not in VERBS:
            what = verb + (" --now" if now else "")
            hint = "it has %s" % ", ".join(verbs.ASKED + VERBS + tuple(verbs.SYSV_SWITCH))
            raise UsageError("%s needs systemd: this host has SysV init" % what, hint=hint)
        return ["service", unit, verb]

    def _paths(self, folders):
        return [os.path.join(self.root, folder[1:]) for folder in folders]


def _list(folder):
    try:
        return sorted(os.listdir(folder))
    except OSError:
        return []


def _programs(folder):
    return [name for name in _list(folder) if os.access(os.path.join(folder, name), os.X_OK)]
