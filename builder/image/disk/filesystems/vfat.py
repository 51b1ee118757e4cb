# SPDX-License-Identifier: MIT
"""vfat by mkfs.vfat(8) and mtools(1), at an offset in the disk file.

FAT holds names, bytes and times. Owners and modes come from the mount options; what would be lost
otherwise (links, devices, capabilities, names that FAT cannot spell) is refused.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from builder.errors import BuildError, CommandFailed
from builder.image.disk.filesystems.disk import DiskFile
from builder.image.disk.filesystems.source import source_of
from builder.image.disk.placement import KIB, MIB, SECTOR, PlacedContent, Usage
from builder.kickstart.disk import options

FAT32_FROM = 512 * MIB
FAT16_FROM = 8 * MIB
LARGEST_FILE = 4 * 1024 * MIB - 1
# VFAT long names: everything but these; and 255 units of UTF-16 (Microsoft's fatgen103).
_FORBIDDEN = re.compile(r'[\x00-\x1f"*/:<>?\\|]')
_LONGEST = 255
_CLUSTER = 32 * KIB


@dataclass(frozen=True, kw_only=True, slots=True)
class VfatWriter:
    """Writes FAT12, FAT16 or FAT32, as the size asks for."""

    def capacity(self, size: int, mkfsoptions: str | None = None) -> Usage:
        """Return what fits, files of half a cluster of 4 KiB lost on average included by `measure`."""
        del mkfsoptions
        # Two tables of at most 4 bytes a cluster of 2 KiB, the reserved sectors and the root folder.
        data = size - size // 256 - 64 * KIB
        return Usage(bytes=max(0, data), inodes=max(16, data // (4 * KIB)))

    def write(self, disk: DiskFile, placed: PlacedContent, sources: Mapping[str, Path]) -> None:
        """Write it with the content of its source.

        Raises:
            BuildError: something in `source` cannot be held by FAT, or does not fit.
        """
        source = source_of(placed.mountpoint, sources).folder
        folders, files = ((), ()) if source is None else survey(source, placed)
        env = {"TZ": "UTC", "MTOOLS_SKIP_CHECK": "1", "MTOOLSRC": os.devnull}
        env["SOURCE_DATE_EPOCH"] = str(disk.epoch)
        argv = ["mkfs.vfat", "-F", _bits(placed.size), "-h", str(placed.start // SECTOR)]
        argv.append("--invariant")  # it also sets a volume id: -i comes later and wins
        argv += ["--offset", str(placed.start // SECTOR), *options.split(placed.mkfsoptions)]
        if placed.uuid:
            argv += ["-i", placed.uuid.replace("-", "")]
        if placed.label:
            argv += ["-n", placed.label.upper()]
        done = disk.run([*argv, str(disk.file), str(placed.size // KIB)], env=env, ok=())
        if done.returncode:
            said = next((line.strip() for line in done.stderr.splitlines() if line.strip()), "no word")
            raise CommandFailed(
                f"{placed.where}: mkfs.vfat failed (exit status {done.returncode}): {said}",
                hint=f"look at --mkfsoptions={placed.mkfsoptions!r}" if placed.mkfsoptions else None,
            )
        if source is None:
            return
        image = ["-i", f"{disk.file}@@{placed.start}"]
        if folders:
            disk.run(["mmd", *image, *(_new(name) for name in folders)], env=env)
        for folder in ("", *folders):
            here = [name for name in files if os.path.dirname(name) == folder]
            if not here:
                continue
            _clamp(source, here, disk.epoch)
            words = ["mcopy", *image, "-m", "-Q", *(str(source / name) for name in here)]
            disk.run(
                [*words, f"::/{_existing(folder)}"], env=env, hint=f"the content of {placed.where} must fit"
            )


def make_writer(_fstype: str) -> VfatWriter:
    """Return what writes it."""
    return VfatWriter()


def survey(source: Path, placed: PlacedContent) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the folders and the files below `source`, sorted, as names relative to it.

    Raises:
        BuildError: naming the first path that FAT cannot hold, and why.
    """
    folders: list[str] = []
    files: list[str] = []
    owned = re.search(r"\b[ug]id=", placed.fsoptions or "") is not None
    for path, info in _walk(source):
        name = os.fsdecode(os.path.relpath(path, os.fsencode(source)))
        reason = _why_not(path, info, owned=owned)
        if reason:
            shown = f"{(placed.mountpoint or '').rstrip('/')}/{name}".encode(
                errors="backslashreplace"
            ).decode()
            raise BuildError(
                f"{shown!r}: vfat cannot hold {reason}",
                hint="keep it elsewhere, or give this mount point an ext4 partition",
            )
        (folders if stat.S_ISDIR(info.st_mode) else files).append(name)
    seen: dict[str, str] = {}
    for name in (*folders, *files):
        other = seen.setdefault(name.casefold(), name)
        if other != name:
            raise BuildError(
                f"{placed.where}: vfat cannot hold both {other!r} and {name!r}",
                hint="rename one of them, or give this mount point an ext4 partition",
            )
    return tuple(sorted(folders)), tuple(sorted(files))


def _walk(source: Path) -> Iterator[tuple[bytes, os.stat_result]]:
    pending = [os.fsencode(source)]
    while pending:
        with os.scandir(pending.pop()) as entries:
            for entry in entries:
                info = entry.stat(follow_symlinks=False)
                yield entry.path, info
                if stat.S_ISDIR(info.st_mode):
                    pending.append(entry.path)


def _why_not(path: bytes, info: os.stat_result, *, owned: bool) -> str | None:
    """Return what FAT cannot hold of the file; None for a good one."""
    try:
        name = os.path.basename(path).decode("ascii")
    except UnicodeDecodeError:
        return "a name that is not ASCII (its letters depend on a code page)"
    if _FORBIDDEN.search(name) or name != name.rstrip(". "):
        return "such a name"
    if len(name) > _LONGEST:
        return "so long a name"
    if not (stat.S_ISREG(info.st_mode) or stat.S_ISDIR(info.st_mode)):
        return "links and special files"
    if info.st_size > LARGEST_FILE and stat.S_ISREG(info.st_mode):
        return "a file of 4 GiB"
    if info.st_mode & (stat.S_ISUID | stat.S_ISGID) and stat.S_ISREG(info.st_mode):
        return "set-user-id and set-group-id"
    if (info.st_uid or info.st_gid) and not owned:
        return f"the owner {info.st_uid}:{info.st_gid} (no uid= and gid= in --fsoptions)"
    if "security.capability" in os.listxattr(path, follow_symlinks=False):
        return "file capabilities"
    return None


def _bits(size: int) -> str:
    return "32" if size >= FAT32_FROM else "16" if size >= FAT16_FROM else "12"


def _existing(name: str) -> str:
    """Return the name of a folder in the image as mtools looks it up: brackets are patterns there."""
    return re.sub(r"([\[\]])", r"\\\1", name)


def _new(name: str) -> str:
    """Return the name of a folder in the image that is going to be made: taken as it is."""
    parent, _, last = name.rpartition("/")
    return f"::/{_existing(parent)}/{last}" if parent else f"::/{last}"


def _clamp(source: Path, names: list[str], epoch: int) -> None:
    """Make no file newer than `epoch`: mcopy takes the times from the tree."""
    for name in names:
        if os.stat(source / name).st_mtime > epoch:
            os.utime(source / name, (epoch, epoch))
