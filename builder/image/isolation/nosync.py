# SPDX-License-Identifier: MIT
"""Make sync(2) and its kin cost nothing for what runs inside.

What is written inside lives in memory or is read again at once: waiting for a disk, and a %post's `sync`
for all disks of the host, protects nothing. A filter of seccomp(2) answers these calls with success
(seccomp(2), linux/filter.h, linux/seccomp.h, linux/audit.h).
"""

from __future__ import annotations

import ctypes
import struct

from builder.image.isolation.mounts import check

_PR_SET_SECCOMP, _MODE_FILTER = 22, 2
_LOAD, _EQUAL, _RETURN = 0x20, 0x15, 0x06  # BPF_LD|W|ABS, BPF_JMP|JEQ|K, BPF_RET|K
_NUMBER, _ARCHITECTURE = 0, 4  # offsets in struct seccomp_data
_X86_64 = 0xC000003E
_ALLOW, _ERRNO_0 = 0x7FFF0000, 0x00050000
# fsync fdatasync sync sync_file_range syncfs, of x86-64. A program of another architecture waits.
_CALLS = (74, 75, 162, 277, 306)


class _Program(ctypes.Structure):
    """struct sock_fprog."""

    _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_char_p)]


def install() -> None:
    """Install the filter for this process and all that it starts; it needs a user namespace's root."""
    code = [(_LOAD, 0, 0, _ARCHITECTURE), (_EQUAL, 0, len(_CALLS) + 1, _X86_64), (_LOAD, 0, 0, _NUMBER)]
    code += [(_EQUAL, len(_CALLS) - place, 0, call) for place, call in enumerate(_CALLS)]
    code += [(_RETURN, 0, 0, _ALLOW), (_RETURN, 0, 0, _ERRNO_0)]
    program = _Program(len(code), b"".join(struct.pack("HBBI", *one) for one in code))
    libc = ctypes.CDLL(None, use_errno=True)
    check(libc.prctl(_PR_SET_SECCOMP, _MODE_FILTER, ctypes.byref(program), 0, 0), "seccomp")
