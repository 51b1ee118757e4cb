# SPDX-License-Identifier: MIT
"""A small image that passes every check from outside, and ways to damage it.

Real file systems, a real partition table and a real rpm database with one package; only the boot loader
and the kernel are names without content, because nothing boots it.
"""

from __future__ import annotations

import dataclasses
import json
import os
import struct
import uuid
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from builder.manifest import as_data, manifest_path
from builder.report import Report
from builder.runner import Runner
from builder.sizes import MIB
from tests.rig.fixture.rpmpackage import FileFlag, RpmFile, RpmPackage
from tests.rig.fixture.rpmwriter import write_rpm
from tests.support.efi import efi_program
from tests.support.manifests import MANIFEST, SETTINGS

SECTOR = 512
DISK = 32 * MIB
ESP_START, ESP_SIZE = 2 * MIB, 4 * MIB
ROOT_START, ROOT_SIZE = 6 * MIB, 25 * MIB
ROOT_UUID = "5b1d9a2e-7a55-4c5e-9f8a-1f2e3d4c5b6a"
ESP_UUID = "ABCD-1234"
TYPES = {
    "lvm": "E6D6D379-F507-44C2-A23C-238F2A3DF928",
    "biosboot": "21686148-6449-6E6F-744E-656564454649",
    "efi": "C12A7328-F81F-11D2-BA4B-00A0C93EC93B",
    "linux": "4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709",
    "swap": "0657FD6D-A4AB-43C4-84E5-0933C84B4F4F",
}
ARGUMENTS = f"root=UUID={ROOT_UUID} ro console=tty1 console=ttyS0,115200n8 net.ifnames=0"
TOOL = b"#!/bin/sh\necho a tool\n"

RUNNER = Runner(Report(quiet=True))

FILES = {
    "/etc/passwd": "root:x:0:0:root:/root:/bin/bash\nbin:x:1:1:bin:/bin:/sbin/nologin\n",
    "/etc/shadow": "root:!:19000:0:99999:7:::\nbin:*:19000:0:99999:7:::\n",
    "/etc/fstab": f"UUID={ROOT_UUID} / ext4 defaults 0 1\nUUID={ESP_UUID} /boot/efi vfat umask=0077 0 2\n",
    "/etc/machine-id": "",
    "/etc/locale.conf": "LANG=C.UTF-8\n",
    "/etc/vconsole.conf": 'KEYMAP="us"\n',
    "/usr/share/zoneinfo/Etc/UTC": "TZif2",
    "/etc/ssh/sshd_config": "PermitRootLogin no\n",
    "/etc/lvm/lvm.conf": "",
    "/etc/selinux/config": "SELINUX=enforcing\nSELINUXTYPE=targeted\n",
    "/etc/selinux/targeted/contexts/files/file_contexts": "/.* <<none>>\n"
    "/etc(/.*)? system_u:object_r:etc_t:s0\n/lost\\+found -d system_u:object_r:lost_found_t:s0\n",
    "/etc/yum.repos.d/os.repo": "[os]\ngpgkey=file:///etc/pki/rpm-gpg/RPM-GPG-KEY-os\n",
    "/etc/pki/rpm-gpg/RPM-GPG-KEY-os": "a key\n",
    "/etc/cloud/cloud.cfg": "disable_root: true\nsystem_info:\n  default_user: {name: fedora}\n",
    "/etc/cloud/cloud.cfg.d/90_jeos.cfg": (
        "datasource_list: [OpenStack, ConfigDrive, Ec2, NoCloud]\n"
        "system_info:\n  default_user: {name: ec2-user}\n"
    ),
    "/usr/bin/cloud-init": "#!/usr/bin/python3\n",
    "/usr/bin/growpart": "#!/bin/sh\n",
    "/usr/sbin/resize2fs": "",
    "/usr/lib/systemd/system/ssh.service": "[Install]\nAlias=sshd.service\n",
    "/usr/lib/systemd/system/cups.service": "[Install]\n",
    "/boot/grub2/grub.cfg": f"set timeout=0\nlinux /boot/vmlinuz {ARGUMENTS}\n",
    "/boot/loader/entries/one.conf": f"title One\nlinux /boot/vmlinuz-6.1.0\noptions {ARGUMENTS}\n",
    "/boot/vmlinuz-6.1.0": efi_program().decode(),
    "/usr/lib/modules/6.1.0/modules.dep": (
        "kernel/drivers/block/virtio_blk.ko.xz:\nkernel/drivers/scsi/virtio_scsi.ko:\n"
        "kernel/drivers/nvme/host/nvme.ko: kernel/drivers/nvme/host/nvme-core.ko\n"
    ),
    "/usr/lib/modules/6.1.0/modules.builtin": "kernel/drivers/virtio/virtio_pci.ko\n",
    "/root/.bashrc": "",
    "/var/log/lastlog": "",
}
LINKS = {
    "/etc/resolv.conf": "../run/systemd/resolve/stub-resolv.conf",
    "/etc/localtime": "../usr/share/zoneinfo/Etc/UTC",
    "/etc/systemd/system/multi-user.target.wants/ssh.service": "/usr/lib/systemd/system/ssh.service",
    **{
        f"/etc/systemd/system/cloud-init.target.wants/{name}.service": f"/usr/lib/{name}.service"
        for name in ("cloud-init-local", "cloud-init", "cloud-config", "cloud-final")
    },
}
FOLDERS = ("/tmp", "/var/tmp", "/boot/efi", "/var/cache/dnf", "/root", "/proc", "/run", "/var/lib/rpm")
DRIVERS = ("virtio_blk.ko.xz", "virtio_scsi.ko", "nvme.ko")


@dataclass
class SmallImage:
    """A raw disk in a folder of its own, with the manifest that will be next to it."""

    disk: Path
    manifest: dict[str, Any] = field(default_factory=dict)
    # Those that are there: debugfs makes a second folder of a name, and leaks it.
    folders: set[str] = field(default_factory=lambda: set(all_folders()))

    @property
    def root(self) -> str:
        """The root file system as debugfs takes it."""
        return f"{self.disk}?offset={ROOT_START}"

    def copy(self, folder: Path) -> SmallImage:
        """Return a copy in `folder`."""
        folder.mkdir(parents=True, exist_ok=True)
        disk = folder / self.disk.name
        RUNNER.run(["cp", "--sparse=always", self.disk, disk])
        return SmallImage(disk=disk, manifest=json.loads(json.dumps(self.manifest)))

    def debug(self, *commands: str) -> None:
        """Run debugfs commands on the root file system, writing."""
        script = self.disk.with_suffix(".debugfs")
        script.write_text("\n".join(commands) + "\n", encoding="utf-8")
        RUNNER.run(["debugfs", "-w", "-f", script, self.root])

    def put(self, path: str, content: str) -> None:
        """Write a file into the root file system, its folders too."""
        source = self.disk.with_suffix(".content")
        source.write_text(content, encoding="utf-8")
        parent, name = os.path.split(path)
        missing = [step for step in parents(path) if step not in self.folders]
        self.folders.update(missing)
        made = [f"mkdir {step}" for step in missing]
        self.debug(*made, f"cd {parent}", f"rm {name}", f"write {source} {name}")

    def remove(self, *paths: str) -> None:
        """Remove files from the root file system."""
        self.debug(*(f"rm {path}" for path in paths))

    def label(self, path: str, kind: str) -> None:
        """Give a file or folder a SELinux label."""
        self.debug(f'ea_set "{path}" security.selinux system_u:object_r:{kind}:s0')

    def link(self, path: str, target: str) -> None:
        """Make a symbolic link in the root file system."""
        parent, name = os.path.split(path)
        self.debug(f"cd {parent}", f"rm {name}", f"symlink {name} {target}")

    def write(self, offset: int, data: bytes) -> None:
        """Write bytes to the disk; a negative offset counts from its end."""
        with self.disk.open("r+b") as file:
            file.seek(offset, os.SEEK_END if offset < 0 else os.SEEK_SET)
            file.write(data)

    def partition(self, *rows: tuple[str, int, int]) -> None:
        """Write a new partition table: (type, start, size) in bytes."""
        write_table(self.disk, rows)

    def finish(self, *, convert: bool = False) -> Path:
        """Write manifest and checksums next to the image and return its path (qcow2 with `convert`)."""
        image = self.disk
        if convert:
            image = self.disk.with_suffix(".qcow2")
            RUNNER.run(["qemu-img", "convert", "-O", "qcow2", self.disk, image])
        digest = RUNNER.run(["sha256sum", image]).stdout.split()[0]
        self.manifest["artifact"]["path"] = image.name
        self.manifest["artifact"].setdefault("sha256", digest)
        manifest_path(image).write_text(json.dumps(self.manifest), encoding="utf-8")
        image.with_name("SHA256SUMS").write_text(f"{digest}  {image.name}\n", encoding="utf-8")
        return image


def parents(path: str) -> list[str]:
    """Return the folders above `path`, the outermost first."""
    return [str(parent) for parent in reversed(PurePosixPath(path).parents) if str(parent) != "/"]


def all_folders() -> Iterator[str]:
    """Yield every folder of the image that passes."""
    yield from FOLDERS
    for path in (*FILES, *LINKS, *FOLDERS):
        yield from parents(path)


def make_small_image(folder: Path) -> SmallImage:
    """Make the image that passes."""
    tree = folder / "tree"
    for path in FOLDERS:
        (tree / path[1:]).mkdir(parents=True, exist_ok=True)
    for path, content in FILES.items():
        target = tree / path[1:]
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(content, encoding="utf-8")
    for path, goal in LINKS.items():
        target = tree / path[1:]
        target.parent.mkdir(parents=True, exist_ok=True)
        target.symlink_to(goal)
    (tree / "usr/bin/tool").write_bytes(TOOL)
    (tree / "boot/initramfs-6.1.0.img").write_bytes(make_initramfs(DRIVERS))
    install_package(folder, tree / "var/lib/rpm")
    disk = folder / "small.raw"
    with disk.open("wb") as file:
        file.truncate(DISK)
    write_table(disk, standard_rows())
    options = ["-t", "ext4", "-L", "root", "-U", ROOT_UUID, "-E", f"offset={ROOT_START},root_owner=0:0"]
    RUNNER.run(["mke2fs", "-q", "-F", *options, "-d", tree, disk, f"{ROOT_SIZE // 1024}k"])
    _write_esp(folder, disk)
    image = SmallImage(disk=disk, manifest=standard_manifest())
    image.write(0, b"\xeb\x63\x90 boot code")
    labelled = ["/etc", *(f"/{path.relative_to(tree)}" for path in sorted((tree / "etc").rglob("*")))]
    for path in labelled:
        image.label(path, "etc_t")
    image.label("/lost+found", "lost_found_t")
    return image


def standard_rows() -> tuple[tuple[str, int, int], ...]:
    """The partitions of the image that passes."""
    return (("biosboot", MIB, MIB), ("efi", ESP_START, ESP_SIZE), ("linux", ROOT_START, ROOT_SIZE))


def standard_manifest() -> dict[str, Any]:
    """The manifest of the image that passes."""
    rows = zip(
        standard_rows(),
        ((None, "biosboot", None), ("/boot/efi", "vfat", ESP_UUID), ("/", "ext4", ROOT_UUID)),
        strict=True,
    )
    return as_data(MANIFEST) | {
        "name": "small",
        "virtual_size": DISK,
        "partitions": [
            {
                "number": number,
                "mountpoint": point,
                "fstype": kind,
                "uuid": value,
                "partuuid": "",
                "label": None,
                "start": start,
                "size": size,
            }
            for number, ((_, start, size), (point, kind, value)) in enumerate(rows, 1)
        ],
        "packages": [package_entry("tool-1.0-1.noarch")],
        "settings": dataclasses.asdict(SETTINGS) | {"users": []},
        # Its digest is written when the image is finished.
        "artifact": {"path": "small.raw", "size": DISK, "sha512": "", "md5": ""},
    }


def package_entry(nevra: str) -> dict[str, Any]:
    """A package of the manifest."""
    return {"nevra": nevra, "name": nevra.rsplit("-", 2)[0], "sha256": None, "size": 1}


def install_package(folder: Path, database: Path, name: str = "tool") -> None:
    """Enter a package with one tool and one configuration file into an rpm database."""
    files = (
        RpmFile(path=f"/usr/bin/{name}", mode=0o755, data=TOOL),
        RpmFile(path="/etc/ssh/sshd_config", data=b"as packaged\n", flags=FileFlag.CONFIG),
        RpmFile(path="/root/.bashrc"),
    )
    package = folder / f"{name}.rpm"
    made = RpmPackage(name=name, version="1.0", release="1", summary=name, files=files)
    package.write_bytes(write_rpm(made))
    options = ["--justdb", "--nodeps", "--nosignature", "--noscripts"]
    RUNNER.run(["rpm", "--dbpath", database, "-i", *options, package])
    for leftover in (".rpm.lock", "rpmdb.sqlite-shm", "rpmdb.sqlite-wal"):
        (database / leftover).unlink(missing_ok=True)


def make_initramfs(names: Iterable[str]) -> bytes:
    """Return an uncompressed cpio archive (newc) of empty files."""
    archive = b""
    for name in (*(f"usr/lib/modules/6.1.0/{name}" for name in names), "TRAILER!!!"):
        numbers = (1, 0o100644, 0, 0, 1, 0, 0, 0, 0, 0, 0, len(name) + 1, 0)
        fields = "".join(f"{number:08x}" for number in numbers)
        entry = b"070701" + fields.encode() + name.encode() + b"\0"
        archive += entry + bytes(-len(entry) % 4)
    return archive


def write_table(disk: Path, rows: Iterable[tuple[str, int, int]]) -> None:
    """Write a GPT with sfdisk."""
    lines = ["label: gpt"] + [
        f"start={start // SECTOR},size={size // SECTOR},type={TYPES[kind]}" for kind, start, size in rows
    ]
    RUNNER.run(["sfdisk", "-q", "--no-reread", "--no-tell-kernel", disk], input="\n".join(lines) + "\n")


def replace_loader(image: SmallImage, program: bytes) -> None:
    """Put another program at the path that UEFI firmware falls back to."""
    source = image.disk.with_suffix(".efi")
    source.write_bytes(program)
    RUNNER.run(["mcopy", "-o", "-i", f"{image.disk}@@{ESP_START}", source, "::/EFI/BOOT/BOOTX64.EFI"])


def _write_esp(folder: Path, disk: Path) -> None:
    esp, loader = folder / "esp.img", folder / "BOOTX64.EFI"
    with esp.open("wb") as file:
        file.truncate(ESP_SIZE)
    loader.write_bytes(efi_program())
    RUNNER.run(["mkfs.vfat", "-n", "ESP", "-i", ESP_UUID.replace("-", ""), esp])
    RUNNER.run(["mmd", "-i", esp, "::/EFI", "::/EFI/BOOT"])
    RUNNER.run(["mcopy", "-i", esp, loader, "::/EFI/BOOT/BOOTX64.EFI"])
    with disk.open("r+b") as file:
        file.seek(ESP_START)
        file.write(esp.read_bytes())


def move_backup_header(image: SmallImage, sector: int) -> None:
    """Make the primary GPT header say that the backup is in `sector`, its checksum right."""
    with image.disk.open("r+b") as file:
        file.seek(SECTOR)
        header = bytearray(file.read(92))
        struct.pack_into("<Q", header, 32, sector)
        struct.pack_into("<I", header, 16, 0)
        struct.pack_into("<I", header, 16, zlib.crc32(header))
        file.seek(SECTOR)
        file.write(header)


def other_uuid() -> str:
    """A UUID that no file system has."""
    return str(uuid.UUID(int=1))
