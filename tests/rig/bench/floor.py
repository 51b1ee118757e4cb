# SPDX-License-Identifier: MIT
"""The least that making an image of some packages can cost: `python -m tests.rig.bench.floor REQUEST.json`.

One process: decompress the payloads in one thread, write the files plainly to the build's own file
system, have mke2fs(8) write them into a file system, and qemu-img(1) compress that into what the build
writes. No solving, no rpm database, no scriptlet, no initramfs, no boot loader. Documentation is left
out as the image leaves it out. Prints the seconds of each part as JSON.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import stat
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from builder import tools, zstd

# zstd, as the build writes it, in the clusters that cost qemu-img the least.
QEMU_IMG = ("-c", "-W", "-m", "8", "-O", "qcow2", "-o", "compression_type=zstd,cluster_size=2M")
CHUNK = 1 << 20
# rpmtag.h and rpmfiles.h.
FILE_FLAGS, DIR_INDEXES, BASE_NAMES, DIR_NAMES = 1037, 1116, 1117, 1118
DOC = 1 << 1
LEAD = 96
PROLOGUE = 16
CPIO_HEADER = 110


def main() -> int:
    """Read the request, do the work, print how long each part took."""
    request = json.loads(Path(sys.argv[1]).read_text())
    tree, raw, image = (Path(request["work"], name) for name in ("tree", "disk.raw", "disk.qcow2"))
    tree.mkdir()
    seconds = {}
    started = time.perf_counter()
    unpack_seconds = 0.0
    for package in request["packages"]:
        before = time.perf_counter()
        archive, left_out = read_package(Path(package), docs=request["docs"])
        unpack_seconds += time.perf_counter() - before
        write_files(archive, tree, left_out)
    seconds["decompress"] = unpack_seconds
    seconds["write files"] = time.perf_counter() - started - unpack_seconds
    mke2fs = ["mke2fs", "-q", "-t", "ext4", "-d", str(tree), str(raw), f"{request['size'] >> 10}k"]
    convert = ["qemu-img", "convert", "-f", "raw", *QEMU_IMG, str(raw), str(image)]
    for name, argv in (("mke2fs -d", mke2fs), ("qemu-img", convert)):
        before = time.perf_counter()
        subprocess.run([tools.find(argv[0]), *argv[1:]], check=True, stdout=subprocess.DEVNULL)
        seconds[name] = time.perf_counter() - before
    Path(request["result"]).write_text(json.dumps(seconds))
    return 0


def read_package(path: Path, *, docs: bool) -> tuple[bytes, set[str]]:
    """Return a package's payload, decompressed, and the paths of it that are not to be written."""
    raw = path.read_bytes()
    _, end = read_header(raw, LEAD)
    header, payload = read_header(raw, -(-end // 8) * 8)
    names = set() if docs else set(documentation(header))
    return zstd.decompress(raw[payload:]), names


def read_header(raw: bytes, start: int) -> tuple[dict[int, tuple[int, int, bytes]], int]:
    """Return an rpm header's entries (count, offset, store) by tag, and where it ends."""
    entries, size = struct.unpack_from(">II", raw, start + 8)
    index = start + PROLOGUE
    store = raw[index + 16 * entries : index + 16 * entries + size]
    found = {}
    for number in range(entries):
        tag, _, offset, count = struct.unpack_from(">IIII", raw, index + 16 * number)
        found[tag] = (count, offset, store)
    return found, index + 16 * entries + size


def documentation(header: dict[int, tuple[int, int, bytes]]) -> Iterator[str]:
    """Yield the paths that the package marks as documentation."""
    if FILE_FLAGS not in header:
        return
    count, offset, store = header[FILE_FLAGS]
    flags = struct.unpack_from(f">{count}I", store, offset)
    folders = struct.unpack_from(f">{count}I", store, header[DIR_INDEXES][1])
    names, parents = (
        store[header[tag][1] :].split(b"\0", header[tag][0])[: header[tag][0]]
        for tag in (BASE_NAMES, DIR_NAMES)
    )
    for flag, folder, name in zip(flags, folders, names, strict=True):
        if flag & DOC:
            yield os.fsdecode(parents[folder] + name)


def write_files(archive: bytes, tree: Path, left_out: set[str]) -> None:
    """Write what a cpio archive (newc, as rpm writes it) holds."""
    position = 0
    linked: dict[int, str] = {}
    while True:
        fields = archive[position : position + CPIO_HEADER]
        inode, mode, _, _, links, _, size = (int(fields[6 + 8 * n : 14 + 8 * n], 16) for n in range(7))
        length = int(fields[94:102], 16)
        name = os.fsdecode(archive[position + CPIO_HEADER : position + CPIO_HEADER + length - 1])
        data = -(-(position + CPIO_HEADER + length) // 4) * 4
        position = -(-(data + size) // 4) * 4
        if name == "TRAILER!!!":
            return
        name = name.removeprefix(".").lstrip("/")
        if f"/{name}" in left_out:
            continue
        path = f"{tree}/{name}"
        if stat.S_ISDIR(mode):
            make_folder(f"{tree}/{name}", tree)
            continue
        parent, _, last = f"{tree}/{name}".rpartition("/")
        path = f"{make_folder(parent, tree)}/{last}"
        # Some files belong to two packages.
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
        if stat.S_ISLNK(mode):
            os.symlink(archive[data : data + size], os.fsencode(path))
        elif links > 1 and inode in linked:
            os.link(linked[inode], path)
            if size:
                _write(path, memoryview(archive)[data : data + size], os.O_TRUNC)
        else:
            _write(path, memoryview(archive)[data : data + size], os.O_CREAT | os.O_EXCL)
            if links > 1:
                linked[inode] = path


@functools.cache
def make_folder(path: str, tree: Path) -> str:
    """Make a folder and return its real path, which no link of a package leads out of the tree."""
    real = os.path.realpath(path)
    if not f"{real}/".startswith(f"{os.path.realpath(tree)}/"):
        raise SystemExit(f"error: {path}: a link leads out of the tree, to {real}")
    os.makedirs(real, exist_ok=True)
    return real


def _write(path: str, data: memoryview, flags: int) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_NOFOLLOW | flags, 0o644)
    os.write(descriptor, data)
    os.close(descriptor)


if __name__ == "__main__":
    sys.exit(main())
