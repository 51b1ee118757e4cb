# SPDX-License-Identifier: MIT
"""Run in a room by a kickstart (`--interpreter=/usr/bin/python3`): write as JSON what can be done there.

Standard library only, for the host's own Python. The last line writes to the tree of the image.
"""

import contextlib
import errno
import importlib
import json
import os
import re
import resource
import socket


def descriptors():
    """Return what our descriptors are."""
    found = {}
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            found[name] = os.readlink("/proc/self/fd/" + name)
    return found


# Before ctypes is there: its libffi keeps its own file open from 3.5 on.
DESCRIPTORS = descriptors()
ctypes = importlib.import_module("ctypes")
libc = ctypes.CDLL(None, use_errno=True)
X86_64 = os.uname().machine == "x86_64"
NEW_USER, NEW_NAMESPACE = 0x10000000, 0x00020000


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


CALLS = {
    "add_key": (248, b"user", b"name", b"x", 1, -3),
    "keyctl": (250, 0, -3, 0),
    "request_key": (249, b"user", b"name", None, -3),
    "bpf": (321, 0, None, 0),
    "perf_event_open": (298, None, 0, -1, -1, 0),
    "userfaultfd": (323, 0),
    "io_uring_setup": (425, 1, None),
    "unshare a user namespace": (272, NEW_USER),
    "unshare mounts": (272, NEW_NAMESPACE),
    "clone3": (435, None, 0),
    "mount": (165, b"none", b"/tmp", b"tmpfs", 0, None),
    "umount": (166, b"/tmp", 2),
    "open_tree": (428, -100, b"/", 0),
    "pivot_root": (155, b".", b"."),
    "setns": (308, 0, 0),
    "ptrace": (101, 16, 1, 0, 0),
    "pidfd_getfd": (438, 0, 0, 0),
    "process_vm_readv": (310, 1, None, 0, None, 0, 0),
    "open_by_handle_at": (304, 0, None, 0),
    "type into a terminal": (16, 0, 0x5412, b"x"),
    "x32": (0x40000000 + 39,),
}


def status(name):
    """Return a field of our own status."""
    with open("/proc/self/status") as file:
        return re.search(rf"(?m)^{name}:\s*(\S+)", file.read())[1]


def listing(folder):
    """Return the names in a folder, or the error."""
    try:
        return sorted(os.listdir(folder))
    except OSError as error:
        return errno.errorcode[error.errno]


found = {
    "calls": {name: call(*arguments) for name, arguments in CALLS.items()} if X86_64 else {},
    "families": {
        "vsock": family(40), "alg": family(38, socket.SOCK_SEQPACKET), "packet": family(17, socket.SOCK_RAW),
        "unix": family(1), "inet": family(2),
    },
    "capabilities": status("CapBnd"),
    "effective": status("CapEff"),
    "no_new_privs": status("NoNewPrivs"),
    "descriptors": DESCRIPTORS,
    "processes": [name for name in os.listdir("/proc") if name.isdigit()],
    "cgroups": listing("/sys/fs/cgroup"),
    "memory": resource.getrlimit(resource.RLIMIT_DATA)[0],
    "most_processes": resource.getrlimit(resource.RLIMIT_NPROC)[0],
    "root": listing("/"),
    "work": listing("/work"),
}  # fmt: skip
with open("/mnt/sysimage/probe.json", "w") as file:
    json.dump(found, file)
