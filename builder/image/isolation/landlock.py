# SPDX-License-Identifier: MIT
"""Sockets that have no file and are shared by all who share a network: closed to the inside.

Abstract sockets (unix(7)) belong to the network namespace. With --network that is the host's, and a plain
user's X server, session bus or input method would take a script for the user. landlock(7) keeps a domain to
the abstract sockets that it made itself, from Linux 6.12 on.
"""

from __future__ import annotations

import ctypes
import os

from builder.calls import call
from builder.image.isolation.mounts import check

_VERSION = 1
_SCOPES_SINCE = 6
_ABSTRACT_UNIX_SOCKET = 1


class _Ruleset(ctypes.Structure):
    """struct landlock_ruleset_attr."""

    _fields_ = [(name, ctypes.c_uint64) for name in ("handled_access_fs", "handled_access_net", "scoped")]


def keep_to_own_sockets() -> None:
    """Close abstract sockets of others to this process and all that it starts; it is a namespace's root."""
    if call("landlock_create_ruleset", None, ctypes.c_size_t(0), _VERSION) < _SCOPES_SINCE:
        return
    rules = _Ruleset(scoped=_ABSTRACT_UNIX_SOCKET)
    size = ctypes.c_size_t(ctypes.sizeof(rules))
    descriptor = call("landlock_create_ruleset", ctypes.byref(rules), size, 0)
    check(min(descriptor, 0), "landlock")
    try:
        check(call("landlock_restrict_self", descriptor, 0), "landlock")
    finally:
        os.close(descriptor)
