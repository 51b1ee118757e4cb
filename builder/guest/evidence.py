# SPDX-License-Identifier: MIT
"""What the checks from outside look at: an image, taken apart without running anything of it.

Everything is read when first asked for, and once. The image itself is opened for reading only.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from builder import json_text
from builder.errors import CommandFailed
from builder.folders import remove_tree
from builder.formats.diskimage import FORMATS, DiskImage, read_header
from builder.guest import readers
from builder.guest.cloudconfig import read_cloud_config, unknown_datasources
from builder.guest.filesystems import FoundFileSystem
from builder.guest.imagedisk import ImageDisk
from builder.guest.outcome import not_applicable, not_done
from builder.guest.rpmdatabase import RpmDatabase
from builder.guest.tree import ImageTree
from builder.manifest import ImageManifest, PartitionEntry, VolumeEntry
from builder.room import run_apart
from builder.runner import Runner
from builder.versions import version_key


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
    def changed(self) -> frozenset[str]:
        """The files and folders that scripts of the kickstart changed or made; none without a manifest."""
        return frozenset(self._manifest.settings.changed) if self._manifest else frozenset()

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
    def disk(self) -> ImageDisk:
        """The disk, for checks of it.

        Raises:
            CannotCheck: the image needs another file.
        """
        return ImageDisk(self.runner, self.image, self.header, self.work)

    @cached_property
    def root(self) -> FoundFileSystem:
        """The root file system: the one with an fstab, by the manifest or the largest with Linux files."""
        for where, uuid in self._planned_mounts():
            if where == "/":
                for system in self.disk.filesystems:
                    if system.uuid == uuid:
                        return system
        linux = [system for system in self.disk.filesystems if readers.has_labels(system.type)]
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
        tree = ImageTree(self._unpack(self.root, self.root_options))
        for mount in sorted(self._mounts(tree), key=lambda mount: mount.point):
            system = self.disk.find_source(mount.source)
            if system and mount.point != "/" and readers.is_read(system.type):
                tree.put(mount.point, self._unpack(system, mount.options))
        return tree

    def _unpack(self, system: FoundFileSystem, options: tuple[str, ...]) -> Path:
        """Return the folder with the files of `system`, unpacked when first asked for.

        `options` of the mount matter where they choose a subvolume.
        """
        chosen = [word for word in options if word.startswith("subvol")] if system.type == "btrfs" else []
        folder = self.work / re.sub(r"[^A-Za-z0-9]+", "-", " ".join(["files", system.name, *chosen]))
        if system.name in self.disk.complaints:
            raise not_done(
                f"the file system in {system.name} is damaged: {self.disk.complaints[system.name]}"
            )
        if not folder.exists():
            try:
                readers.unpack(self.runner, self.disk.raw, system, folder, self.work, options)
            except BaseException as error:
                # Half of it must not be taken for all.
                if folder.exists():
                    remove_tree(folder)
                if not isinstance(error, CommandFailed):
                    raise
                self.disk.complaints[system.name] = error.message
                raise not_done(f"{system.name}: {error.message}") from error
        return folder

    @property
    def root_options(self) -> tuple[str, ...]:
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

    @cached_property
    def rpm(self) -> RpmDatabase:
        """The rpm database of the image."""
        return RpmDatabase(self.runner, self.tree, self.work)

    @cached_property
    def cloud_config(self) -> dict[str, Any]:
        """cloud-init's configuration."""
        return read_cloud_config(self.tree)

    @cached_property
    def unknown_datasources(self) -> tuple[str, ...]:
        """The names in datasource_list that the image's cloud-init has no module for."""
        return unknown_datasources(self.tree, self.cloud_config)

    @cached_property
    def scripted_cloud_config(self) -> dict[str, Any]:
        """What of cloud-init's configuration is in files that scripts of the kickstart wrote."""
        return read_cloud_config(self.tree, only=self.changed)

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
    info: dict[str, Any] = json_text.parse(run_apart(runner, [*argv, image], readable=[image]).stdout)
    return info | {"format": header.format}
