# SPDX-License-Identifier: MIT
"""keystone-manage bootstrap: the first account of a Keystone that has none, made on its own host.

Bootstrap takes its password from argv or from the environment and from nowhere else. It is given a
fresh random one in the environment, which is replaced through the API before the run ends; until then
it stands in a file (0600), so that a run after a killed one still gets in.
"""

import json
import os
import shutil

from ..errors import UtilityError
from ..sample_data.passwords import new_password
from ..storage.private_files import write_private
from .client import RemoteError

PROGRAM = "keystone-manage"
NOTE = ".openstack-keystone-sample-data.bootstrap"
DEFAULT_CONF = "/etc/keystone/keystone.conf"
# What of our own environment a child has no business with.
SECRETS = ("_PASSWORD", "_TOKEN", "_SECRET")
SECONDS = 300


class Bootstrap:
    """keystone-manage on this host, for the configuration `conf`; `folder` takes the note."""

    def __init__(self, conf, folder, user="keystone"):
        self.conf = conf
        self.note = os.path.join(folder, NOTE)
        self.user = user
        self.program = shutil.which(PROGRAM)

    @property
    def is_possible(self):
        """Whether keystone-manage and the configuration are here."""
        return self.program is not None and os.access(self.conf, os.R_OK)

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
        password = new_password()
        write_private(self.note, json.dumps({"url": url, "password": password}) + "\n")
        words = ["bootstrap", "--bootstrap-username", "admin", "--bootstrap-project-name", "admin"]
        words += ["--bootstrap-role-name", "admin", "--bootstrap-service-name", "keystone"]
        words += ["--bootstrap-region-id", region]
        for interface in ("admin", "public", "internal"):
            words += ["--bootstrap-%s-url" % interface, urls[interface]]
        self._run(words, {"OS_BOOTSTRAP_PASSWORD": password})
        return password

    def noted_password(self, url):
        """Return the password that a killed run left, or None."""
        try:
            with open(self.note, encoding="utf-8") as file:
                noted = json.load(file)
            return noted["password"] if noted["url"] == url else None
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def forget(self):
        """Remove the note: the password in it is not admin's any more."""
        try:
            os.unlink(self.note)
        except FileNotFoundError:
            pass

    def _run(self, words, extra):
        import subprocess

        argv = [self.program]
        if self.conf != DEFAULT_CONF:
            argv += ["--config-file", self.conf]
        environment = {
            name: value
            for name, value in os.environ.items()
            if not name.endswith(SECRETS) and not name.startswith("OS_")
        }
        environment.update(extra, LC_ALL="C.UTF-8")
        try:
            done = subprocess.run(
                argv + words,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=environment,
                timeout=SECONDS,
                preexec_fn=_becoming(self.user),
            )
        except subprocess.TimeoutExpired:
            message = "%s %s did not end within %d s" % (PROGRAM, words[0], SECONDS)
            raise RemoteError(message, hint="does its database answer?") from None
        except OSError as error:
            raise UtilityError("%s: %s" % (self.program, error.strerror.lower())) from None
        said = done.stdout.decode("utf-8", "replace")
        if done.returncode != 0:
            lines = (done.stderr.decode("utf-8", "replace") or said).strip().splitlines()
            last = lines[-1].strip() if lines else "it said nothing"
            for secret in extra.values():
                last = last.replace(secret, "***")
            message = "%s %s ended with status %d: %s" % (PROGRAM, words[0], done.returncode, last)
            raise RemoteError(message, hint="are the tables there? openstack-db --init makes them")
        return said


def _becoming(user):
    """Return what makes a child of root that user, so that no log file is root's; None to stay as we are."""
    import pwd

    if os.geteuid() != 0:
        return None
    try:
        account = pwd.getpwnam(user)
    except KeyError:
        return None

    def become():
        os.initgroups(user, account.pw_gid)
        os.setgid(account.pw_gid)
        os.setuid(account.pw_uid)

    return become
