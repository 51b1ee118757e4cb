# SPDX-License-Identifier: MIT
"""What root of a room may do: capabilities(7), taken away in a way that no program gets back.

bubblewrap needs CAP_SYS_ADMIN for its mounts and gives it away after them; but a program that root executes
gets all of the bounding set again. So that set is cut down before bubblewrap starts, which keeps what it
needs as ambient capabilities, and root is a user as any other from then on (SECBIT_NOROOT).
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence

from builder.image.isolation.mounts import check

_PR_CAPBSET_DROP, _PR_SET_SECUREBITS, _PR_CAP_AMBIENT, _AMBIENT_RAISE = 24, 28, 47, 2
_NOROOT, _NOROOT_LOCKED = 1, 2
_VERSION_3 = 0x20080522

# linux/capability.h, by number.
NAMES = (
    "CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID", "SETPCAP",
    "LINUX_IMMUTABLE", "NET_BIND_SERVICE", "NET_BROADCAST", "NET_ADMIN", "NET_RAW", "IPC_LOCK", "IPC_OWNER",
    "SYS_MODULE", "SYS_RAWIO", "SYS_CHROOT", "SYS_PTRACE", "SYS_PACCT", "SYS_ADMIN", "SYS_BOOT", "SYS_NICE",
    "SYS_RESOURCE", "SYS_TIME", "SYS_TTY_CONFIG", "MKNOD", "LEASE", "AUDIT_WRITE", "AUDIT_CONTROL", "SETFCAP",
    "MAC_OVERRIDE", "MAC_ADMIN", "SYSLOG", "WAKE_ALARM", "BLOCK_SUSPEND", "AUDIT_READ", "PERFMON", "BPF",
    "CHECKPOINT_RESTORE",
)  # fmt: skip

# What root of an image needs to install packages, make users and set owners.
OF_AN_IMAGE = (
    "CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID", "SETPCAP",
    "NET_BIND_SERVICE", "SYS_CHROOT", "MKNOD", "AUDIT_WRITE", "SETFCAP",
)  # fmt: skip
# What only reads and computes needs none.
OF_A_PARSER: tuple[str, ...] = ()
# setfiles(8): the kernel asks for it to write security.selinux.
LABELLING = ("SYS_ADMIN",)

_libc = ctypes.CDLL(None, use_errno=True)


class _Header(ctypes.Structure):
    """struct __user_cap_header_struct of capset(2)."""

    _fields_ = [("version", ctypes.c_uint32), ("pid", ctypes.c_int)]


class _Sets(ctypes.Structure):
    """struct __user_cap_data_struct."""

    _fields_ = [(name, ctypes.c_uint32) for name in ("effective", "permitted", "inheritable")]


def bound(kept: Sequence[str]) -> None:
    """Leave `kept` to whatever is executed after bubblewrap, which this process is about to become."""
    last = _last()
    _raise_ambient(last)
    for number in range(last + 1):
        if number >= len(NAMES) or NAMES[number] not in kept:
            check(_libc.prctl(_PR_CAPBSET_DROP, number, 0, 0, 0), "capabilities")
    check(_libc.prctl(_PR_SET_SECUREBITS, _NOROOT | _NOROOT_LOCKED, 0, 0, 0), "securebits")


def _raise_ambient(last: int) -> None:
    every = (1 << last + 1) - 1
    low, high = every & 0xFFFFFFFF, every >> 32
    header = _Header(_VERSION_3, 0)
    sets = (_Sets * 2)(_Sets(low, low, low), _Sets(high, high, high))
    check(_libc.capset(ctypes.byref(header), ctypes.byref(sets)), "capset")
    for number in range(last + 1):
        check(_libc.prctl(_PR_CAP_AMBIENT, _AMBIENT_RAISE, number, 0, 0), "capabilities")


def _last() -> int:
    """Return the last capability that this kernel knows."""
    with open("/proc/sys/kernel/cap_last_cap") as file:
        return int(file.read())
