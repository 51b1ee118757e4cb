# SPDX-License-Identifier: MIT
"""Run in a room: write as JSON what each system call, and each family of sockets, ends with.

Standard library only, for the host's own Python on x86-64.
"""

import ctypes
import errno
import json
import socket

libc = ctypes.CDLL(None, use_errno=True)
NEW_USER, NEW_NAMESPACE, NEW_NETWORK, SHARED_FOLDER = 0x10000000, 0x00020000, 0x40000000, 0x200
# Numbers and arguments with which nothing happens where the call is allowed: they end in errors of their own.
CALLS = {
    "add_key": (248, b"user", b"name", b"x", 1, -3),
    "keyctl": (250, 0, -3, 0),
    "request_key": (249, b"user", b"name", None, -3),
    "bpf": (321, 0, None, 0),
    "perf_event_open": (298, None, 0, -1, -1, 0),
    "userfaultfd": (323, 0),
    "io_uring_setup": (425, 1, None),
    "clone a user namespace": (56, NEW_USER | SHARED_FOLDER, 0, 0, 0, 0),
    "unshare a user namespace": (272, NEW_USER),
    "unshare mounts": (272, NEW_NAMESPACE),
    "unshare the network": (272, NEW_NETWORK),
    "clone3": (435, None, 0),
    "mount": (165, b"none", b"/nowhere", b"tmpfs", 0, None),
    "umount2": (166, b"/nowhere", 2),
    "open_tree": (428, -100, b"/", 0),
    "fsopen": (430, b"tmpfs", 0),
    "pivot_root": (155, b".", b"."),
    "setns": (308, 0, 0),
    "ptrace": (101, 16, 1, 0, 0),
    "pidfd_getfd": (438, 0, 0, 0),
    "process_vm_readv": (310, 1, None, 0, None, 0, 0),
    "process_vm_writev": (311, 1, None, 0, None, 0, 0),
    "open_by_handle_at": (304, 0, None, 0),
    "kexec_load": (246, 0, 0, None, 0),
    "init_module": (175, None, 0, b""),
    "quotactl": (179, 0, None, 0, None),
    "syslog": (103, 10, None, 0),
    "ioctl TIOCSTI": (16, 0, 0x5412, b"x"),
    "of x32": (0x40000000 + 39,),
    "not there yet": (499,),
    "memfd_create": (319, b"x", 0),
    "shmget": (29, 0, 4096, 0o1600),
}


def call(number, *arguments):
    """Return the name of the error that a system call ends with, or "allowed"."""
    ctypes.set_errno(0)
    if libc.syscall(number, *arguments) >= 0:
        return "allowed"
    return errno.errorcode.get(ctypes.get_errno(), "unknown")


def family(number, kind=socket.SOCK_STREAM):
    """Return what making a socket of a family ends with."""
    try:
        socket.socket(number, kind).close()
    except OSError as error:
        return errno.errorcode[error.errno]
    return "allowed"


print(json.dumps({
    "calls": {name: call(*arguments) for name, arguments in CALLS.items()},
    "families": {
        "unix": family(1), "inet": family(2), "inet6": family(10), "netlink": family(16, socket.SOCK_RAW),
        "packet": family(17, socket.SOCK_RAW), "alg": family(38, socket.SOCK_SEQPACKET), "vsock": family(40),
        "bluetooth": family(31, socket.SOCK_RAW), "xdp": family(44, socket.SOCK_RAW),
    },
}))  # fmt: skip
