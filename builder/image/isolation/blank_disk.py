# SPDX-License-Identifier: MIT
"""The disk that %pre scripts partition: a blank file of the planned size, under the names of the kickstart.

parted, sfdisk, sgdisk and wipefs take a file for a disk. What wants a block device, or partitions with nodes
of their own, is answered by programs of ours: nothing is formatted before the disk is written.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from builder.formats.partitions import PartitionTable, read_table
from builder.image.isolation import mounts
from builder.sizes import MIB

_FOLDER = Path("/tmp/blank")
# What a table and its copies need, many times over; a script that fills the disk gets ENOSPC.
_ROOM = "mode=700,size=32m,nr_inodes=64"
SIZE_PROGRAM = """\
#!/bin/sh
# blockdev(8), for the disk of the image, which is a file here.
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
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
exec {name} "$@"
"""
NOTHING_PROGRAM = "#!/bin/sh\n# The disk is a file, which nobody has to read again.\nexit 0\n"
_FORMATTERS = (
    *("mkfs", "mkfs.ext2", "mkfs.ext3", "mkfs.ext4", "mke2fs", "mkfs.xfs", "mkfs.btrfs", "mkfs.vfat"),
    *("mkfs.fat", "mkdosfs", "mkswap", "wipefs"),
)
_NOTHING = ("partprobe", "partx", "kpartx", "udevadm", "hdparm")


class BlankDisk:
    """The disk inside, and what stands in for programs that need more than a file."""

    def __init__(self, names: Sequence[str], size: int) -> None:
        """Make it: `names` are those that %pre may use (`vda`), `size` is in MiB."""
        self.names, self.size = tuple(names), size
        _FOLDER.mkdir(exist_ok=True)
        mounts.mount("blank", str(_FOLDER), "tmpfs", mounts.MS_NOSUID | mounts.MS_NODEV, _ROOM)
        self.file = _FOLDER / "disk"
        with self.file.open("xb") as file:
            file.truncate(size * MIB)

    def binds(self) -> list[tuple[Path, str]]:
        """Return (file, device) for each name: writable in the room of %pre."""
        return [(self.file, f"/dev/{name}") for name in self.names]

    def programs(self) -> dict[str, str]:
        """Return the programs that go before the host's, by name."""
        patterns = " | ".join(f"/dev/{name}[0-9]* | /dev/{name}p[0-9]*" for name in self.names)
        found = {name: FORMAT_PROGRAM.format(name=name, patterns=patterns) for name in _FORMATTERS}
        found |= dict.fromkeys(_NOTHING, NOTHING_PROGRAM)
        found["blockdev"] = SIZE_PROGRAM
        found["list-harddrives"] = LIST_PROGRAM.format(name=self.names[0], mib=self.size)
        return found

    def read(self) -> PartitionTable:
        """Return the table that is on it now."""
        return read_table(self.file)
