# SPDX-License-Identifier: MIT
"""Words of bubblewrap's command line that every room begins with (bwrap(1)).

Only options of bubblewrap 0.4: EL 9 has no later one, without --clearenv and --size.
"""

from __future__ import annotations

import os

from builder.runner import clean_environment

LINKED = ("/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")


def host_programs() -> list[str]:
    """Return the binds of the host's programs and libraries, read-only."""
    words = ["--ro-bind", "/usr", "/usr"]
    for name in LINKED:
        if os.path.islink(name):
            words += ["--symlink", os.readlink(name), name]
        elif os.path.isdir(name):
            words += ["--ro-bind", name, name]
    return words


def no_environment() -> list[str]:
    """Return what takes away all of the environment that the runner gives to a program."""
    return [word for name in clean_environment() for word in ("--unsetenv", name)]
