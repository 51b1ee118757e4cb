# SPDX-License-Identifier: MIT
"""System calls that what runs inside may not make: filters of seccomp(2), as small BPF programs of our own.

Of our own, because libseccomp has no Python module on every host that we build on, and a table of some forty
numbers has no need of it (seccomp(2), linux/filter.h, linux/seccomp.h, linux/audit.h).

Two filters. BASE holds for all of the inside, our own code too. FOREIGN holds for programs of the image and
for scripts on top of that. A call of another architecture, or of x32, gets ENOSYS: its number is another.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import platform
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from builder.image.isolation.mounts import check

_PR_SET_SECCOMP, _MODE_FILTER = 22, 2
_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = (
    0x20,
    0x15,
    0x35,
    0x45,
    0x06,
)  # BPF_LD|W|ABS, BPF_JMP|…, BPF_RET|K
_NUMBER, _ARCHITECTURE, _ARGUMENTS = 0, 4, 16  # offsets in struct seccomp_data
_ALLOW, _ERRNO = 0x7FFF0000, 0x00050000
_X32 = 0x40000000

_ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
# Name -> number on x86-64, on aarch64 (asm-generic/unistd.h). Later calls have one number everywhere.
_CALLS = {
    "fsync": (74, 82), "fdatasync": (75, 83), "sync": (162, 81), "sync_file_range": (277, 84),
    "syncfs": (306, 267),
    "add_key": (248, 217), "request_key": (249, 218), "keyctl": (250, 219),
    "bpf": (321, 280), "perf_event_open": (298, 241), "userfaultfd": (323, 282),
    "io_uring_setup": (425, 425), "io_uring_enter": (426, 426), "io_uring_register": (427, 427),
    "kexec_load": (246, 104), "kexec_file_load": (320, 294),
    "init_module": (175, 105), "finit_module": (313, 273), "delete_module": (176, 106),
    "open_by_handle_at": (304, 265), "process_vm_readv": (310, 270), "process_vm_writev": (311, 271),
    "pidfd_getfd": (438, 438), "kcmp": (312, 272), "syslog": (103, 116), "acct": (163, 89),
    "swapon": (167, 224), "swapoff": (168, 225), "reboot": (169, 142), "quotactl": (179, 60),
    "settimeofday": (164, 170), "clock_settime": (227, 112),
    "socket": (41, 198), "socketpair": (53, 199), "ioctl": (16, 29),
    "mount": (165, 40), "umount2": (166, 39), "pivot_root": (155, 41), "move_mount": (429, 429),
    "open_tree": (428, 428), "fsopen": (430, 430), "fsconfig": (431, 431), "fsmount": (432, 432),
    "fspick": (433, 433), "mount_setattr": (442, 442), "open_tree_attr": (467, 467),
    "ptrace": (101, 117), "setns": (308, 268), "clone": (56, 220), "clone3": (435, 435),
    "unshare": (272, 97),
}  # fmt: skip

# CLONE_NEWTIME, NS, CGROUP, UTS, IPC, USER, PID, NET.
_NEW_NAMESPACE = 0x7E020080
_TIOCSTI, _TIOCLINUX = 0x5412, 0x541C
# unix, inet, inet6, netlink: no vsock to the hypervisor, no raw packets, no protocol that nobody needs.
_FAMILIES = (1, 2, 10, 16)


@dataclass(frozen=True, kw_only=True, slots=True)
class Rules:
    """What a filter answers: calls with an errno (0: success without doing anything).

    `families`: of sockets, others are not there. `namespaces`: new ones may be made. `typing`: into a
    terminal, by ioctl.
    """

    answers: Mapping[str, int] = field(default_factory=dict)
    families: tuple[int, ...] = ()
    namespaces: bool = True
    typing: bool = True


def _all(names: str, number: int) -> dict[str, int]:
    return dict.fromkeys(names.split(), number)


BASE = Rules(
    answers={
        # What is written inside lives in memory or is read again at once: waiting for a disk, and a %post's
        # `sync` for all disks of the host, protects nothing.
        **_all("fsync fdatasync sync sync_file_range syncfs", 0),
        **_all("add_key request_key keyctl", errno.EPERM),
        **_all("bpf perf_event_open kexec_load kexec_file_load open_by_handle_at", errno.EPERM),
        **_all("init_module finit_module delete_module", errno.EPERM),
        **_all("process_vm_readv process_vm_writev pidfd_getfd kcmp", errno.EPERM),
        **_all("syslog acct swapon swapoff reboot quotactl", errno.EPERM),
        **_all("settimeofday clock_settime", errno.EPERM),
        # As a kernel without them: programs have another way.
        **_all("userfaultfd io_uring_setup io_uring_enter io_uring_register", errno.ENOSYS),
    },
    families=_FAMILIES,
)
FOREIGN = Rules(
    answers={
        **_all("mount umount2 pivot_root ptrace setns", errno.EPERM),
        **_all("move_mount open_tree open_tree_attr fsopen fsconfig fsmount fspick", errno.ENOSYS),
        **_all("mount_setattr", errno.ENOSYS),
        # Its flags are in memory, which no filter sees; clone(2) is the other way, and is looked at.
        **_all("clone3", errno.ENOSYS),
    },
    namespaces=False,
    typing=False,
)


class _Program(ctypes.Structure):
    """struct sock_fprog."""

    _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_char_p)]


Instruction = tuple[int, int, int, int]


def compile_rules(rules: Rules, machine: str | None = None) -> bytes:
    """Return the array of struct sock_filter for `rules` on this machine; empty for one that is not known."""
    machine = machine or platform.machine()
    architecture = _ARCHITECTURES.get(machine)
    if architecture is None:
        return b""
    column = list(_ARCHITECTURES).index(machine)
    code: list[Instruction] = [
        (_LOAD, 0, 0, _ARCHITECTURE),
        (_EQUAL, 1, 0, architecture),
        _answer(errno.ENOSYS),
        (_LOAD, 0, 0, _NUMBER),
    ]
    if machine == "x86_64":
        code += [(_AT_LEAST, 0, 1, _X32), _answer(errno.ENOSYS)]
    for name, number in rules.answers.items():
        code += [(_EQUAL, 0, 1, _CALLS[name][column]), _answer(number)]
    for name, body in _looked_at(rules):
        code += [(_EQUAL, 0, len(body), _CALLS[name][column]), *body]
    code.append((_RETURN, 0, 0, _ALLOW))
    return b"".join(struct.pack("HBBI", *one) for one in code)


def _looked_at(rules: Rules) -> Iterator[tuple[str, list[Instruction]]]:
    """Yield the calls whose arguments decide, each with what follows its number; it ends by an answer."""
    if rules.families:
        count = len(rules.families)
        body = [_argument(0)]
        body += [(_EQUAL, count - place, 0, family) for place, family in enumerate(rules.families)]
        body += [_answer(errno.EAFNOSUPPORT), (_RETURN, 0, 0, _ALLOW)]
        yield from (("socket", body), ("socketpair", body))
    if not rules.namespaces:
        body = [_argument(0), (_ANY_BIT, 0, 1, _NEW_NAMESPACE), _answer(errno.EPERM), (_RETURN, 0, 0, _ALLOW)]
        yield from (("clone", body), ("unshare", body))
    if not rules.typing:
        body = [_argument(1), (_EQUAL, 1, 0, _TIOCSTI), (_EQUAL, 0, 1, _TIOCLINUX), _answer(errno.EPERM)]
        yield "ioctl", [*body, (_RETURN, 0, 0, _ALLOW)]


def _argument(number: int) -> Instruction:
    """Load the lower half of an argument: both architectures are little-endian."""
    return (_LOAD, 0, 0, _ARGUMENTS + 8 * number)


def _answer(number: int) -> Instruction:
    return (_RETURN, 0, 0, _ERRNO | number)


def install(rules: Rules) -> None:
    """Install the filter for this process and all that it starts; it needs a user namespace's root."""
    code = compile_rules(rules)
    if not code:
        return
    program = _Program(len(code) // 8, code)
    libc = ctypes.CDLL(None, use_errno=True)
    check(libc.prctl(_PR_SET_SECCOMP, _MODE_FILTER, ctypes.byref(program), 0, 0), "seccomp")


@contextlib.contextmanager
def descriptor(rules: Rules) -> Iterator[int]:
    """Yield a descriptor to read the filter from, as bubblewrap's --seccomp wants it."""
    reading, writing = os.pipe()
    try:
        os.write(writing, compile_rules(rules))
        os.close(writing)
        yield reading
    finally:
        os.close(reading)
