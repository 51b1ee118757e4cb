# SPDX-License-Identifier: MIT
"""keystone-manage bootstrap: the first account of a Keystone that has none, made on its own host.

Bootstrap takes its password from argv or from the environment and from nowhere else. It is given a
fresh random one in the environment, which is replaced through the API before the run ends; until then
it is in a file (0600), so that a run after a killed one still gets in. One run of a host at a time is
between the two: a second one would replace the password that the first has set.
"""

import fcntl
import json
import os
from typing import NamedTuple

from .. import json_text
from ..errors import UnreachableError
from ..host import processes
from ..host.masking import Secrets
from ..host.passwords import generate
from ..host.programs import find_program, identity_of
from ..storage.private_files import write_private
from .client import RemoteError

PROGRAM = "keystone-manage"
NOTE = ".openstack-keystone-sample-data.bootstrap"
DEFAULT_CONF = "/etc/keystone/keystone.conf"
SECONDS = 300


class Note(NamedTuple):
    """What a run that was killed left: the password that it gave admin, and whether bootstrap had ended."""

    password: str
    is_over: bool


class Bootstrap:
    """keystone-manage on this host, for the configuration `conf`; `folder` takes the note."""

    def __init__(self, conf, folder, user="keystone"):
        self.conf = conf
        self._lock = None
        self.note = os.path.join(folder, NOTE)
        self.user = user
        self.program = find_program(PROGRAM)

    @property
    def is_possible(self):
        """Whether keystone-manage and the configuration are here."""
        return self.program is not None and os.access(self.conf, os.R_OK)

    def wait_for_others(self, note):
        """Wait until no other run is at this Keystone's first account; say whether there was one.

        `note` is called before the wait. What is locked is the folder of the configuration, which no change
        of a file replaces; the lock ends with `forget`, or with this process.
        """
        try:
            self._lock = os.open(os.path.dirname(os.path.abspath(self.conf)), os.O_RDONLY | os.O_CLOEXEC)
        except PermissionError:  # who may read the file, and not list its folder
            return False
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return False
        except BlockingIOError:
            note("another run is making the first account: waiting for it")
            fcntl.flock(self._lock, fcntl.LOCK_EX)
            return True

    def has_accounts(self):
        """Say whether the Keystone of the configuration was ever filled: whether the domain Default is there.

        mapping_populate looks the domain up and, with the SQL driver, does nothing else. A wrong answer
        "no" would let bootstrap set the password of an admin anew, so all but its very words is a yes.
        """
        said = self._run(["mapping_populate", "--domain-name", "Default"], {})
        return "Invalid domain name: Default" not in said

    def run(self, urls, region, url):
        """Run bootstrap; return the password that admin has now.

        `urls` maps interface -> URL of the identity service; `url` is where we reach it.
        Raises UtilityError.
        """
        password = generate()
        self._write(url, Note(password, is_over=False))
        words = ["bootstrap", "--bootstrap-username", "admin", "--bootstrap-project-name", "admin"]
        words += ["--bootstrap-role-name", "admin", "--bootstrap-service-name", "keystone"]
        words += ["--bootstrap-region-id", region]
        for interface in ("admin", "public", "internal"):
            words += ["--bootstrap-%s-url" % interface, urls[interface]]
        self._run(words, {"OS_BOOTSTRAP_PASSWORD": password})
        self._write(url, Note(password, is_over=True))
        return password

    def read_note(self, url):
        """Return the Note that a killed run left for the Keystone at `url`, or None."""
        try:
            with open(self.note, encoding="utf-8") as file:
                noted = json_text.parse(file.read())
            return Note(noted["password"], bool(noted.get("is_over", True))) if noted["url"] == url else None
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def _write(self, url, note):
        write_private(self.note, json.dumps(dict(note._asdict(), url=url)) + "\n")

    def forget(self):
        """Remove the note: the password in it is not admin's any more."""
        try:
            os.unlink(self.note)
        except FileNotFoundError:
            pass
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _run(self, words, extra):
        argv = [self.program]
        if self.conf != DEFAULT_CONF:
            argv += ["--config-file", os.path.abspath(self.conf)]
        identity = identity_of(self.user, must_exist=False)
        try:
            done = processes.run(argv + words, limit=SECONDS, ok=None, identity=identity, extra=extra)
        except UnreachableError:
            message = "%s %s did not end within %d s" % (PROGRAM, words[0], SECONDS)
            raise RemoteError(message, hint="does its database answer?") from None
        if done.code != 0:
            lines = (done.err or done.out).strip().splitlines()
            secrets = Secrets()
            for secret in extra.values():
                secrets.add(secret)
            last = secrets.mask(lines[-1].strip()) if lines else "no output"
            message = "%s %s %s: %s" % (PROGRAM, words[0], processes.how_it_ended(done.code), last)
            raise RemoteError(message, hint="are the tables there? openstack-db --init makes them")
        return done.out
