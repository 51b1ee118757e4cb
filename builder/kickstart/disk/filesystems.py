# SPDX-License-Identifier: MIT
"""The facts of each file system: what it can be asked for, and what a host, GRUB and a guest need for it.

Pure, so that a plan is judged before anything is built.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from builder.kickstart.disk import options
from builder.kickstart.findings import Findings
from builder.kickstart.place import Place
from builder.kickstart.plan import Volume
from builder.sizes import MIB, TIB

# Kinds of partitions that hold no file system.
RAW = ("biosboot", "prepboot", "lvm", "unused")
_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
EXT = ("ext2", "ext3", "ext4")

# Message, hint.
Refusal = tuple[str, str]


@dataclass(frozen=True, kw_only=True, slots=True)
class FileSystemKind:
    """One file system, or another kind of partition.

    `module` is the name of the modules that write it (in `builder.image.disk.filesystems`) and read it for
    `verify` (in `builder.guest.readers`, where it holds files). `label` is the longest in bytes, `least` the
    smallest and `most` the largest size in MiB; `refuse` gets --mkfsoptions. `tools` are programs of this
    host that write it. In a guest `package` has its tools, and of them `grown_by` grows it while it is
    mounted; `is_checked` says whether it is checked at boot. `grub` is the module of GRUB that reads it,
    where every GRUB of ours does not have it anyway; `dracut` the module of dracut that finds a root on it,
    where its driver is not enough. `mounted`: mount options that it alone, or few, know. `has_labels`: it
    keeps owners and labels, so that a root may be on it. `by_dib`: diskimage-builder makes it. `is_named`:
    --fstype takes it.
    """

    module: str | None = None
    label: int = 0
    least: int = 1
    why_least: str = ""
    most: int | None = None
    refuse: Callable[[str | None], Iterator[Refusal]]
    tools: tuple[str, ...] = ()
    package: str | None = None
    grown_by: str | None = None
    is_checked: bool = True
    grub: str | None = None
    dracut: str | None = None
    mounted: tuple[str, ...] = ()
    has_labels: bool = True
    by_dib: bool = True
    is_named: bool = True


def _refuse_ext(given: str | None) -> Iterator[Refusal]:
    reserved = {
        "d": "the content comes from the packages",
        "F": "there is nothing to force",
        "n": "the file system has to be written",
        "S": "the file system has to be written",
        "c": "a file has no bad blocks",
        "l": "a file has no bad blocks",
        "z": "there is nothing to undo",
        "t": "the type is --fstype",
    }
    for word in options.split(given):
        reason = reserved.get(word[1:2]) if word.startswith("-") else None
        if reason:
            yield f"--mkfsoptions: {word[:2]} cannot be used: {reason}", f"remove {word[:2]}"
    yield from _refuse_uuids(options.values(given, "U"), "-U")
    for extended in options.values(given, "E"):
        for name in ("offset", "hash_seed"):
            if re.search(rf"\b{name}=", extended):
                yield f"--mkfsoptions: {name} comes from the plan", f"remove {name}"


def _refuse_uuids(given: list[str], option: str) -> Iterator[Refusal]:
    for value in given:
        if not _UUID.fullmatch(value):
            yield f"--mkfsoptions: {option} {value}: not a UUID", f"remove {option}: the plan makes one"


def uuid_of(fstype: str, mkfsoptions: str | None) -> str | None:
    """Return the UUID that --mkfsoptions give a file system, lower-case; None: the plan makes one."""
    if fstype == "xfs":
        found = [xfs_suboptions(mkfsoptions).get("m", {}).get("uuid", "")]
    elif fstype == "btrfs" or fstype in EXT:
        found = options.values(mkfsoptions, "U")
    else:
        found = []
    return found[-1].lower() if found and _UUID.fullmatch(found[-1]) else None


def check_uuids(findings: Findings, volumes: Sequence[Volume]) -> None:
    """Note two file systems that are to have one UUID."""
    seen: dict[str, Volume] = {}
    for volume in volumes:
        uuid = uuid_of(volume.fstype, volume.mkfsoptions)
        if uuid is not None and seen.setdefault(uuid, volume) is not volume:
            findings.error(
                volume.place,
                f"{volume.where}: --mkfsoptions: {uuid} is the UUID of {seen[uuid].where}, too",
                "give each its own",
            )


def _refuse_vfat(given: str | None) -> Iterator[Refusal]:
    for word in options.split(given):
        if word[:2] in ("-C", "-i", "-c", "-l") or word.startswith("--offset"):
            yield f"--mkfsoptions: {word} cannot be used: the plan sets it", f"remove {word}"


def _refuse_all(kind: str) -> Callable[[str | None], Iterator[Refusal]]:
    def refuse(given: str | None) -> Iterator[Refusal]:
        if given:
            yield f"{kind} takes no --mkfsoptions", "remove --mkfsoptions"

    return refuse


# Suboptions of mkfs.xfs(8) that may be given, by option; a value narrows them to it.
_XFS: dict[str, dict[str, str | None]] = {
    "m": {
        "bigtime": None,
        "inobtcount": None,
        "reflink": None,
        "finobt": "1",
        "crc": "1",
        "rmapbt": "0",
        "uuid": None,
    },
    "i": {"size": None, "sparse": None, "maxpct": None, "nrext64": None, "attr": "2", "exchange": "0"},
    "n": {"size": "4096", "ftype": "1", "version": "2", "parent": "0"},
    "d": {"agcount": None, "agsize": None},
    "l": {"size": None, "internal": "1", "version": "2", "lazy-count": "1"},
    "b": {"size": "4096"},
    "s": {"size": "512"},
}


def xfs_suboptions(given: str | None) -> dict[str, dict[str, str]]:
    """Return the suboptions of mkfs.xfs that `given` holds, by option: {"m": {"bigtime": "0"}}."""
    found: dict[str, dict[str, str]] = {}
    for letter in _XFS:
        for value in options.values(given, letter):
            for word in value.split(","):
                name, equals, setting = word.partition("=")
                if name:
                    found.setdefault(letter, {})[name] = setting if equals else "1"
    return found


def _refuse_xfs(given: str | None) -> Iterator[Refusal]:
    unknown = [word for word in _letters(given) if word not in _XFS and word not in ("f", "K", "q")]
    for letter in unknown:
        yield f"--mkfsoptions: -{letter} of mkfs.xfs cannot be used", f"remove -{letter}"
    for letter, pairs in xfs_suboptions(given).items():
        for name, value in pairs.items():
            if name not in _XFS[letter]:
                yield f"--mkfsoptions: -{letter} {name}= of mkfs.xfs cannot be used", f"remove {name}="
            elif name == "uuid":
                yield from _refuse_uuids([value], "-m uuid=")
            elif _XFS[letter][name] not in (None, value):
                wanted = _XFS[letter][name]
                yield f"--mkfsoptions: -{letter} {name}={value} is not supported", f"write {name}={wanted}"


def _letters(given: str | None) -> Iterator[str]:
    words = iter(options.split(given))
    for word in words:
        if word.startswith("-") and len(word) >= 2:
            yield word[1]
            if len(word) == 2 and word[1] not in "fKqN":
                next(words, None)


_BTRFS_PROFILES = {"d": ("single",), "m": ("single", "dup")}


def btrfs_metadata(given: str | None) -> str:
    """Return the profile of metadata that `given` asks for: dup (mkfs.btrfs's default) or single."""
    found = options.values(given, "m") or options.values(given, "-metadata=")
    return found[-1].lower() if found else "dup"


def _refuse_btrfs(given: str | None) -> Iterator[Refusal]:
    yield from _refuse_uuids(options.values(given, "U"), "-U")
    for letter in _letters(given):
        if letter != "U" and letter not in _BTRFS_PROFILES:
            yield f"--mkfsoptions: -{letter} of mkfs.btrfs cannot be used", f"remove -{letter}"
    for letter, known in _BTRFS_PROFILES.items():
        for value in options.values(given, letter):
            if value.lower() not in known:
                yield (
                    f"--mkfsoptions: -{letter} {value}: an image has one disk",
                    f"write -{letter} {known[-1]}",
                )


# Of FAT32 the sectors are counted in 32 bits.
_EXT = FileSystemKind(
    module="ext",
    label=16,
    refuse=_refuse_ext,
    package="e2fsprogs",
    grown_by="resize2fs",
    mounted=(
        "barrier",
        "commit",
        "data",
        "delalloc",
        "dioread_nolock",
        "errors",
        "journal_checksum",
        "stripe",
    ),
)
_FAT = FileSystemKind(
    module="vfat",
    label=11,
    most=2 * TIB // MIB - 1,
    refuse=_refuse_vfat,
    tools=("mkfs.vfat", "mcopy"),
    package="dosfstools",
    mounted=("codepage", "dmask", "fmask", "gid", "iocharset", "shortname", "uid", "umask", "utf8"),
    has_labels=False,
)

# Longest labels: mke2fs(8), mkfs.xfs(8), mkfs.btrfs(8), mkfs.vfat(8), mkswap(8).
# xfs: mkfs.xfs(8) of xfsprogs 5.19 and later refuses less than 300 MB.
# Not checked at boot: fsck.xfs(8), fsck.btrfs(8).
KINDS = {
    **dict.fromkeys(EXT, _EXT),
    "xfs": FileSystemKind(
        module="xfs",
        label=12,
        least=300,
        why_least="mkfs.xfs makes none that is smaller",
        refuse=_refuse_xfs,
        tools=("mkfs.xfs",),
        package="xfsprogs",
        grown_by="xfs_growfs",
        is_checked=False,
        grub="xfs",
        mounted=("allocsize", "inode32", "inode64", "largeio", "logbsize", "logbufs", "pquota", "swalloc"),
    ),
    "btrfs": FileSystemKind(
        module="btrfs",
        label=255,
        least=256,
        why_least="its metadata needs space",
        refuse=_refuse_btrfs,
        package="btrfs-progs",
        grown_by="btrfs",
        is_checked=False,
        grub="btrfs",
        dracut="btrfs",
        mounted=(
            *("autodefrag", "commit", "compress", "compress-force", "degraded", "space_cache", "ssd"),
            *("subvol", "subvolid"),
        ),
        by_dib=False,
    ),
    "vfat": _FAT,
    "efi": _FAT,
    "swap": FileSystemKind(module="swap", label=15, refuse=_refuse_all("swap"), has_labels=False),
    **{
        name: FileSystemKind(
            refuse=_refuse_all(name), has_labels=False, by_dib=False, is_named=name.endswith("boot")
        )
        for name in RAW
    },
}
# No kind of its own: nothing of it is on a disk.
TMPFS = "tmpfs"
# Of its options those that file systems on a disk have, too (tmpfs(5)).
_OF_TMPFS = ("gid", "uid")
# What a kickstart may name.
FILE_SYSTEMS = tuple(name for name, kind in KINDS.items() if kind.is_named)


def check(findings: Findings, volume: Volume, command: str) -> None:
    """Note what `volume` asks of its file system that cannot be done; `command` is the line's name."""
    kind = KINDS[volume.fstype]
    label, what = volume.label or "", f"{command} {volume.where}"
    if label and not kind.label:
        # Anaconda drops it as well: a partition of this kind has nothing that could hold one.
        findings.warn(
            volume.place, f'{command} {volume.where} --label="{label}": {volume.fstype} has no label'
        )
    elif len(label.encode()) > kind.label or re.search(r"[^\x21-\x7e]|[\"'\\]", label):
        findings.error(
            volume.place,
            f'{command} --label="{label}": not a label of {volume.fstype}',
            f"plain text of at most {kind.label} bytes",
        )
    if volume.fstype in ("vfat", "efi") and re.search(r'["*/:<>?\\|]', label):
        findings.error(volume.place, f'{command} --label="{label}": not a label of vfat', "use letters")
    check_mount_options(findings, volume.place, command, volume.fstype, volume.fsoptions or "")
    for message, hint in kind.refuse(volume.mkfsoptions):
        findings.error(volume.place, f"{what}: {message}", hint)


def check_mount_options(
    findings: Findings, place: Place | None, command: str, fstype: str, given: str
) -> None:
    """Note mount options that `fstype`, a kind or tmpfs, does not know."""
    if re.search(r"\s", given):
        findings.error(
            place, f'{command} --fsoptions="{given}": a blank would end the field in fstab', "write commas"
        )
    for option in given.split(","):
        name = option.partition("=")[0]
        theirs = [other for other, facts in KINDS.items() if name in facts.mounted]
        if fstype == TMPFS and name in _OF_TMPFS:
            continue
        if theirs and fstype not in theirs:
            findings.error(
                place,
                f"{command} --fsoptions={option}: {fstype} has no such mount option, {theirs[0]} has",
                "leave it out: the file system would not be mounted",
            )


def check_size(findings: Findings, volume: Volume, command: str) -> None:
    """Note a file system that is too small or too large to be made; sizes must be final."""
    kind = KINDS[volume.fstype]
    if volume.size < kind.least:
        findings.error(
            volume.place,
            f"{command} {volume.where}: {volume.size} MiB are too small for {volume.fstype}: "
            f"{kind.why_least}",
            f"use --size={kind.least} or more, or --fstype=ext4",
        )
    if kind.most is not None and volume.size > kind.most:
        findings.error(
            volume.place,
            f"{command} {volume.where}: {volume.size} MiB are too large for {volume.fstype}",
            f"use --size={kind.most} or less, or another --fstype",
        )
