# SPDX-License-Identifier: MIT
"""A stub: what stands in for the Python code of a project in tests. It answers nothing and stores nothing.

Any module of the project can be imported, and whatever is taken from it is `main`: so the programs that
pip made for the real code start this daemon. It says READY to systemd, writes what happens to it into
/var/log/stub/events, and ends at SIGTERM. /etc/stub/PROGRAM.dies makes it die at once.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import os
import pwd
import signal
import socket
import sys
from types import ModuleType

EVENTS = "/var/log/stub/events"
# What does its work and ends: RDO's names of the clean-up programs.
SHORT_LIVED = ("-cleanup", "-patch-ports")


def main() -> None:
    """Be the daemon."""
    name = os.path.basename(sys.argv[0])
    if os.path.exists(f"/etc/stub/{name}.dies"):
        sys.exit(f"{name}: the stub was asked to die")
    signal.signal(signal.SIGTERM, stop)
    note("start", name, pwd.getpwuid(os.getuid()).pw_name, *sys.argv[1:])
    if name.endswith(SHORT_LIVED):
        return
    notify(b"READY=1")
    while True:
        signal.pause()


def stop(*_: object) -> None:
    """End, and log it."""
    note("stop", os.path.basename(sys.argv[0]))
    sys.exit(0)


def note(*words: str) -> None:
    """Log an event for the test."""
    with open(EVENTS, "a") as file:
        file.write(" ".join(words) + "\n")


def notify(message: bytes) -> None:
    """Notify systemd (sd_notify(3))."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if address:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
            channel.sendto(message, address.replace("@", "\0", 1) if address[0] == "@" else address)


class Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds every module below a package of a stub."""

    def __init__(self, package: str) -> None:
        self.prefix = package + "."

    def find_spec(
        self, name: str, _path: object = None, _target: object = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Say that the module is here."""
        if name.startswith(self.prefix):
            return importlib.machinery.ModuleSpec(name, self, is_package=True)
        return None

    def exec_module(self, module: ModuleType) -> None:
        """Fill the module: whatever is asked of it is main (PEP 562)."""
        module.__dict__["__getattr__"] = lambda _name: main


def stand_in(package: str) -> None:
    """Be the code of `package`."""
    sys.meta_path.insert(0, Finder(package))


if __name__ == "__main__":
    main()
