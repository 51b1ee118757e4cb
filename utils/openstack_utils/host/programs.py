# SPDX-License-Identifier: MIT
"""Where programs are, which Python runs them, and which user they run as."""

import os
import pwd
import shutil
from typing import NamedTuple, Optional

from ..errors import AccessError

# A terminal's user may have less than what root needs.
FOLDERS = ("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin")


class RunAs(NamedTuple):
    """Whom a program runs as; None for uid is whoever we are."""

    name: str
    uid: Optional[int] = None
    gid: Optional[int] = None
    home: str = "/"


def search_path():
    """Return the folders in which programs are looked for, as PATH has them."""
    given = os.environ.get("PATH", "").split(os.pathsep)
    return os.pathsep.join(list(dict.fromkeys(given + list(FOLDERS))))


def find_program(name):
    """Return the path of a program, or None."""
    return shutil.which(name, path=search_path())


def interpreter_of(program):
    """Return the interpreter that a script names in its first line, or None.

    pip writes `#!/bin/sh` and a second line where the path is too long for the first.
    """
    try:
        with open(program, "rb") as file:
            lines = file.read(4096).split(b"\n")
    except (OSError, TypeError):
        return None
    if not lines[0].startswith(b"#!"):
        return None
    words = lines[0][2:].decode("utf-8", "surrogateescape").split()
    if words and os.path.basename(words[0]) == "sh" and len(lines) > 1 and b"exec'" in lines[1]:
        text = lines[1].decode("utf-8", "surrogateescape")
        return text.partition("exec'")[2].strip().strip('"').partition('" "')[0].strip('"')
    if words and os.path.basename(words[0]) == "env":
        return find_program(words[1]) if len(words) > 1 else None
    return words[0] if words else None


def identity_of(user, root="", must_exist=True):
    """Return the RunAs of a service's user: of the system, or of --root's own passwd file.

    Who is not root can only be himself. Raises AccessError when there is no such user.
    """
    if os.geteuid() != 0:
        return RunAs(user)
    if root:
        found = _in_passwd(os.path.join(root, "etc/passwd"), user)
        return found or RunAs(user)
    try:
        entry = pwd.getpwnam(user)
    except KeyError:
        if not must_exist:
            return RunAs(user)
        raise AccessError(
            "there is no user %s, which its commands run as" % user,
            hint="install the package of the service first",
        ) from None
    return RunAs(user, entry.pw_uid, entry.pw_gid, entry.pw_dir)


def _in_passwd(path, user):
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            for line in file:
                fields = line.rstrip("\n").split(":")
                if len(fields) == 7 and fields[0] == user:
                    return RunAs(user, int(fields[2]), int(fields[3]), fields[5])
    except (OSError, ValueError):
        pass
    return None
