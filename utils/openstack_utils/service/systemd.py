# SPDX-License-Identifier: MIT
"""Services under systemd: found in its folders (systemd.unit(5)), asked and changed by systemctl."""

import os

from ..host import processes
from .states import PROPERTIES, read_show

FOLDERS = (
    "/etc/systemd/system", "/run/systemd/system", "/run/systemd/generator", "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system", "/lib/systemd/system", "/run/systemd/generator.late",
)  # fmt: skip
SUFFIX = ".service"
# In FOLDERS: what a unit pulls in, by links named as the units.
PULLED = (".wants", ".requires")


class Systemd:
    """This host's systemd. `root` is where its folders are looked for, / but in tests."""

    name = "systemd"

    def __init__(self, root="/"):
        self.folders = [os.path.join(root, folder[1:]) for folder in FOLDERS]

    def installed(self):
        """Return the names of all services without suffix, from the folders alone: no process is started.

        Other names of a unit (links to it) are left out. Templates (NAME@) are there, and instances that
        something pulls in at boot.
        """
        found = set()
        for folder in self.folders:
            for name in _names(folder):
                path = os.path.join(folder, name)
                if name.endswith(SUFFIX) and not _is_alias(path):
                    found.add(name[: -len(SUFFIX)])
                elif name.endswith(PULLED):
                    found.update(
                        each[: -len(SUFFIX)] for each in _names(path) if each.endswith(SUFFIX) and "@" in each
                    )
        return found

    def running_instances(self, limit=None):
        """Return the names of instances of templates that systemd has loaded."""
        argv = ["systemctl", "list-units", "--all", "--full", "--no-pager", "--type=service"]
        done = processes.run(argv, limit=limit)
        names = [word for line in done.out.splitlines() for word in line.split()[:2]]
        return {
            name[: -len(SUFFIX)] for name in names if name.endswith(SUFFIX) and not name.startswith("@")
            and "@" in name
        }  # fmt: skip

    def states(self, units, limit=None):
        """Return {unit: State} by one call. Raises UtilityError when systemd does not answer."""
        if not units:
            return {}
        # One option for each: a list with commas is newer than Fedora 17.
        argv = ["systemctl", "show", "--no-pager"] + ["--property=" + name for name in PROPERTIES]
        done = processes.run(argv + [unit + SUFFIX for unit in units], limit=limit)
        return read_show(done.out)

    def argv(self, verb, units, now=False):
        """Return the command that does a verb to units."""
        options = ["--now"] if now else []
        return ["systemctl", "--no-pager"] + options + [verb] + [unit + SUFFIX for unit in units]


def _names(folder):
    try:
        return sorted(os.listdir(folder))
    except OSError:
        return []


def _is_alias(path):
    """Say whether a unit file is a link to one of another name; masked ones lead to /dev/null."""
    if not os.path.islink(path):
        return False
    target = os.path.basename(os.readlink(path))
    name = os.path.basename(path)
    return target != name and target.endswith(SUFFIX) and "@" not in target
