# SPDX-License-Identifier: MIT
"""From the raw disk to qcow2, by a writer of our own (docs/interop/qcow2.txt of qemu).

qemu-img writes compressed clusters in the order in which they are ready; ours are in the order of the
disk, so equal disks give equal bytes. And it takes a quarter less of processor time: each cluster is one
call of zstd that knows the size.

The file, in clusters:

    header | compressed and plain data | L2 tables | L1 table | refcount blocks | refcount table
"""

from __future__ import annotations

import json
import os
import struct
import zlib
from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Protocol

from builder import zstd
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

    def placed(self, name: bytes, start: int, packed: bytes) -> None:
        """Forget it."""


def convert(
    raw: Path,
    qcow2: Path,
    *,
    format: Format = ZSTD,
    compressor: Compressor | None = None,
    progress: Callable[[float], None] | None = None,
) -> None:
    """Write `qcow2` from the raw disk; zeroes and holes take no room.

    Args:
        compressor: compresses as `format` does; the default does nothing but that.
        progress: called with the percentage, after each cluster.

    Raises:
        BuildError: a file cannot be read or written; no `qcow2` is left then.
    """
    with derived(raw, qcow2) as (source, target):
        size = os.fstat(source.fileno()).st_size
        writer = _Writer(target, format, compressor or Anew(format), size)
        writer.write(source, progress or (lambda _: None))


# A cluster: its number, its name, what it was compressed to, and itself where that is nothing.
_Packed = tuple[int, bytes, bytes, bytes]


class _Writer:
    """Writes one file from its begin to its end; the header comes last, when everything has its place."""

    def __init__(self, file: BinaryIO, format: Format, compressor: Compressor, size: int) -> None:
        self.file = file
        self.compressor = compressor
        self.format = format
        self.size = size
        self.end = format.cluster  # the header's
        self.refcounts = array("H", [1])
        # An entry of an L2 table for each cluster of the disk: 0 where there are only zeroes.
        self.entries = array("Q", bytes(8 * -(-size // format.cluster)))

    def write(self, source: BinaryIO, progress: Callable[[float], None]) -> None:
        given = self.compressor.given
        clusters = sorted({*allocated(source, self.format.cluster), *given})
        if clusters and clusters[-1] >= len(self.entries):
            raise BuildError(f"there is no cluster {clusters[-1]} in a disk of {len(self.entries)}")
        for done, (number, name, packed, data) in enumerate(self._packed(source, clusters), 1):
            start = self.end if packed else 0
            if packed:
                self.entries[number] = self._append_packed(packed)
            elif data:
                self.entries[number] = self._append(data) | _COPIED
            if name:
                self.compressor.placed(name, start, packed)
            progress(100 * done / len(clusters))
        self._write_tables()

    def _packed(self, source: BinaryIO, clusters: Sequence[int]) -> Iterator[_Packed]:
        """Yield each cluster, in order."""
        zeroes = bytes(self.format.cluster)

        def pack(number: int) -> _Packed:
            if number in self.compressor.given:
                return number, *self.compressor.copy(number), b""
            data = os.pread(source.fileno(), len(zeroes), number * len(zeroes)).ljust(len(zeroes), b"\0")
            if data == zeroes:
                return number, b"", b"", b""
            name, packed = self.compressor.compress(data)
            return number, name, packed, b"" if packed else data

        return map_in_order(pack, clusters)

    def _append_packed(self, packed: bytes) -> int:
        """Append a compressed cluster; return its entry."""
        start, last = self.end, self.end + len(packed) - 1
        self._put(packed)
        for host in range(start >> self.format.cluster_bits, (last >> self.format.cluster_bits) + 1):
            self._refer(host)
        sectors = last // SECTOR - start // SECTOR
        return start | sectors << 62 - (self.format.cluster_bits - 8) | _COMPRESSED

    def _append(self, data: bytes) -> int:
        """Write `data` at the start of a cluster; return where."""
        start = self._align()
        self._put(data)
        for host in range(start >> self.format.cluster_bits, -(-self.end >> self.format.cluster_bits)):
            self._refer(host)
        return start

    def _put(self, data: bytes) -> None:
        self.file.seek(self.end)
        self.file.write(data)
        self.end += len(data)

    def _align(self) -> int:
        self.end = -(-self.end // self.format.cluster) * self.format.cluster
        return self.end

    def _refer(self, host: int) -> None:
        self.refcounts.extend([0] * (host + 1 - len(self.refcounts)))
        self.refcounts[host] += 1

    def _write_tables(self) -> None:
        """Write what leads to the data, and the header, which leads to that."""
        cluster = self.format.cluster
        l1 = array("Q")
        for first in range(0, len(self.entries), cluster // 8):
            entries = self.entries[first : first + cluster // 8]
            l1.append(self._append(_big_endian(entries)) | _COPIED if any(entries) else 0)
        l1_offset = self._append(_big_endian(l1))
        refcount_offset, refcount_clusters = self._write_refcounts()
        # The file ends with a whole cluster.
        self.file.truncate(self._align())
        header = struct.pack(
            ">4sIQIIQIIQQIIQQQQII", MAGIC, VERSION, 0, 0, self.format.cluster_bits, self.size, 0, len(l1),
            l1_offset, refcount_offset, refcount_clusters, 0, 0,
            _INCOMPATIBLE_COMPRESSION if self.format.compression else 0, 0, 0,
            REFCOUNT_BITS.bit_length() - 1, HEADER_BYTES,
        )  # fmt: skip
        self.file.seek(0)
        self.file.write(header + bytes([self.format.compression]) + bytes(7))

    def _write_refcounts(self) -> tuple[int, int]:
        """Write how often each cluster of the file is used, these tables' own included."""
        cluster = self.format.cluster
        a_block = cluster * 8 // REFCOUNT_BITS
        start = self._align()
        used = start // cluster
        blocks, tables = 0, 0
        while True:
            needed = -(-(used + blocks + tables) // a_block), -(-8 * blocks // cluster)
            if needed == (blocks, tables):
                break
            blocks, tables = needed
        for host in range(used, used + blocks + tables):
            self._refer(host)
        self._put(_big_endian(self.refcounts))
        offset = self.end = start + blocks * cluster
        self._put(_big_endian(array("Q", range(start, offset, cluster))))
        return offset, tables


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
        found = json.loads(done.stdout)
    except ValueError:
        raise BuildError(f"{qcow2}: qemu-img check failed: {last_words(done.stderr)}") from None
    bad = {name: found[name] for name in ("corruptions", "leaks", "check-errors") if found.get(name)}
    if bad or done.returncode:
        damage = ", ".join(f"{count} {name}" for name, count in bad.items()) or f"status {done.returncode}"
        raise BuildError(f"{qcow2}: qemu-img check found {damage}")
