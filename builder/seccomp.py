# SPDX-License-Identifier: MIT
"""System calls that others' programs may not make: filters of seccomp(2), as small BPF programs of our own.

Of our own, because libseccomp has no Python module on every host that we build on, and a table of some fifty
numbers has no need of it (seccomp(2), linux/filter.h, linux/seccomp.h, linux/audit.h).

Of a build: BASE holds for all of its inside, our own code too; FOREIGN holds for programs of the image and
for scripts on top of that, WORKER for `isolation.bare_room`. Of `builder.room`: PARSER holds for programs
that parse an image, MACHINE for those that run one. A call of another architecture, of x32, or newer than
this table gets ENOSYS.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from builder.calls import MACHINES, check, check_machine, number

_PR_SET_SECCOMP, _MODE_FILTER, _PR_SET_NO_NEW_PRIVS = 22, 2, 38
# BPF_LD|W|ABS, BPF_JMP|…, BPF_RET|K
_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_NUMBER, _ARCHITECTURE, _ARGUMENTS = 0, 4, 16  # offsets in struct seccomp_data
_ALLOW, _ERRNO = 0x7FFF0000, 0x00050000
# The first call that was not there yet when this was written (Linux 6.18), and all that x32 has.
_UNKNOWN = 470

# CLONE_NEWTIME, NS, CGROUP, UTS, IPC, USER, PID, NET.
_NEW_NAMESPACE = 0x7E020080
_TIOCSTI, _TIOCLINUX = 0x5412, 0x541C
# Families of sockets: no vsock to the hypervisor, no raw packets, no protocol that nobody needs.
_UNIX, _INET, _INET6, _NETLINK = 1, 2, 10, 16


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


# What no program needs that installs, builds or reads: other processes, the machine, parts of the kernel.
_NOBODYS = {
    **_all("add_key request_key keyctl", errno.EPERM),
    **_all("bpf perf_event_open kexec_load kexec_file_load open_by_handle_at", errno.EPERM),
    **_all("init_module finit_module delete_module", errno.EPERM),
    **_all("process_vm_readv process_vm_writev pidfd_getfd kcmp", errno.EPERM),
    **_all("syslog acct swapon swapoff reboot quotactl quotactl_fd", errno.EPERM),
    **_all("settimeofday clock_settime", errno.EPERM),
    # As a kernel without them: programs have another way.
    **_all("userfaultfd io_uring_setup io_uring_enter io_uring_register", errno.ENOSYS),
}
# What only those need that make rooms.
_MAKERS = {
    **_all("mount umount2 pivot_root ptrace setns", errno.EPERM),
    **_all("move_mount open_tree open_tree_attr fsopen fsconfig fsmount fspick", errno.ENOSYS),
    **_all("mount_setattr", errno.ENOSYS),
    # Its flags are in memory, which no filter sees; clone(2) is the other way, and is looked at.
    **_all("clone3", errno.ENOSYS),
}
BASE = Rules(
    answers={
        # What is written inside lives in memory or is read again at once: waiting for a disk, and a %post's
        # `sync` for all disks of the host, protects nothing.
        **_all("fsync fdatasync sync sync_file_range syncfs", 0),
        **_NOBODYS,
    },
    families=(_UNIX, _INET, _INET6, _NETLINK),
)
FOREIGN = Rules(answers=_MAKERS, namespaces=False, typing=False)
PARSER = Rules(
    answers={
        **_NOBODYS,
        **_MAKERS,
        # Memory that no limit of a process counts.
        **_all("memfd_create shmget", errno.ENOSYS),
    },
    families=(_UNIX,),
    namespaces=False,
    typing=False,
)
# Programs that need nothing but their files.
WORKER = replace(
    PARSER, answers={**PARSER.answers, **_all("socket socketpair", errno.EAFNOSUPPORT)}, families=()
)
MACHINE = replace(PARSER, families=(_UNIX, _INET, _INET6, _NETLINK))


class _Program(ctypes.Structure):
    """struct sock_fprog."""

    _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_char_p)]


Instruction = tuple[int, int, int, int]


def compile_rules(rules: Rules, machine: str | None = None) -> bytes:
    """Return the array of struct sock_filter for `rules` on this machine, or on `machine`.

    Raises:
        BuildError: the calls of the architecture are not known.
    """
    machine = check_machine(machine)
    code: list[Instruction] = [
        (_LOAD, 0, 0, _ARCHITECTURE),
        (_EQUAL, 1, 0, MACHINES[machine]),
        _answer(errno.ENOSYS),
        (_LOAD, 0, 0, _NUMBER),
    ]
    code += [(_AT_LEAST, 0, 1, _UNKNOWN), _answer(errno.ENOSYS)]
    for name, answer in rules.answers.items():
        code += [(_EQUAL, 0, 1, number(name, machine)), _answer(answer)]
    for name, body in _looked_at(rules):
        code += [(_EQUAL, 0, len(body), number(name, machine)), *body]
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
    """Install the filter for this process and all that it starts; they get no new privileges (prctl(2)).

    Raises:
        BuildError: as `compile_rules`.
        OSError: the kernel refuses it.
    """
    code = compile_rules(rules)
    program = _Program(len(code) // 8, code)
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
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
