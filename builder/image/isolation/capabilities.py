# SPDX-License-Identifier: MIT
"""What root of a room may do: capabilities(7), taken away in a way that no program gets back.

bubblewrap needs CAP_SYS_ADMIN for its mounts and gives it away after them; but a program that root executes
gets all of the bounding set again. So that set is cut down before bubblewrap starts, which keeps what it
needs as ambient capabilities, and root is a user as any other from then on (SECBIT_NOROOT).
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterable, Sequence

from builder.image.isolation.mounts import check

_PR_CAPBSET_READ, _PR_CAPBSET_DROP, _PR_SET_SECUREBITS, _PR_CAP_AMBIENT, _AMBIENT_RAISE = 23, 24, 28, 47, 2
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
# What works on the image's files, whoever owns them.
OF_A_READER = ("DAC_READ_SEARCH",)

_libc = ctypes.CDLL(None, use_errno=True)


class _Header(ctypes.Structure):
    """struct __user_cap_header_struct of capset(2)."""

    _fields_ = [("version", ctypes.c_uint32), ("pid", ctypes.c_int)]


class _Sets(ctypes.Structure):
    """struct __user_cap_data_struct."""

    _fields_ = [(name, ctypes.c_uint32) for name in ("effective", "permitted", "inheritable")]


def bound(kept: Sequence[str]) -> None:
    """Leave `kept` to whatever is executed after bubblewrap, which this process is about to become."""
    every = range(_last() + 1)
    _hand_on(every)
    _cut_down(number for number in every if number not in _numbers(kept))


def keep_only(kept: Sequence[str]) -> None:
    """Leave `kept` to this process, and to whatever it executes."""
    numbers = _numbers(kept)
    _cut_down(number for number in range(_last() + 1) if number not in numbers)
    _hand_on(numbers)


def _numbers(names: Sequence[str]) -> list[int]:
    return [NAMES.index(name) for name in names]


def _cut_down(numbers: Iterable[int]) -> None:
    """Take capabilities away from the bounding set, and from root what it has as root."""
    for number in numbers:
        check(_libc.prctl(_PR_CAPBSET_DROP, number, 0, 0, 0), "capabilities")
    check(_libc.prctl(_PR_SET_SECUREBITS, _NOROOT | _NOROOT_LOCKED, 0, 0, 0), "securebits")


def _hand_on(numbers: Sequence[int]) -> None:
    """Have these and no others, and keep them over exec."""
    mask = sum(1 << number for number in numbers)
    low, high = mask & 0xFFFFFFFF, mask >> 32
    header = _Header(_VERSION_3, 0)
    sets = (_Sets * 2)(_Sets(low, low, low), _Sets(high, high, high))
    check(_libc.capset(ctypes.byref(header), ctypes.byref(sets)), "capset")
    for number in numbers:
        check(_libc.prctl(_PR_CAP_AMBIENT, _AMBIENT_RAISE, number, 0, 0), "capabilities")


def _last() -> int:
    """Return the last capability that this kernel knows: it says nothing of the next one."""
    return next(number for number in range(64) if _libc.prctl(_PR_CAPBSET_READ, number + 1, 0, 0, 0) < 0)
