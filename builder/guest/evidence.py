# SPDX-License-Identifier: MIT
"""What the checks from outside look at: an image, taken apart without running anything of it.

Everything is read when first asked for, and once. The image itself is opened for reading only.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from builder.errors import CommandFailed
from builder.folders import remove_tree
from builder.formats import rpmquery
from builder.formats.diskimage import FORMATS, DiskImage, read_header
from builder.formats.partitions import PartitionTable, read_table
from builder.guest import filesystems
from builder.guest.filesystems import FoundFileSystem
from builder.guest.outcome import not_applicable, not_done
from builder.guest.settings import read_yaml
from builder.guest.tree import ImageTree
from builder.guest.volumes import Volumes, read_volumes
from builder.manifest import ImageManifest, PartitionEntry, VolumeEntry
from builder.room import run_apart
from builder.runner import Completed, Runner
from builder.versions import version_key

# RPMFILE_CONFIG, RPMFILE_DOC, RPMFILE_GHOST
_CONFIG, _DOC, _GHOST = 1, 2, 64

# Bytes that a look at an image leaves free.
ROOM_LEFT = 1 << 30

RPM_DATABASES = ("/usr/lib/sysimage/rpm", "/var/lib/rpm")


@dataclass(frozen=True, kw_only=True, slots=True)
class InstalledFile:
    """A file as a package brought it."""

    path: str
    sha256: str
    is_config: bool
    is_ghost: bool
    is_optional: bool  # documentation or one language's: rpm may be configured to omit it


@dataclass(frozen=True, kw_only=True, slots=True)
class FstabEntry:
    """A line of fstab(5)."""

    source: str
    point: str
    type: str
    options: tuple[str, ...]
    check_order: str


class ImageEvidence:
    """An image, taken apart in the folder `work`."""

    def __init__(
        self,
        runner: Runner,
        image: Path,
        manifest: ImageManifest | None,
        work: Path,
        *,
        secure_boot: bool = False,
    ) -> None:
        self.secure_boot = secure_boot  # whether it must boot where Secure Boot is on
        self.runner = runner
        self.image = image
        self.work = work
        self._manifest = manifest

    @property
    def manifest(self) -> ImageManifest:
        """The manifest, for checks that need one."""
        if self._manifest is None:
            raise not_applicable(f"there is no {self.image.stem}.manifest.json next to the image")
        return self._manifest

    @property
    def has_manifest(self) -> bool:
        """Whether there is a manifest."""
        return self._manifest is not None

    @cached_property
    def header(self) -> DiskImage:
        """What the file's own header says."""
        return read_header(self.image)

    @cached_property
    def info(self) -> dict[str, Any]:
        """What `qemu-img info` says; of an image that needs another file, what its header says."""
        return image_info(self.runner, self.image, self.header)

    @property
    def is_standalone(self) -> bool:
        """Whether the image needs no other file. If it does, nothing is read from it: the other file
        could be any of this host's."""
        return self.header.is_standalone

    @cached_property
    def disk(self) -> Path:
        """The disk's bytes as a sparse raw file."""
        if not self.is_standalone:
            raise not_done("the image needs another file, which is not opened")
        raw = self.work / "disk.raw"
        needed = self._measure()
        with raw.open("xb") as file:
            file.truncate(self.header.size)
        argv = ["qemu-img", "convert", "-n", "--target-is-zero", "-f", self.header.qemu, "-O", "raw"]
        run_apart(self.runner, [*argv, self.image, raw], readable=[self.image], writable=raw, room=needed)
        return raw

    def _measure(self) -> int:
        """Return how many bytes the raw disk takes, which may be a thousand times the image's size."""
        argv = ["qemu-img", "measure", "-f", self.header.qemu, "-O", "raw", "--output=json"]
        said = run_apart(self.runner, [*argv, self.image], readable=[self.image]).stdout
        needed, free = int(json.loads(said)["required"]), shutil.disk_usage(self.work).free
        if needed > free - ROOM_LEFT:
            raise not_done(f"its disk takes {needed >> 20} MiB, and {free >> 20} MiB are free")
        return needed

    @cached_property
    def table(self) -> PartitionTable:
        """The partition table."""
        return read_table(self.disk)

    @cached_property
    def filesystems(self) -> tuple[FoundFileSystem, ...]:
        """Every file system of a partition or a logical volume, in the order of the disk."""
        found = [filesystems.identify(self.runner, self.disk, entry) for entry in self.table.partitions]
        found += [
            filesystems.identify(self.runner, self.disk, volume.partition, volume)
            for volume in self.volumes.volumes
        ]
        return tuple(system for system in found if system is not None and system.type != "LVM2_member")

    @cached_property
    def volumes(self) -> Volumes:
        """The logical volumes of LVM."""
        return read_volumes(self.disk, self.table)

    @cached_property
    def complaints(self) -> dict[str, str]:
        """What the file systems' checkers complain of, by the names of the file systems."""
        found: dict[str, str] = {}
        for system in self.filesystems:
            if system.type in filesystems.CHECKED:
                said = filesystems.check(self.runner, self.disk, system, self.work)
                if said:
                    found[system.name] = said
        return found

    @cached_property
    def root(self) -> FoundFileSystem:
        """The root file system: the one with an fstab, by the manifest or the largest with Linux files."""
        for where, uuid in self._planned_mounts():
            if where == "/":
                for system in self.filesystems:
                    if system.uuid == uuid:
                        return system
        linux = [system for system in self.filesystems if system.type in filesystems.LINUX]
        if not linux:
            raise not_done("no file system of Linux was found on the disk")
        return max(linux, key=lambda system: system.size)

    def _planned_mounts(self) -> Iterator[tuple[str | None, str | None]]:
        """Yield (mount point, UUID) of what the manifest says."""
        for entry in self._planned():
            yield entry.mountpoint, entry.uuid
            for subvolume in entry.subvolumes:
                yield subvolume.mountpoint, entry.uuid

    def _planned(self) -> tuple[PartitionEntry | VolumeEntry, ...]:
        """Return the partitions and volumes that the manifest names."""
        return (*self._manifest.partitions, *self._manifest.volumes) if self._manifest else ()

    @cached_property
    def tree(self) -> ImageTree:
        """The files of the image: the root file system with fstab's mounted in their places."""
        tree = ImageTree(self._unpack(self.root, self._root_options()))
        for mount in sorted(self._mounts(tree), key=lambda mount: mount.point):
            system = self.find_source(mount.source)
            if system and mount.point != "/" and system.type in (*filesystems.LINUX, "vfat"):
                tree.put(mount.point, self._unpack(system, mount.options))
        return tree

    def _unpack(self, system: FoundFileSystem, options: tuple[str, ...]) -> Path:
        """Return the folder with the files of `system`, unpacked when first asked for.

        `options` of the mount matter where they choose a subvolume.
        """
        chosen = [word for word in options if word.startswith("subvol")] if system.type == "btrfs" else []
        folder = self.work / re.sub(r"[^A-Za-z0-9]+", "-", " ".join(["files", system.name, *chosen]))
        if system.name in self.complaints:
            raise not_done(f"the file system in {system.name} is damaged: {self.complaints[system.name]}")
        if not folder.exists():
            try:
                filesystems.unpack(self.runner, self.disk, system, folder, self.work, options)
            except CommandFailed as error:
                remove_tree(folder)
                self.complaints[system.name] = error.message
                raise not_done(f"{system.name}: {error.message}") from error
        return folder

    def _root_options(self) -> tuple[str, ...]:
        """Return the mount options that lead to the root inside its file system: a subvolume of btrfs."""
        if self.root.type != "btrfs":
            return ()
        for entry in self._planned():
            for subvolume in entry.subvolumes:
                if entry.uuid == self.root.uuid and subvolume.mountpoint == "/":
                    return (f"subvol={subvolume.path}",)
        return ()

    @cached_property
    def mounts(self) -> tuple[FstabEntry, ...]:
        """The lines of /etc/fstab."""
        return self._mounts(self.tree)

    @staticmethod
    def _mounts(tree: ImageTree) -> tuple[FstabEntry, ...]:
        rows = (line.split() for line in tree.lines("/etc/fstab"))
        return tuple(
            FstabEntry(
                source=row[0],
                point=row[1],
                type=row[2],
                options=tuple(row[3].split(",")) if len(row) > 3 else ("defaults",),
                check_order=row[5] if len(row) > 5 else "0",
            )
            for row in rows
            if len(row) >= 3
        )

    def find_source(self, source: str) -> FoundFileSystem | None:
        """Return the file system that fstab's first field means; None: there is none on the disk."""
        name, _, value = source.partition("=")
        value = value.strip('"')
        for system in self.filesystems:
            of_partition = None if system.volume else system.partition
            known = {
                "UUID": system.uuid,
                "LABEL": system.label,
                "PARTUUID": of_partition.uuid if of_partition else None,
                "PARTLABEL": (of_partition.name or None) if of_partition else None,
            }.get(name)
            if known and known.lower() == value.lower():
                return system
        return None

    @cached_property
    def database(self) -> str:
        """The folder of the rpm database inside the image."""
        for folder in RPM_DATABASES:
            names = self.tree.names(folder)
            if any(name in names for name in ("rpmdb.sqlite", "Packages", "Packages.db")):
                return folder
        raise not_applicable("the image has no rpm database")

    @cached_property
    def database_copy(self) -> Path:
        """A copy of the rpm database, in a folder of its own: rpm writes next to what it reads."""
        paths = [f"{self.database}/{name}" for name in self.tree.names(self.database)]
        content = {os.path.basename(path): self.tree.bytes(path) for path in paths if self.tree.is_file(path)}
        copy = self.work / "rpmdb"
        copy.mkdir(mode=0o700)
        for name, data in content.items():
            (copy / name).write_bytes(data)
        return copy

    def ask_rpm(self, program: str, *words: str, ok: Sequence[int] = (0,)) -> Completed:
        """Run rpm or rpmdb on our copy of the image's database."""
        copy = self.database_copy
        return run_apart(
            self.runner, [program, "--dbpath", copy, *words], writable=copy, room=ROOM_LEFT, ok=ok
        )

    def query(self, *parts: str, each: bool = False) -> Iterator[tuple[str, ...]]:
        """Yield the rows that rpm has for `parts` in the image's database (`rpmquery.row`)."""
        form = rpmquery.row(*parts, each=each)
        return rpmquery.rows(self.ask_rpm("rpm", "-qa", "--qf", form).stdout, len(parts))

    @cached_property
    def packages(self) -> dict[str, str]:
        """NEVRA -> name of every package but the keys."""
        rows = self.query(rpmquery.tag("NEVRA"), rpmquery.tag("NAME"))
        return {nevra: name for nevra, name in rows if name != "gpg-pubkey"}

    def has_package(self, *names: str) -> bool:
        """Whether a package of one of these names is installed."""
        return bool(set(names) & set(self.packages.values()))

    @cached_property
    def packaged_files(self) -> dict[str, InstalledFile]:
        """Every plain file of the packages, by path (flags: rpm's rpmfiles.h)."""
        numbers = map(rpmquery.other, ("%{FILEDIGESTS}", "%{FILEFLAGS}"))
        rows = self.query(rpmquery.tag("FILENAMES"), *numbers, rpmquery.tag("FILELANGS"), each=True)
        return {
            path: InstalledFile(
                path=path,
                sha256=digest,
                is_config=bool(int(flags) & _CONFIG),
                is_ghost=bool(int(flags) & _GHOST),
                is_optional=bool(int(flags) & _DOC) or bool(language),
            )
            for path, digest, flags, language in rows
            if digest
        }

    @cached_property
    def cloud_config(self) -> dict[str, Any]:
        """cloud-init's configuration: cloud.cfg with the drop-ins merged over it, in their order."""
        if not self.has_cloud_init:
            raise not_applicable("the image has no cloud-init")
        merged: dict[str, Any] = {}
        folder = "/etc/cloud/cloud.cfg.d"
        drop_ins = [f"{folder}/{name}" for name in self.tree.names(folder) if name.endswith(".cfg")]
        for path in ("/etc/cloud/cloud.cfg", *drop_ins):
            part = read_yaml(self.tree.text(path), path)
            if isinstance(part, dict):
                _merge(merged, part)
        return merged

    @property
    def has_cloud_init(self) -> bool:
        """Whether cloud-init is in the image."""
        return self.tree.is_file("/usr/bin/cloud-init") or self.tree.is_file("/etc/cloud/cloud.cfg")

    @cached_property
    def kernels(self) -> tuple[str, ...]:
        """The versions of the kernels that have modules, the oldest first."""
        return tuple(
            name
            for name in sorted(self.tree.names("/usr/lib/modules"), key=version_key)
            if self.tree.is_file(f"/usr/lib/modules/{name}/modules.dep")
        )

    def kernel_image(self) -> Path | None:
        """Return a kernel of the image on the host's disk; None: none was found."""
        for version in reversed(self.kernels):
            for path in (f"/boot/vmlinuz-{version}", f"/usr/lib/modules/{version}/vmlinuz"):
                if self.tree.is_file(path):
                    return self.tree.resolve(path)
        return None


def image_info(runner: Runner, image: Path, header: DiskImage) -> dict[str, Any]:
    """Return `qemu-img info` of the image alone, not of what it may name as its backing file."""
    if not header.is_standalone or header.format not in FORMATS:
        named = {"backing-filename": header.backing} if header.backing is not None else {}
        data = {"data-file": "another file"} if header.has_data_file else {}
        known = {"format": header.format, "virtual-size": header.size}
        return {**known, **named, "format-specific": {"data": data}}
    argv = ["qemu-img", "info", "-f", header.qemu, "--output=json"]
    info: dict[str, Any] = json.loads(run_apart(runner, [*argv, image], readable=[image]).stdout)
    return info | {"format": header.format}


def _merge(into: dict[str, Any], other: dict[str, Any]) -> None:
    """Merge as cloud-init does by default: mappings key by key, all else replaced."""
    for key, value in other.items():
        if isinstance(value, dict) and isinstance(into.get(key), dict):
            _merge(into[key], value)
        else:
            into[key] = value
