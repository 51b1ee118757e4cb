# SPDX-License-Identifier: MIT
"""The disk that %pre scripts partition: a blank file of the planned size, under the names of the kickstart.

parted, sfdisk, sgdisk and wipefs take a file for a disk. What wants a block device, or partitions with nodes
of their own, is answered by programs of ours: nothing is formatted before the disk is written. And no device
becomes smaller when it is opened for writing, as a file does (`dd of=`, `>`): ours keeps its size, too.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from builder.calls import MS_NODEV, MS_NOSUID
from builder.formats.partitions import PartitionTable, read_table
from builder.image.isolation import mounts
from builder.sizes import MIB

_FOLDER = Path("/tmp/blank")
# What a table and its copies need, many times over; a script that fills the disk gets ENOSPC.
_ROOM = "mode=700,size=32m,nr_inodes=64"
# Before any program that looks at the disk: what a redirection has cut off is there again, as zeros.
_WHOLE = "truncate -s {bytes} /dev/{name} 2>/dev/null"
_PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
SIZE_PROGRAM = """\
#!/bin/sh
# blockdev(8), for the disk of the image, which is a file here.
{whole}
for device; do :; done
size=$(stat -L -c %s "$device") || exit 1
case " $* " in
*' --getsize64 '*) echo "$size" ;;
*' --getsz '* | *' --getsize '*) echo $((size / 512)) ;;
*' --getss '* | *' --getpbsz '* | *' --getiomin '*) echo 512 ;;
*' --getbsz '*) echo 4096 ;;
*' --getro '* | *' --getalignoff '*) echo 0 ;;
esac
"""
LIST_PROGRAM = """\
#!/bin/sh
# list-harddrives of Anaconda: name and MiB of each disk.
echo "{name} {mib}.0"
"""
FORMAT_PROGRAM = """\
#!/bin/sh
# A partition of the image's disk is formatted when the disk is written, as its part line says.
for device; do
    case $device in
    {patterns})
        echo '{name}: not now: '"$device"' is formatted when the disk is written' >&2
        exit 0 ;;
    esac
done
{whole}
{path}
exec {name} "$@"
"""
TABLE_PROGRAM = """\
#!/bin/sh
{whole}
{path}
exec {name} "$@"
"""
COPY_PROGRAM = """\
#!/bin/sh
# dd(1), for the disk of the image.
{path}
for word; do
    case $word in
    {patterns}) {whole}; exec dd "$@" conv=notrunc ;;
    esac
done
exec dd "$@"
"""
DISCARD_PROGRAM = """\
#!/bin/sh
# blkdiscard(8), for the disk of the image: nothing is left on it.
for device; do :; done
case $device in
{patterns}) truncate -s 0 "$device" && {whole} ;;
esac
"""
NOTHING_PROGRAM = "#!/bin/sh\n# The disk is a file, which nobody has to read again.\nexit 0\n"
_FORMATTERS = (
    *("mkfs", "mkfs.ext2", "mkfs.ext3", "mkfs.ext4", "mke2fs", "mkfs.xfs", "mkfs.btrfs", "mkfs.vfat"),
    *("mkfs.fat", "mkdosfs", "mkswap", "wipefs"),
)
_PARTITIONERS = ("parted", "sfdisk", "fdisk", "cfdisk", "sgdisk", "gdisk", "cgdisk", "blkid", "file")
_NOTHING = ("partprobe", "partx", "kpartx", "udevadm", "hdparm")


class BlankDisk:
    """The disk inside, and what stands in for programs that need more than a file."""

    def __init__(self, names: Sequence[str], size: int) -> None:
        """Make it: `names` are those that %pre may use (`vda`), `size` is in MiB."""
        self.names, self.size = tuple(names), size
        _FOLDER.mkdir(exist_ok=True)
        mounts.mount("blank", str(_FOLDER), "tmpfs", MS_NOSUID | MS_NODEV, _ROOM)
        self.file = _FOLDER / "disk"
        with self.file.open("xb") as file:
            file.truncate(size * MIB)

    def binds(self) -> list[tuple[Path, str]]:
        """Return (file, device) for each name: writable in the room of %pre."""
        return [(self.file, f"/dev/{name}") for name in self.names]

    def programs(self) -> dict[str, str]:
        """Return the programs that go before the host's, by name."""
        partitions = " | ".join(f"/dev/{name}[0-9]* | /dev/{name}p[0-9]*" for name in self.names)
        devices = " | ".join(f"/dev/{name}" for name in self.names)
        targets = " | ".join(f"of=/dev/{name}" for name in self.names)
        whole = _WHOLE.format(bytes=self.size * MIB, name=self.names[0])
        ours = {"whole": whole, "path": _PATH}
        found = {name: FORMAT_PROGRAM.format(name=name, patterns=partitions, **ours) for name in _FORMATTERS}
        found |= {name: TABLE_PROGRAM.format(name=name, **ours) for name in _PARTITIONERS}
        found |= dict.fromkeys(_NOTHING, NOTHING_PROGRAM)
        found["dd"] = COPY_PROGRAM.format(patterns=targets, **ours)
        found["blkdiscard"] = DISCARD_PROGRAM.format(patterns=devices, **ours)
        found["blockdev"] = SIZE_PROGRAM.format(**ours)
        found["list-harddrives"] = LIST_PROGRAM.format(name=self.names[0], mib=self.size)
        return found

    def read(self) -> PartitionTable:
        """Return the table that is on it now."""
        os.truncate(self.file, self.size * MIB)
        return read_table(self.file)
