# SPDX-License-Identifier: MIT
"""Becomes a program: as another user, and dying with the process that asked for it.

    python3 -I -S starter.py PARENT-PID UID:GID:USER PROGRAM [ARGUMENT...]

It stands between us and the program since only a process of its own can change its user safely while
we have threads, on every Python and without a shell.
"""

import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def main(parent, owner, *argv):
    if owner:
        uid, gid, name = owner.split(":", 2)
        os.initgroups(name, int(gid))
        os.setgid(int(gid))
        os.setuid(int(uid))
    # After setuid, which would clear it.
    try:
        import ctypes

        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    except (ImportError, OSError, AttributeError):
        pass
    if os.getppid() != int(parent):
        sys.exit("the process that started it has ended")
    os.execv(argv[0], argv)


if __name__ == "__main__":
    main(*sys.argv[1:])
