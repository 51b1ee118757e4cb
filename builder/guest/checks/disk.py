# SPDX-License-Identifier: MIT
"""Checks of the image as a disk: file format, partition table, file systems, boot loader."""

from __future__ import annotations

from builder import files, json_text
from builder.guest import initramfs, readers
from builder.guest.checks.authored import BY_SCRIPTS, is_by_scripts
from builder.guest.evidence import FstabEntry, ImageEvidence
from builder.guest.outcome import Check, Outcome, failed, judge_all, not_applicable, not_done, passed
from builder.guest.readers.ext import free_data
from builder.kickstart.disk.filesystems import EXT
from builder.room import run_apart
from builder.sizes import MIB

# Of which qemu-img can check more than that it opens them.
CHECKED = ("qcow2", "vmdk", "vhdx", "vdi")
FSTAB = "/etc/fstab"
# Drivers a guest may need to find its root, where the kernel has them at all (checklist row 6).
DRIVERS = ("virtio_pci", "virtio_blk", "virtio_scsi", "sd_mod", "ata_piix", "xen_blkfront", "nvme")


def _format_valid(evidence: ImageEvidence) -> Outcome:
    if evidence.header.format not in CHECKED:
        raise not_applicable(f"the image is {evidence.header.format}, of which qemu-img checks nothing")
    if not evidence.is_standalone:
        raise not_done("the image needs another file, which is not opened")
    # 0 clean, 1 could not be checked, 2 corrupt, 3 leaked clusters (qemu-img(1)).
    done = run_apart(
        evidence.runner,
        ["qemu-img", "check", "-f", evidence.header.qemu, "--output=json", evidence.image],
        readable=[evidence.image],
        ok=(),
    )
    try:
        report = json_text.parse(done.stdout)
    except ValueError:
        return failed(f"qemu-img check: {done.stderr.strip() or 'no answer'}")
    data = evidence.info.get("format-specific", {}).get("data", {})
    counts = {name: report.get(name, 0) for name in ("check-errors", "corruptions", "leaks")}
    problems = [f"{count} {name}" for name, count in counts.items() if count]
    problems += ["the dirty bit is set"] * bool(evidence.info.get("dirty-flag"))
    problems += ["the corrupt bit is set"] * bool(data.get("corrupt"))
    clusters = f"{report['allocated-clusters']} clusters, " if "allocated-clusters" in report else ""
    return judge_all(problems, f"{clusters}no error, no leak")


def _format_standalone(evidence: ImageEvidence) -> Outcome:
    data = evidence.info.get("format-specific", {}).get("data", {})
    problems = []
    if "backing-filename" in evidence.info:
        problems.append(f"it has a backing file: {evidence.info['backing-filename']}")
    if "data-file" in data:
        problems.append(f"it has an external data file: {data['data-file']}")
    if evidence.info.get("snapshots"):
        problems.append(f"it has {len(evidence.info['snapshots'])} internal snapshots")
    if evidence.info.get("encrypted"):
        problems.append("it is encrypted")
    return judge_all(problems, "no backing or data file, no snapshot")


def _size_aligned(evidence: ImageEvidence) -> Outcome:
    size = int(evidence.info["virtual-size"])
    if size % MIB:
        return failed(f"{size} bytes are not a whole number of MiB")
    if evidence.has_manifest and evidence.manifest.virtual_size != size:
        return failed(f"the manifest says {evidence.manifest.virtual_size} bytes, the image has {size}")
    return passed(f"{size // MIB} MiB")


def _checksums(evidence: ImageEvidence) -> Outcome:
    actual = files.sha256_file(evidence.image)
    problems, seen = [], []
    sums = evidence.image.with_name("SHA256SUMS")
    if sums.is_file():
        for line in sums.read_text(encoding="utf-8").splitlines():
            digest, _, name = line.partition(" ")
            path = sums.with_name(name.lstrip(" *"))
            if not path.is_file():
                problems.append(f"SHA256SUMS names {path.name}, which does not exist")
            elif files.sha256_file(path) != digest:
                problems.append(f"{path.name} is not what SHA256SUMS says")
            elif path.name == evidence.image.name:
                seen.append("SHA256SUMS")
        if not problems and not seen:
            problems.append("SHA256SUMS does not name the image")
    if evidence.has_manifest:
        seen.append("manifest")
        known = evidence.manifest.file_of(evidence.image.name)
        if known is None:
            problems.append("the manifest does not name the file")
        elif known.sha256 != actual:
            problems.append(f"the manifest says sha256 {known.sha256}, it is {actual}")
    if not (seen or problems):
        raise not_applicable("there is neither SHA256SUMS nor a manifest next to the image")
    return judge_all(problems, f"{actual[:16]}… as in {' and '.join(seen)}")


def _partition_table(evidence: ImageEvidence) -> Outcome:
    table = evidence.disk.table
    kinds = ", ".join(partition.kind for partition in table.partitions if "-" not in partition.kind)
    count = len(table.partitions)
    return judge_all(table.problems, f"{table.label}, {count} partitions" + (f" ({kinds})" if kinds else ""))


def _root_last(evidence: ImageEvidence) -> Outcome:
    root, last = evidence.root.partition, evidence.disk.table.partitions[-1]
    if last.number != root.number:
        return failed(f"partition {last.number} ({last.kind}) is after the root, {root.number}")
    size = evidence.disk.raw.stat().st_size
    slack = size - root.end
    if slack > 64 * MIB and _is_as_planned(evidence, root.number, root.start, root.size, size):
        return passed(
            f"partition {root.number} is the last; {slack // MIB} MiB are free after it, as planned"
        )
    if slack > 64 * MIB:
        return failed(f"{slack // MIB} MiB after the root partition are not used")
    return passed(f"partition {root.number}, {root.size // MIB} MiB, is the last")


def _is_as_planned(evidence: ImageEvidence, number: int, start: int, size: int, disk: int) -> bool:
    """Return whether disk and partition are as the manifest has them: the kickstart may leave room."""
    if not evidence.has_manifest or evidence.manifest.virtual_size != disk:
        return False
    planned = (one for one in evidence.manifest.partitions if one.number == number)
    return any((one.start, one.size) == (start, size) for one in planned)


def _no_swap(evidence: ImageEvidence) -> Outcome:
    wanted = evidence.has_manifest and (
        any(planned.fstype == "swap" for planned in evidence.manifest.partitions)
        or any(planned.fstype == "swap" for planned in evidence.manifest.volumes)
    )
    names = {f"partition {entry.number}" for entry in evidence.disk.table.partitions if entry.kind == "swap"}
    names |= {entry.name for entry in evidence.disk.filesystems if entry.type == "swap"}
    found = [f"{name} is swap" for name in sorted(names)]
    mounted = [f"fstab has swap on {mount.source}" for mount in evidence.mounts if mount.type == "swap"]
    if wanted:
        asked = [*found, *mounted]
        return passed("swap, as the kickstart asks") if asked else failed("the kickstart asks for swap")
    if mounted and is_by_scripts(evidence, FSTAB):
        return judge_all(found, f"{', '.join(mounted)}, {BY_SCRIPTS}")
    return judge_all([*found, *mounted], "none")


def _partitions_as_manifest(evidence: ImageEvidence) -> Outcome:
    actual = {entry.number: entry for entry in evidence.disk.table.partitions}
    systems = {entry.partition.number: entry for entry in evidence.disk.filesystems if not entry.volume}
    problems = _volumes_as_manifest(evidence)
    for planned in evidence.manifest.partitions:
        entry = actual.pop(planned.number, None)
        if entry is None:
            problems.append(f"partition {planned.number} is not on the disk")
            continue
        if (entry.start, entry.size) != (planned.start, planned.size):
            problems.append(f"partition {planned.number} is elsewhere, or has another size")
        system = systems.get(planned.number)
        if planned.uuid and (system is None or (system.uuid or "").lower() != planned.uuid.lower()):
            problems.append(f"partition {planned.number} has UUID {system.uuid if system else None}")
        if system and planned.fstype not in (system.type, "efi"):
            problems.append(f"partition {planned.number} is {system.type}, not {planned.fstype}")
    problems += [f"partition {number} is not in the manifest" for number in actual]
    return judge_all(problems, f"{len(evidence.manifest.partitions)} partitions")


def _volumes_as_manifest(evidence: ImageEvidence) -> list[str]:
    """Return where logical volumes differ from the manifest."""
    actual = {volume.name: volume for volume in evidence.disk.volumes.volumes}
    systems = {entry.volume: entry for entry in evidence.disk.filesystems if entry.volume}
    problems = []
    for planned in evidence.manifest.volumes:
        name = f"{planned.group}/{planned.name}"
        volume, system = actual.pop(name, None), systems.get(name)
        if volume is None:
            problems.append(f"volume {name} is not on the disk")
        elif sum(size for _, size in volume.pieces) != planned.size:
            problems.append(f"volume {name} has another size")
        elif planned.uuid and (system is None or (system.uuid or "").lower() != planned.uuid.lower()):
            problems.append(f"volume {name} has UUID {system.uuid if system else None}")
    return problems + [f"volume {name} is not in the manifest" for name in actual]


def _volumes(evidence: ImageEvidence) -> Outcome:
    found = evidence.disk.volumes
    return judge_all(list(found.problems), ", ".join(volume.name for volume in found.volumes) or "none")


def _file_systems_clean(evidence: ImageEvidence) -> Outcome:
    if not evidence.disk.filesystems:
        raise not_done("no file system was found on the disk")
    problems = [f"{name}: {said}" for name, said in evidence.disk.complaints.items()]
    strange = [
        system
        for system in evidence.disk.filesystems
        if not readers.is_read(system.type) and system.type != "swap"
    ]
    if strange and not problems:
        names = ", ".join(f"{system.type} in {system.name}" for system in strange)
        raise not_done(f"no checker works without a device: {names}")
    clean = ", ".join(f"{system.type} in {system.name}" for system in evidence.disk.filesystems)
    return judge_all(problems, clean)


def _fstab(evidence: ImageEvidence) -> Outcome:
    by_scripts = is_by_scripts(evidence, FSTAB)
    if not evidence.mounts:
        if by_scripts:
            return passed(f"no entry, {BY_SCRIPTS}")
        return failed("/etc/fstab has no entry")
    problems, others = [], []
    for mount in evidence.mounts:
        if not mount.source.startswith(("UUID=", "LABEL=", "PARTUUID=", "/dev/")):
            continue  # tmpfs, proc and the like
        if by_scripts and mount.point != "/" and not _is_planned(evidence, mount):
            others.append(f"{mount.source} on {mount.point}")
            continue
        if not mount.source.startswith("UUID=") and not by_scripts:
            problems.append(f"{mount.point} is mounted by {mount.source}, not by its UUID")
        system = evidence.disk.find_source(mount.source)
        if system is None:
            problems.append(f"{mount.point}: no file system is {mount.source}")
        elif mount.type not in (system.type, "auto"):
            problems.append(f"{mount.point} is {system.type}, fstab says {mount.type}")
        elif mount.point == "/" and system is not evidence.root:
            problems.append("/ is not the root file system")
        # xfs and btrfs are never checked at boot (fsck.xfs(8)); ext wants 1 for /, 2 for others.
        expected = {"ext2", "ext3", "ext4"} & {mount.type} and ("1" if mount.point == "/" else "2")
        if expected and mount.check_order not in (expected, "0") and not by_scripts:
            problems.append(f"{mount.point}: pass number {mount.check_order}, not {expected}")
    if "/" not in {mount.point for mount in evidence.mounts} and not by_scripts:
        problems.append("/ is not in fstab")
    if by_scripts:
        more = f": {', '.join(others)}" if others else ""
        return judge_all(problems, f"{len(evidence.mounts)} entries, changed {BY_SCRIPTS}{more}")
    return judge_all(problems, f"{len(evidence.mounts)} entries, by UUID, all found")


def _is_planned(evidence: ImageEvidence, mount: FstabEntry) -> bool:
    """Return whether a line of fstab is of a file system that the kickstart planned, at its UUID."""
    manifest = evidence.manifest
    known = {one.uuid for one in manifest.partitions} | {one.uuid for one in manifest.volumes}
    return mount.source.removeprefix("UUID=").lower() in {uuid.lower() for uuid in known if uuid}


def _boot_files(evidence: ImageEvidence) -> Outcome:
    firmware = evidence.manifest.firmware if evidence.has_manifest else ("bios", "uefi")
    problems, good = [], []
    if "bios" in firmware:
        if not evidence.disk.table.has_boot_code:
            problems.append("bios: there is no boot code in the first sector")
        elif evidence.disk.table.label == "gpt" and all(
            entry.kind != "biosboot" for entry in evidence.disk.table.partitions
        ):
            problems.append("bios: a GPT disk without a biosboot partition")
        else:
            good.append("boot code in the first sector")
    if "uefi" in firmware:
        esp = next((entry for entry in evidence.disk.table.partitions if entry.kind == "efi"), None)
        names = {name.lower() for name in evidence.tree.files("/boot/efi")}
        if esp is None:
            problems.append("uefi: there is no EFI system partition")
        elif "/boot/efi/efi/boot/bootx64.efi" not in names:
            problems.append("uefi: no EFI/BOOT/BOOTX64.EFI on the EFI system partition")
        else:
            good.append("EFI/BOOT/BOOTX64.EFI")
    return judge_all(problems, ", ".join(good))


def _initramfs_generic(evidence: ImageEvidence) -> Outcome:
    if not evidence.kernels:
        raise not_applicable("the image has no kernel")
    version = evidence.kernels[-1]
    modules = f"/usr/lib/modules/{version}"
    loadable = {_module_name(line.split(":")[0]) for line in evidence.tree.lines(f"{modules}/modules.dep")}
    builtin = {_module_name(line) for line in evidence.tree.lines(f"{modules}/modules.builtin")}
    places = (f"/boot/initramfs-{version}.img", f"/boot/initrd.img-{version}", f"{modules}/initrd")
    path = next((path for path in places if evidence.tree.is_file(path)), None)
    if path is None:
        return failed(f"no initramfs for kernel {version}")
    names = initramfs.read_names(evidence.runner, evidence.tree.bytes(path), evidence.work)
    inside = {_module_name(name) for name in names if ".ko" in name}
    drivers = (*DRIVERS, _module_name(evidence.root.type), *(("dm_mod",) if evidence.root.volume else ()))
    wanted = [name for name in drivers if name in loadable or name in builtin]
    if not wanted:
        raise not_applicable(f"kernel {version} has none of {', '.join(DRIVERS)}")
    missing = [f"{name} is not in {path}" for name in wanted if name not in inside | builtin]
    if evidence.root.volume and not any(name.endswith("bin/lvm") for name in names):
        missing.append(f"lvm is not in {path}, and / is on {evidence.root.name}")
    return judge_all(missing, f"{', '.join(wanted)} are there")


def _module_name(path: str) -> str:
    return path.rsplit("/", 1)[-1].split(".ko")[0].replace("-", "_")


def _free_space(evidence: ImageEvidence) -> Outcome:
    problems, seen = [], 0
    allowed = max(MIB, int(evidence.image.stat().st_size * 0.03))
    for system in evidence.disk.filesystems:
        if system.type in EXT:
            dirty, free = free_data(evidence.runner, evidence.disk.raw, system)
            seen += free
            if dirty > allowed:
                number = system.partition.number
                problems.append(f"partition {number}: {dirty / MIB:.1f} MiB of deleted data in free blocks")
    if not seen and not problems:
        raise not_applicable("no ext file system on the disk")
    return judge_all(problems, f"{seen // MIB} MiB are free, all zero or next to it")


CHECKS: tuple[Check[ImageEvidence], ...] = (
    Check(
        id="format-valid",
        rows=(1,),
        explanation="qemu-img check finds no error or leak in the qcow2, no dirty or corrupt bit is set.",
        judge=_format_valid,
    ),
    Check(
        id="format-standalone",
        rows=(1,),
        explanation="No backing file, data file, snapshot or encryption: Glance refuses such images, "
        "and they could name files of the host.",
        judge=_format_standalone,
    ),
    Check(
        id="size-aligned",
        rows=(1,),
        explanation="The virtual size is a whole number of MiB, and the manifest's.",
        judge=_size_aligned,
    ),
    Check(
        id="checksums",
        rows=(27,),
        explanation="SHA256SUMS and the manifest have the sha256 that the file has.",
        judge=_checksums,
    ),
    Check(
        id="partition-table",
        rows=(2,),
        explanation="The table is sound: right checksums, GPT backup header in the last sector, "
        "no overlap, every partition on a MiB.",
        judge=_partition_table,
    ),
    Check(
        id="root-last",
        rows=(2,),
        explanation="The root partition is the last one, so that growpart can grow it, and reaches the end "
        "unless the plan leaves room.",
        judge=_root_last,
    ),
    Check(
        id="no-swap",
        rows=(2, 23),
        explanation="No swap on the disk or in fstab unless the kickstart or its scripts ask for it: "
        "clouds give swap by the flavor.",
        judge=_no_swap,
    ),
    Check(
        id="partitions-as-manifest",
        rows=(27,),
        explanation="Partitions, file systems and UUIDs are as in the manifest.",
        judge=_partitions_as_manifest,
    ),
    Check(
        id="file-systems-clean",
        rows=(22,),
        explanation="e2fsck -fn, xfs_repair -n, btrfs check and fsck.vfat -n find nothing; no journal of ext "
        "waits for recovery.",
        judge=_file_systems_clean,
    ),
    Check(
        id="volumes",
        rows=(29,),
        explanation="Labels and metadata of LVM have the right checksums, and every volume is on the disk.",
        judge=_volumes,
    ),
    Check(
        id="fstab",
        rows=(22,),
        explanation="fstab names file systems by UUID, every one is on the disk, type and pass number fit; "
        "what scripts changed must find the root.",
        judge=_fstab,
    ),
    Check(
        id="boot-files",
        rows=(4,),
        explanation="Boot code for BIOS; EFI/BOOT/BOOTX64.EFI, the path every UEFI falls back to.",
        judge=_boot_files,
    ),
    Check(
        id="initramfs-generic",
        rows=(6,),
        explanation="The initramfs holds the disk drivers of the clouds, not only one machine's, "
        "and what the root is on.",
        judge=_initramfs_generic,
    ),
    Check(
        id="free-space-zero",
        rows=(21,),
        explanation="Free blocks hold no deleted data: it costs size and may reveal secrets.",
        judge=_free_space,
    ),
)
