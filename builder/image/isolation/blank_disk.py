# SPDX-License-Identifier: MIT
"""The disk that %pre scripts partition: a blank file of the planned size, under the names of the kickstart.

parted, sfdisk, sgdisk and wipefs take a file for a disk. What wants a block device, or partitions with nodes
of their own, is answered by programs of ours: nothing is formatted before the disk is written. And no device
becomes smaller when it is opened for writing, as a file does (`dd of=`, `>`): ours keeps its size, too.
Scripts choose a disk by lsblk, /proc/partitions, /sys/block or `[ -b ]`: each says what is there, and nothing
of the host's disks. Python asks by stat(2), which no program of ours can answer: a module that it imports
when it starts does.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

from builder.calls import MS_NODEV, MS_NOSUID
from builder.formats.partitions import PartitionTable, read_table
from builder.image.isolation import mounts, shims
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
LISTING_PROGRAM = """\
#!/bin/sh
# Without a name it looks for block devices of the kernel, and the disk of the image is a file.
{whole}
{path}
case $* in -l | --list | -s) set -- "$@" /dev/{disk} ;; esac
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
BLOCKS_PROGRAM = """\
#!/bin/sh
# lsblk(8), for the disk of the image, with the partitions that are on it now.
{whole}
BUILDER_TABLES=$(mktemp -d) || exit 1
export BUILDER_TABLES
{path} sfdisk --dump /dev/{name} >"$BUILDER_TABLES/dump" 2>/dev/null
label=$(sed -n 's/^label: //p' "$BUILDER_TABLES/dump")
echo "disk|{name}|$label|{bytes}" >"$BUILDER_TABLES/.disk"
echo "/dev/{name}|||||||{bytes}|" >"$BUILDER_TABLES/.devices"
sed -n 's/^\\([^ ]*[^0-9]\\)\\([0-9]*\\) : start= *\\([0-9]*\\), size= *\\([0-9]*\\),.*/\\1 \\2 \\3 \\4/p' \
    "$BUILDER_TABLES/dump" | while read -r device number start sectors; do
    echo "$device$number|$number|||||$start|$((sectors * 512))|{name}"
done >>"$BUILDER_TABLES/.devices"
: >"$BUILDER_TABLES/.mounts"
"${{0%/*}}/.lsblk" "$@"
status=$?
rm -rf "$BUILDER_TABLES"
exit $status
"""
NOTHING_PROGRAM = "#!/bin/sh\n# The disk is a file, which nobody has to read again.\nexit 0\n"
_FORMATTERS = (
    *("mkfs", "mkfs.ext2", "mkfs.ext3", "mkfs.ext4", "mke2fs", "mkfs.xfs", "mkfs.btrfs", "mkfs.vfat"),
    *("mkfs.fat", "mkdosfs", "mkswap", "wipefs"),
)
_PARTITIONERS = ("parted", "sfdisk", "fdisk", "cfdisk", "sgdisk", "gdisk", "cgdisk", "blkid", "file")
_LISTERS = ("fdisk", "sfdisk")
_NOTHING = ("partprobe", "partx", "kpartx", "udevadm", "hdparm")
# What a shell takes for a condition, and in it the question whether something is a block device.
_CONDITION = re.compile(r"\[\[?\s[^\n]*?\s\]\]?|\btest\s[^\n;&|]*")
_IS_BLOCK = re.compile(r"(?<=\s)-b(?=\s+[\"'$/])")
_SHELLS = ("sh", "bash", "dash", "ksh")


def ask_for_a_file(body: str, interpreter: str) -> str:
    """Return a script of a shell that asks for a file where it asks for a block device (`[ -b /dev/vda ]`).

    Nothing else in the room's /dev has the name of a disk, so the answer is the one that it would get.
    """
    if Path(interpreter).name not in _SHELLS:
        return body
    return _CONDITION.sub(lambda found: _IS_BLOCK.sub("-e", found[0]), body)


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
        self._say_to_the_kernels_askers()

    def _say_to_the_kernels_askers(self) -> None:
        """Write what /proc/partitions and /sys/block say: one disk."""
        name = self.names[0]
        rows = ("major minor  #blocks  name", "", f" 252        0 {self.size * MIB // 1024:10} {name}")
        (_FOLDER / "partitions").write_text("".join(f"{row}\n" for row in rows))
        entry = _FOLDER / "block" / name
        (entry / "queue").mkdir(parents=True)
        facts = {"size": self.size * MIB // 512, "dev": "252:0", "removable": 0, "ro": 0}
        facts |= {"queue/rotational": 0, "queue/logical_block_size": 512, "queue/physical_block_size": 512}
        for file, text in facts.items():
            (entry / file).write_text(f"{text}\n")

    def binds(self) -> list[tuple[Path, str]]:
        """Return (file, device) for each name: writable in the room of %pre."""
        return [(self.file, f"/dev/{name}") for name in self.names]

    def facts(self) -> list[tuple[Path, str]]:
        """Return (source, target) of what hides the host's disks."""
        return [
            (_FOLDER / "partitions", "/proc/partitions"),
            *((_FOLDER / "block", folder) for folder in ("/sys/block", "/sys/class/block")),
        ]

    def programs(self) -> dict[str, str]:
        """Return the programs that go before the host's, by name."""
        partitions = " | ".join(f"/dev/{name}[0-9]* | /dev/{name}p[0-9]*" for name in self.names)
        devices = " | ".join(f"/dev/{name}" for name in self.names)
        targets = " | ".join(f"of=/dev/{name}" for name in self.names)
        whole = _WHOLE.format(bytes=self.size * MIB, name=self.names[0])
        ours = {"whole": whole, "path": _PATH}
        of_disk = {"name": self.names[0], "bytes": self.size * MIB, **ours}
        found = {name: FORMAT_PROGRAM.format(name=name, patterns=partitions, **ours) for name in _FORMATTERS}
        found |= {name: TABLE_PROGRAM.format(name=name, **ours) for name in _PARTITIONERS}
        listing = {"disk": self.names[0], **ours}
        found |= {name: LISTING_PROGRAM.format(name=name, **listing) for name in _LISTERS}
        found |= dict.fromkeys(_NOTHING, NOTHING_PROGRAM)
        found["dd"] = COPY_PROGRAM.format(patterns=targets, **ours)
        found["blkdiscard"] = DISCARD_PROGRAM.format(patterns=devices, **ours)
        found["lsblk"] = BLOCKS_PROGRAM.format(**of_disk)
        found |= {f".{name}": (shims.SOURCE / f"{name}.sh").read_text() for name in ("lsblk", "answers")}
        found["sitecustomize.py"] = (shims.SOURCE / "sitecustomize.py").read_text()
        found[".disk_name"] = self.names[0]
        found["blockdev"] = SIZE_PROGRAM.format(**ours)
        found["list-harddrives"] = LIST_PROGRAM.format(name=self.names[0], mib=self.size)
        return found

    def read(self) -> PartitionTable:
        """Return the table that is on it now."""
        os.truncate(self.file, self.size * MIB)
        return read_table(self.file)
