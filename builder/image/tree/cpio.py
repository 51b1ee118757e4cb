# SPDX-License-Identifier: MIT
"""The device nodes of an initramfs, as a cpio archive of our own.

dracut cannot make device nodes in a user namespace. The kernel unpacks several archives one after the
other (its Documentation/driver-api/early-userspace/buffer-format.rst), so ours goes in front.
"""

from __future__ import annotations

import stat

# Name, mode, major, minor: what dracut's 99base module makes with mknod.
NODES = (
    ("dev/null", 0o666, 1, 3),
    ("dev/kmsg", 0o600, 1, 11),
    ("dev/console", 0o600, 5, 1),
    ("dev/random", 0o666, 1, 8),
    ("dev/urandom", 0o666, 1, 9),
)


def device_nodes() -> bytes:
    """Return the archive, padded as an uncompressed early one is."""
    parts = [_entry("dev", stat.S_IFDIR | 0o755, 0, 0, 1)]
    for inode, (name, mode, major, minor) in enumerate(NODES, 2):
        parts.append(_entry(name, stat.S_IFCHR | mode, major, minor, inode))
    parts.append(_entry("TRAILER!!!", 0, 0, 0, 0))
    archive = b"".join(parts)
    return archive + bytes(-len(archive) % 512)


def _entry(name: str, mode: int, major: int, minor: int, inode: int) -> bytes:
    """Return a header of the `newc` format (cpio(5)): no content, time 0, owner root."""
    raw = name.encode() + b"\0"
    numbers = (inode, mode, 0, 0, 1, 0, 0, 0, 0, major, minor, len(raw), 0)
    entry = b"070701" + b"".join(b"%08x" % number for number in numbers) + raw
    return entry + bytes(-len(entry) % 4)
