# SPDX-License-Identifier: MIT
"""From the raw disk to qcow2, by a writer of our own (docs/interop/qcow2.txt of qemu).

qemu-img writes compressed clusters in the order in which they are ready; ours are in the order of the
disk, so equal disks give equal bytes. And it takes a quarter less of processor time: each cluster is one
call of zstd that knows the size.

The file, in clusters:

    header | compressed and plain data | L2 tables | L1 table | refcount blocks | refcount table
"""

from __future__ import annotations

import os
import struct
import zlib
from array import array
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, NamedTuple, Protocol

from builder import json_text, zstd
from builder.errors import BuildError
from builder.files import derived
from builder.ordered import map_in_order
from builder.runner import Runner, last_words

MAGIC = b"QFI\xfb"
VERSION = 3
SECTOR = 512
HEADER_BYTES = 112
REFCOUNT_BITS = 16
_INCOMPATIBLE_COMPRESSION = 1 << 3
_COPIED, _COMPRESSED = 1 << 63, 1 << 62


@dataclass(frozen=True, kw_only=True, slots=True)
class Format:
    """How clusters are stored: their size as a power of two, qemu's number of the compression, the call.

    With the same `version` the call gives the same bytes for the same cluster.
    """

    cluster_bits: int
    compression: int
    compress: Callable[[bytes], bytes]
    version: str

    @property
    def cluster(self) -> int:
        """Bytes of a cluster."""
        return 1 << self.cluster_bits


def _zstd(data: bytes) -> bytes:
    return zstd.compress(data, ZSTD_LEVEL)


def _deflate(data: bytes) -> bytes:
    # qemu inflates with a window of 4 KiB.
    packer = zlib.compressobj(wbits=-12)
    return packer.compress(data) + packer.flush()


# A guest that reads 4 KiB has a whole cluster decompressed. In clusters of 256 KiB the JeOS is as large as
# in those of 2 MiB (which pad the tables), and 2000 reads take it a tenth of the time; in those of 64 KiB
# it is 5 % larger. Level 2 takes a quarter less time and 5 % more room.
ZSTD_LEVEL = 3
ZSTD = Format(
    cluster_bits=18, compression=1, compress=_zstd, version=f"zstd {zstd.VERSION} level {ZSTD_LEVEL}"
)
# Bytes of compressed clusters that may wait in memory until it is known how long all of them are.
MOST_HELD = 64 << 20
# Clusters that a thread copies or digests at once: to hand each over by itself takes as long.
TOGETHER = 8
# What a qemu older than 5.1 knows.
ZLIB = Format(cluster_bits=16, compression=0, compress=_deflate, version=f"zlib {zlib.ZLIB_RUNTIME_VERSION}")


class Compressor(Protocol):
    """Compresses the clusters of one file."""

    @property
    def given(self) -> Mapping[int, bytes]:
        """Clusters of which the disk file need not have the content: their numbers, and something of it."""

    def compress(self, data: bytes) -> tuple[bytes, bytes]:
        """Return a name for the cluster `data`, and what it was compressed to: nothing where that is no less.

        Called from several threads.
        """

    def copy(self, number: int) -> tuple[bytes, bytes]:
        """Return the same of a cluster of `given`, never nothing. Called from several threads."""

    def length(self, number: int) -> int:
        """Return how many bytes `copy` will return of a cluster of `given`."""

    def placed(self, name: bytes, start: int, packed: bytes) -> None:
        """Learn that the cluster of that name is at byte `start` of the file (0 where it is plain)."""


@dataclass(slots=True)
class Anew:
    """Compresses every cluster."""

    format: Format
    given: Mapping[int, bytes] = field(default_factory=dict)

    def compress(self, data: bytes) -> tuple[bytes, bytes]:
        """Do it; clusters have no names."""
        packed = self.format.compress(data)
        return b"", packed if len(packed) < len(data) else b""

    def copy(self, number: int) -> tuple[bytes, bytes]:
        """There is none."""
        raise KeyError(number)

    def length(self, number: int) -> int:
        """There is none."""
        raise KeyError(number)

    def placed(self, name: bytes, start: int, packed: bytes) -> None:
        """Forget it."""


def convert(
    raw: Path,
    qcow2: Path,
    *,
    format: Format = ZSTD,
    compressor: Compressor | None = None,
    progress: Callable[[float], None] | None = None,
    written: Callable[[bytes], None] | None = None,
) -> bool:
    """Write `qcow2` from the raw disk; zeroes and holes take no room.

    Args:
        compressor: compresses as `format` does; the default does nothing but that.
        progress: called with the percentage, after each cluster.
        written: called with the bytes of the file, from its first to its last, where little of it has to be
            compressed, so that its header can be written first.

    Returns:
        whether `written` was called.

    Raises:
        BuildError: a file cannot be read or written; no `qcow2` is left then.
    """
    with derived(raw, qcow2) as (source, target):
        size = os.fstat(source.fileno()).st_size
        writer = _Writer(source, target, format, compressor or Anew(format), size)
        return writer.write(progress or (lambda _: None), written)


class _Packed(NamedTuple):
    """A cluster: its name, what it was compressed to, and itself where that is nothing; zeroes have none."""

    name: bytes
    packed: bytes
    data: bytes = b""


class _Layout:
    """Where everything has its place in the file, decided from the begin to the end."""

    def __init__(self, format: Format, size: int) -> None:
        self.format = format
        self.size = size
        self.end = format.cluster  # the header's
        self.refcounts = array("H", [1])
        # An entry of an L2 table for each cluster of the disk: 0 where there are only zeroes.
        self.entries = array("Q", bytes(8 * -(-size // format.cluster)))

    def place(self, number: int, *, packed: int, plain: int) -> int:
        """Give a cluster of the disk its place; return where.

        Args:
            packed, plain: bytes of what it was compressed to, and of itself where that is nothing.
        """
        if packed:
            start = self.end
            self.entries[number] = self._append_packed(packed)
            return start
        if plain:
            start = self._append(plain)
            self.entries[number] = start | _COPIED
            return start
        return self.end

    def _append_packed(self, length: int) -> int:
        """Append a compressed cluster; return its entry."""
        start, last = self.end, self.end + length - 1
        self.end += length
        for host in range(start >> self.format.cluster_bits, (last >> self.format.cluster_bits) + 1):
            self._refer(host)
        sectors = last // SECTOR - start // SECTOR
        return start | sectors << 62 - (self.format.cluster_bits - 8) | _COMPRESSED

    def _append(self, length: int) -> int:
        """Append what begins at the start of a cluster; return where."""
        start = self._align()
        self.end += length
        for host in range(start >> self.format.cluster_bits, -(-self.end >> self.format.cluster_bits)):
            self._refer(host)
        return start

    def _align(self) -> int:
        self.end = -(-self.end // self.format.cluster) * self.format.cluster
        return self.end

    def _refer(self, host: int) -> None:
        self.refcounts.extend([0] * (host + 1 - len(self.refcounts)))
        self.refcounts[host] += 1

    def finish(self) -> tuple[bytes, list[tuple[int, bytes]]]:
        """Return the header, and what leads to the data with its places, when all data have theirs.

        `end` is that of the file then.
        """
        cluster = self.format.cluster
        tables: list[tuple[int, bytes]] = []
        l1 = array("Q")
        for first in range(0, len(self.entries), cluster // 8):
            entries = self.entries[first : first + cluster // 8]
            l1.append(self._append_table(tables, entries) | _COPIED if any(entries) else 0)
        l1_offset = self._append_table(tables, l1)
        refcount_offset, refcount_clusters = self._append_refcounts(tables)
        # The file ends with a whole cluster.
        self._align()
        header = struct.pack(
            ">4sIQIIQIIQQIIQQQQII", MAGIC, VERSION, 0, 0, self.format.cluster_bits, self.size, 0, len(l1),
            l1_offset, refcount_offset, refcount_clusters, 0, 0,
            _INCOMPATIBLE_COMPRESSION if self.format.compression else 0, 0, 0,
            REFCOUNT_BITS.bit_length() - 1, HEADER_BYTES,
        )  # fmt: skip
        return header + bytes([self.format.compression]) + bytes(7), tables

    def _append_table(self, tables: list[tuple[int, bytes]], numbers: array[int]) -> int:
        raw = _big_endian(numbers)
        start = self._append(len(raw))
        tables.append((start, raw))
        return start

    def _append_refcounts(self, tables: list[tuple[int, bytes]]) -> tuple[int, int]:
        """Append how often each cluster of the file is used, these tables' own included."""
        cluster = self.format.cluster
        a_block = cluster * 8 // REFCOUNT_BITS
        start = self._align()
        used = start // cluster
        blocks, count = 0, 0
        while True:
            needed = -(-(used + blocks + count) // a_block), -(-8 * blocks // cluster)
            if needed == (blocks, count):
                break
            blocks, count = needed
        for host in range(used, used + blocks + count):
            self._refer(host)
        offset = start + blocks * cluster
        tables.append((start, _big_endian(self.refcounts)))
        tables.append((offset, _big_endian(array("Q", range(start, offset, cluster)))))
        self.end = offset + 8 * blocks
        return offset, count


class _File:
    """The file, or the bytes of it in their order, for somebody who wants these."""

    def __init__(self, file: BinaryIO, written: Callable[[bytes], None] | None) -> None:
        self._file = file
        self._written = written
        self._end = 0

    def put(self, start: int, data: bytes) -> None:
        """Write `data` at byte `start`; what is skipped is zeroes."""
        self._file.seek(start)
        self._file.write(data)
        if self._written is not None:
            self._zeroes(start)
            self._written(data)
            self._end = start + len(data)

    def finish(self, size: int) -> None:
        """Give the file its size."""
        self._file.truncate(size)
        if self._written is not None:
            self._zeroes(size)

    def _zeroes(self, end: int) -> None:
        if self._written is not None and end > self._end:
            self._written(bytes(end - self._end))


class _Writer:
    """Writes one file."""

    def __init__(
        self, source: BinaryIO, target: BinaryIO, format: Format, compressor: Compressor, size: int
    ) -> None:
        self.source = source
        self.target = target
        self.compressor = compressor
        self.cluster = format.cluster
        self.zeroes = bytes(format.cluster)
        self.layout = _Layout(format, size)
        self.held: dict[int, _Packed] = {}

    def write(self, progress: Callable[[float], None], written: Callable[[bytes], None] | None) -> bool:
        """Write all of it; `written` and what is returned as of `convert`."""
        given = self.compressor.given
        clusters = sorted({*allocated(self.source, self.cluster), *given})
        if clusters and clusters[-1] >= len(self.layout.entries):
            raise BuildError(f"there is no cluster {clusters[-1]} in a disk of {len(self.layout.entries)}")
        in_order = written is not None and self._hold([one for one in clusters if one not in given])
        file = _File(self.target, written if in_order else None)
        header, tables = b"", list[tuple[int, bytes]]()
        starts: dict[int, int] = {}
        if in_order:
            starts = {number: self._place(number) for number in clusters}
            header, tables = self.layout.finish()
            file.put(0, header)
        packed = zip(clusters, map_in_order(self._take, clusters, together=TOGETHER), strict=True)
        for done, (number, one) in enumerate(packed, 1):
            start = starts[number] if in_order else self._place_packed(number, one)
            if one.packed or one.data:
                file.put(start, one.packed or one.data)
            if one.name:
                self.compressor.placed(one.name, start if one.packed else 0, one.packed)
            progress(100 * done / len(clusters))
        if not in_order:
            header, tables = self.layout.finish()
        for start, raw in tables:
            file.put(start, raw)
        file.finish(self.layout.end)
        if not in_order:
            file.put(0, header)
        return in_order

    def _hold(self, clusters: Sequence[int]) -> bool:
        """Compress the clusters before anything is written; say whether all of them fit into memory."""
        room = MOST_HELD
        for number, one in zip(clusters, map_in_order(self._pack, clusters), strict=False):
            self.held[number] = one
            room -= len(one.packed) + len(one.data)
            if room < 0:
                return len(self.held) == len(clusters)
        return True

    def _place(self, number: int) -> int:
        """Give a cluster that is held, or given, its place."""
        one = self.held.get(number)
        if one is not None:
            return self._place_packed(number, one)
        return self.layout.place(number, packed=self.compressor.length(number), plain=0)

    def _place_packed(self, number: int, one: _Packed) -> int:
        return self.layout.place(number, packed=len(one.packed), plain=len(one.data))

    def _take(self, number: int) -> _Packed:
        """Return a cluster, from wherever it is. Called from several threads."""
        if number in self.compressor.given:
            return _Packed(*self.compressor.copy(number))
        return self.held.pop(number, None) or self._pack(number)

    def _pack(self, number: int) -> _Packed:
        """Compress a cluster of the disk. Called from several threads."""
        data = os.pread(self.source.fileno(), self.cluster, number * self.cluster).ljust(self.cluster, b"\0")
        if data == self.zeroes:
            return _Packed(b"", b"")
        name, packed = self.compressor.compress(data)
        return _Packed(name, packed, b"" if packed else data)


def _big_endian(numbers: array[int]) -> bytes:
    swapped = array(numbers.typecode, numbers)
    swapped.byteswap()
    return swapped.tobytes()


def allocated(source: BinaryIO, cluster: int) -> list[int]:
    """Return the numbers of the clusters that hold data, by SEEK_DATA and SEEK_HOLE of lseek(2)."""
    found: list[int] = []
    end, size = 0, os.fstat(source.fileno()).st_size
    while end < size:
        try:
            start = os.lseek(source.fileno(), end, os.SEEK_DATA)
        except OSError:  # ENXIO: nothing but a hole up to the end
            break
        end = os.lseek(source.fileno(), start, os.SEEK_HOLE)
        first = max(start // cluster, found[-1] + 1 if found else 0)
        found.extend(range(first, -(-end // cluster)))
    return found


def check(qcow2: Path, *, runner: Runner) -> None:
    """Have `qemu-img check` look at `qcow2`.

    Raises:
        BuildError: it is corrupt or leaks clusters.
    """
    done = runner.run(["qemu-img", "check", "-f", "qcow2", "--output=json", str(qcow2)], ok=())
    try:
        found = json_text.parse(done.stdout)
    except ValueError:
        raise BuildError(f"{qcow2}: qemu-img check failed: {last_words(done.stderr)}") from None
    bad = {name: found[name] for name in ("corruptions", "leaks", "check-errors") if found.get(name)}
    if bad or done.returncode:
        damage = ", ".join(f"{count} {name}" for name, count in bad.items()) or f"status {done.returncode}"
        raise BuildError(f"{qcow2}: qemu-img check found {damage}")
