# SPDX-License-Identifier: MIT
"""What a run has made and not finished, on disk before it is made: for the run after a SIGKILL.

One journal per service, next to the lock that keeps two runs of it apart. It holds names and no secrets.
"""

import contextlib
import fcntl
import json
import os
import time
from typing import NamedTuple

from .. import json_text
from ..errors import UtilityError
from ..storage.descriptors import system_error, unlink
from ..storage.private_files import write_private
from ..storage.work_files import remove_stale_in
from .server.statements import ServerChange


class Backup(NamedTuple):
    """The old text of the file `path`, in `backup`; `digest` is of the new text, "" until that is written."""

    path: str
    backup: str
    digest: str = ""


class Journal:
    """The journal of one service. An empty one has no file."""

    def __init__(self, folder, service):
        self.path = os.path.join(folder, service + ".journal")
        self.changes = []
        self.files = []

    def read(self):
        """Read what an unfinished run has left; return whether there was one."""
        try:
            with open(self.path, encoding="utf-8") as file:
                data = json_text.parse(file.read())
            self.changes = [ServerChange(*each) for each in data["changes"]]
            self.files = [Backup(*each) for each in data["files"]]
        except FileNotFoundError:
            return False
        except (OSError, ValueError, TypeError, KeyError) as error:
            reason = getattr(error, "strerror", None) or "it is damaged"
            hint = "remove it if nothing of that service is half made"
            raise UtilityError("%s: %s" % (self.path, reason.lower()), hint=hint) from None
        return True

    def add(self, change):
        """Note a change that is about to be made."""
        if change not in self.changes:
            self.changes.append(change)
            self._write()

    def forget(self, change):
        self.changes.remove(change)
        self._write()

    def set_files(self, files):
        """Note the files that are about to be changed, or have been."""
        self.files = list(files)
        self._write()

    def close(self):
        """The run has ended, or is taken back: forget it."""
        for old in self.files:
            unlink(old.backup)
        self.changes, self.files = [], []
        unlink(self.path)

    def _write(self):
        if not self.changes and not self.files:
            unlink(self.path)
            return
        data = {"changes": self.changes, "files": self.files}
        write_private(self.path, json.dumps(data, indent=1) + "\n")


def make_folder(folder):
    """Make the folder for locks and journals; remove what killed runs left there."""
    try:
        os.makedirs(folder, mode=0o700, exist_ok=True)
        remove_stale_in(folder)
    except OSError as error:
        raise system_error(folder, error) from None


@contextlib.contextmanager
def locked(folder, service, say, stop):
    """Hold the lock of a service; a second run waits until the first has ended."""
    path = os.path.join(folder, service + ".lock")
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise system_error(path, error) from None
    try:
        announced = False
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if not announced:
                    say("waiting for another openstack-db")
                announced = True
                stop.check()
                time.sleep(0.1)
        yield
    finally:
        os.close(descriptor)
