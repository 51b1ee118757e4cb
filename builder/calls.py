# SPDX-License-Identifier: MIT
"""System calls that standard Python does not have, their flags, and numbers that filters look for.

Numbers: syscall_64.tbl of x86, and asm-generic/unistd.h, which aarch64 has; from 424 on they are
the same on both.
"""

from __future__ import annotations

import ctypes
import os
import platform
from functools import cache
from typing import Any

from builder.errors import BuildError

# Of keyctl(2): a new session keyring, without a name.
JOIN_SESSION_KEYRING = 1
# Of unshare(2) (linux/sched.h).
CLONE_NEWNS, CLONE_NEWUTS, CLONE_NEWIPC, CLONE_NEWCGROUP = 0x00020000, 0x04000000, 0x08000000, 0x02000000
CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET = 0x10000000, 0x20000000, 0x40000000
# Of mount(2) (linux/mount.h).
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC = 1, 2, 4, 8
MS_REMOUNT, MS_BIND, MS_REC = 1 << 5, 1 << 12, 1 << 14
MS_PRIVATE, MS_SLAVE = 1 << 18, 1 << 19
# In the order of the columns below, with what seccomp(2) calls them (linux/audit.h).
MACHINES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
NUMBERS = {
    "acct": (163, 89), "add_key": (248, 217), "bpf": (321, 280), "clock_settime": (227, 112),
    "clone": (56, 220), "clone3": (435, 435), "close_range": (436, 436), "delete_module": (176, 106),
    "fdatasync": (75, 83), "finit_module": (313, 273), "fsconfig": (431, 431), "fsmount": (432, 432),
    "fsopen": (430, 430), "fspick": (433, 433), "fsync": (74, 82), "init_module": (175, 105),
    "io_uring_enter": (426, 426), "io_uring_register": (427, 427), "io_uring_setup": (425, 425),
    "ioctl": (16, 29), "kcmp": (312, 272), "kexec_file_load": (320, 294), "kexec_load": (246, 104),
    "keyctl": (250, 219), "landlock_create_ruleset": (444, 444), "landlock_restrict_self": (446, 446),
    "memfd_create": (319, 279), "mount": (165, 40), "mount_setattr": (442, 442), "move_mount": (429, 429),
    "open_by_handle_at": (304, 265), "open_tree": (428, 428), "open_tree_attr": (467, 467),
    "openat2": (437, 437), "perf_event_open": (298, 241), "pidfd_getfd": (438, 438), "pivot_root": (155, 41),
    "process_vm_readv": (310, 270), "process_vm_writev": (311, 271), "ptrace": (101, 117),
    "quotactl": (179, 60), "quotactl_fd": (443, 443), "reboot": (169, 142), "request_key": (249, 218),
    "setns": (308, 268), "settimeofday": (164, 170), "shmget": (29, 194), "socket": (41, 198),
    "socketpair": (53, 199), "swapoff": (168, 225), "swapon": (167, 224), "sync": (162, 81),
    "sync_file_range": (277, 84), "syncfs": (306, 267), "syslog": (103, 116), "umount2": (166, 39),
    "unshare": (272, 97), "userfaultfd": (323, 282),
}  # fmt: skip

_libc = ctypes.CDLL(None, use_errno=True)


class MountAttr(ctypes.Structure):
    """struct mount_attr of mount_setattr(2)."""

    _fields_ = [(name, ctypes.c_uint64) for name in ("attr_set", "attr_clr", "propagation", "userns_fd")]


@cache
def number(name: str, machine: str | None = None) -> int:
    """Return the number of the system call `name` on this machine, or on `machine`.

    Raises:
        BuildError: as `check_machine`.
    """
    return NUMBERS[name][list(MACHINES).index(check_machine(machine))]


def check_machine(machine: str | None = None) -> str:
    """Return this machine's architecture, or `machine`.

    Raises:
        BuildError: the numbers of its system calls are not known.
    """
    machine = machine or platform.machine()
    if machine not in MACHINES:
        raise BuildError(
            f"the sandbox does not know the system calls of {machine}",
            hint=f"build on {' or '.join(MACHINES)}",
        )
    return machine


def call(name: str, *arguments: Any) -> int:
    """Make a system call; return what it returns, -1 where errno (ctypes.get_errno) says why."""
    ctypes.set_errno(0)
    return int(_libc.syscall(ctypes.c_long(number(name)), *arguments))


def check(result: int, what: str | None = None, where: str | None = None) -> None:
    """Raise what errno says when a call of libc did not return 0.

    Args:
        what: the call, for the message.
        where: the path that it was about.

    Raises:
        OSError: the call failed.
    """
    if result != 0:
        number = ctypes.get_errno()
        reason = os.strerror(number)
        raise OSError(number, f"{what}: {reason}" if what else reason, where)
