# SPDX-License-Identifier: MIT
"""Trees that hold everything a package or a script may leave, and what a tree holds, path by path."""

from __future__ import annotations

import contextlib
import hashlib
import os
import socket
import stat
import struct
from pathlib import Path

from builder.image.disk.placement import MIB

EPOCH = 1_750_000_000
CAPABILITY = struct.pack("<IIIII", 0x02000001, 1 << 13, 0, 0, 0)  # cap_net_raw+ep, revision 2
LABEL = b"system_u:object_r:passwd_file_t:s0\0"
ACL = struct.pack("<I", 2) + b"".join(
    struct.pack("<HHI", tag, permissions, number)
    for tag, permissions, number in (
        (0x01, 6, 0xFFFFFFFF),
        (0x02, 4, 1000),
        (0x04, 4, 0xFFFFFFFF),
        (0x10, 4, 0xFFFFFFFF),
        (0x20, 0, 0xFFFFFFFF),
    )
)
LONG = b"l" * 255
HUGE = 5 * (1 << 30)
HUGE_PIECE_AT = 3 * (1 << 30)


def make_tree(tree: bytes) -> None:
    """Make everything that a writer could lose. Times are fixed where a program can set them."""

    def path(name: bytes) -> bytes:
        return tree + b"/" + name

    def write(name: bytes, data: bytes = b"", mode: int = 0o644, owner: tuple[int, int] = (0, 0)) -> bytes:
        with open(path(name), "wb") as file:
            file.write(data)
        os.chown(path(name), *owner)
        os.chmod(path(name), mode)
        return path(name)

    os.chmod(tree, 0o555)
    os.setxattr(tree, "security.selinux", b"system_u:object_r:root_t:s0\0")
    write(b"setuid", b"#!", 0o4755)
    write(b"setgid", b"#!", 0o2755, (0, 22))
    write(b"nothing", b"secret", 0o000, (1000, 1000))
    write(b"nobody", b"x", 0o640, (65534, 65534))
    for size in (0, 1, 4095, 4096, 4097, 200_000):
        write(b"size-%d" % size, os.urandom(size))
    for name in (
        b"new\nline",
        "ñandú-日本".encode(),
        b"latin-\xe9",
        LONG,
        b"-dash",
        b" \"q\\uote' $x *",
        b"%s;|&",
    ):
        write(name, name)
    os.mkdir(path(b"sticky"))
    os.chmod(path(b"sticky"), 0o1777)
    os.mkdir(path(b"setgid-folder"))
    os.chown(path(b"setgid-folder"), 0, 100)
    os.chmod(path(b"setgid-folder"), 0o2770)
    os.setxattr(path(b"setgid-folder"), "system.posix_acl_default", ACL)
    for length in (1, 59, 60, 61, 4000):
        os.symlink(b"t" * length, path(b"link-%d" % length))
    os.lchown(path(b"link-60"), 7, 7)
    os.setxattr(path(b"link-1"), "security.selinux", LABEL, follow_symlinks=False)
    os.mkfifo(path(b"fifo"), 0o600)
    # A name of a socket has 107 bytes at most.
    with socket.socket(socket.AF_UNIX) as listener, contextlib.chdir(tree):
        listener.bind("socket")
    write(b"capable", b"ELF", 0o755)
    os.setxattr(path(b"capable"), "security.capability", CAPABILITY)
    os.setxattr(path(b"capable"), "security.selinux", LABEL)
    os.link(path(b"capable"), path(b"capable-too"))
    os.mkdir(path(b"deep"))
    os.link(path(b"capable"), path(b"deep/capable-three"))
    write(b"labelled", b"x")
    os.setxattr(path(b"labelled"), "security.selinux", LABEL)
    write(b"many-attributes", b"x")
    os.setxattr(path(b"many-attributes"), "security.selinux", LABEL)
    for index in range(8):
        os.setxattr(path(b"many-attributes"), b"user.number-%d" % index, b"v" * (index * 40))
    write(b"large-attribute", b"x")
    os.setxattr(path(b"large-attribute"), "user.large", b"L" * 3500)
    write(b"acl", b"x", 0o640)
    os.setxattr(path(b"acl"), "system.posix_acl_access", ACL)
    with open(path(b"sparse"), "wb") as file:
        file.write(b"begin")
        file.seek(HUGE_PIECE_AT)
        file.write(b"piece")
        file.truncate(HUGE)
    folder = b"deep"
    for _ in range(12):
        folder += b"/d"
        os.mkdir(path(folder))
    write(folder + b"/bottom", b"bottom")
    os.mkdir(path(b"crowd"))
    for index in range(2000):
        write(b"crowd/%s-%04d" % (b"n" * 40, index), b"")
    for name, moment in ((b"size-1", 631152000), (b"size-0", 2_300_000_000), (b"size-4096", EPOCH + 5)):
        os.utime(path(name), (moment, moment))
    os.utime(path(b"size-4095"), ns=(-5 * 10**9 + 7, -5 * 10**9 + 7))
    os.utime(path(b"size-4097"), ns=(10**18 + 123_456_789, 10**18 + 123_456_789))
    os.utime(path(b"deep/d"), ns=(10**18 + 1, 10**18 + 1))
    os.utime(tree, ns=(10**18 + 2, 10**18 + 2))


def survey(tree: bytes) -> dict[bytes, dict[str, object]]:
    """Return what the tree holds, path by path."""
    found = {b"": describe(tree)}
    for base, folders, files in os.walk(tree):
        for name in (*folders, *files):
            path = os.path.join(base, name)
            found[os.path.relpath(path, tree)] = describe(path)
    return found


def describe(path: bytes) -> dict[str, object]:
    info = os.lstat(path)
    facts: dict[str, object] = {
        "mode": info.st_mode,
        "owner": (info.st_uid, info.st_gid),
        "mtime": min(info.st_mtime_ns, EPOCH * 10**9),
        "links": 0 if stat.S_ISDIR(info.st_mode) else info.st_nlink,
        "size": 0 if stat.S_ISDIR(info.st_mode) else info.st_size,
    }
    if stat.S_ISREG(info.st_mode) and info.st_size < MIB:
        facts["content"] = hashlib.sha256(Path(os.fsdecode(path)).read_bytes()).hexdigest()
    if stat.S_ISLNK(info.st_mode):
        facts["content"] = os.readlink(path)
    facts["attributes"] = {
        name: os.getxattr(path, name, follow_symlinks=False)
        for name in os.listxattr(path, follow_symlinks=False)
        if not name.startswith("trusted.SGI_ACL")  # the same ACLs once more, as xfs shows them
    }
    return facts


def make_stress_tree(tree: bytes) -> None:
    """Make many files, a folder of many, a large file, one with many links, and one with many holes."""

    def path(name: str) -> str:
        return os.path.join(os.fsdecode(tree), name)

    os.mkdir(path("crowd"))
    for number in range(20_000):
        with open(path(f"crowd/name-of-file-{number:06d}"), "wb") as file:
            file.write(b"%d" % number)
    for folder in range(60):
        os.mkdir(path(f"folder-{folder}"))
        for number in range(300):
            with open(path(f"folder-{folder}/{number}"), "wb") as file:
                file.write(bytes([number % 256]) * (number * 23 % 9000))
    with open(path("large"), "wb") as file:
        piece = os.urandom(1 << 20)
        for number in range(420):
            file.write(number.to_bytes(8, "big") + piece[8:])
    os.mkdir(path("links"))
    Path(path("links/0")).write_bytes(b"linked")
    for number in range(1, 300):
        os.link(path("links/0"), path(f"links/{'l' * 150}-{number}"))
    with open(path("holes"), "wb") as file:
        for number in range(40):
            file.seek(number * 100_000)
            file.write(b"data %d" % number)
    for number in range(9):
        os.setxattr(path("holes"), f"user.attribute-{number}", bytes([number]) * 300)
    for base, folders, names in os.walk(tree):
        for name in (*folders, *names):
            os.utime(os.path.join(base, name), ns=(EPOCH * 10**9, EPOCH * 10**9 - len(name) * 1001))
    os.utime(tree, (EPOCH, EPOCH))
