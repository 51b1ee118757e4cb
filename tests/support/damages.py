# SPDX-License-Identifier: MIT
"""Ways to damage the small image, each with the check that must find it: the table of test_outside.py."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from builder.sizes import MIB
from tests.support import small_image
from tests.support.efi import efi_program
from tests.support.small_image import ROOT_SIZE, ROOT_START, ROOT_UUID, RUNNER, SmallImage

HOST = "buildhost17"


@dataclass(frozen=True, slots=True)
class Damage:
    """Something done to an image. Damages of different files and checks go into one image together."""

    do: Callable[[SmallImage], None]
    path: str | None = None

    def __call__(self, image: SmallImage) -> None:
        self.do(image)


CONTEXTS = "/etc/selinux/targeted/contexts/files/file_contexts"


def _put(path: str, content: str) -> Damage:
    return Damage(lambda image: image.put(path, content), path)


def _remove(path: str) -> Damage:
    return Damage(lambda image: image.remove(path), path)


def _link(path: str, target: str) -> Damage:
    return Damage(lambda image: image.link(path, target), path)


def _shadow(root: str, *others: str) -> Damage:
    return _put("/etc/shadow", "".join(f"{line}:19000:0:99999:7:::\n" for line in (f"root:{root}", *others)))


def _setting(name: str, value: object) -> Damage:
    def damage(image: SmallImage) -> None:
        image.manifest["settings"][name] = value

    return Damage(damage, f"settings.{name}")


def _backup_gone(image: SmallImage) -> None:
    image.write(-512, bytes(512))


def _disk_enlarged(image: SmallImage) -> None:
    with image.disk.open("r+b") as file:
        file.truncate(small_image.DISK + 100 * MIB)


def _swap_last(image: SmallImage) -> None:
    rows = small_image.standard_rows()[:2]
    image.partition(
        *rows, ("linux", ROOT_START, ROOT_SIZE - 4 * MIB), ("swap", ROOT_START + ROOT_SIZE - 4 * MIB, 4 * MIB)
    )


def _volume_without_label(image: SmallImage) -> None:
    rows = small_image.standard_rows()[:2]
    image.partition(
        *rows, ("lvm", ROOT_START + ROOT_SIZE - 4 * MIB, 4 * MIB), ("linux", ROOT_START, ROOT_SIZE - 4 * MIB)
    )


def _overlapping(image: SmallImage) -> None:
    # sfdisk refuses to write this: the entry is changed by hand, the checksums are left wrong.
    image.write(1024 + 128 + 40, (ROOT_START // 512 + 100).to_bytes(8, "little"))


def _dirty(image: SmallImage) -> None:
    image.debug("ssv state 0")


def wrong_link_count(image: SmallImage) -> None:
    image.debug("sif /etc/fstab links_count 9")


def _bad_fat(image: SmallImage) -> None:
    # Two clusters of the chain of nothing: fsck.vfat finds them unlinked. The FAT begins in sector 1.
    image.write(small_image.ESP_START + 4 * 512 + 60, b"\xff\x0f" * 8)


def _needs_recovery(image: SmallImage) -> None:
    image.debug("feature needs_recovery")


def _deleted_data(image: SmallImage) -> None:
    source = image.disk.with_suffix(".secret")
    source.write_bytes(b"a deleted secret" * (3 * MIB // 16))
    image.debug("cd /var", f"write {source} secret")
    image.debug("rm /var/secret")


def _second_package(image: SmallImage) -> None:
    image.manifest["packages"].append(small_image.package_entry("other-2.0-1.noarch"))


def _package_too_many(image: SmallImage) -> None:
    image.manifest["packages"].clear()


def _damaged_database(image: SmallImage) -> None:
    folder = image.disk.parent
    RUNNER.run(["debugfs", "-R", f'dump /var/lib/rpm/rpmdb.sqlite "{folder / "db"}"', image.root])
    raw = bytearray((folder / "db").read_bytes())
    raw[4096 * 2 : 4096 * 4] = b"\x5a" * 8192
    (folder / "db").write_bytes(raw)
    image.debug("cd /var/lib/rpm", "rm rpmdb.sqlite", f"write {folder / 'db'} rpmdb.sqlite")


def _planned_elsewhere(image: SmallImage) -> None:
    image.manifest["partitions"][2]["start"] += MIB


def _planned_uuid(image: SmallImage) -> None:
    image.manifest["partitions"][2]["uuid"] = small_image.other_uuid()


def _planned_size(image: SmallImage) -> None:
    image.manifest["virtual_size"] = small_image.DISK + MIB


def _odd_size(image: SmallImage) -> None:
    with image.disk.open("r+b") as file:
        file.truncate(small_image.DISK + 512)


def _no_esp_loader(image: SmallImage) -> None:
    RUNNER.run(["mdel", "-i", f"{image.disk}@@{small_image.ESP_START}", "::/EFI/BOOT/BOOTX64.EFI"])


def _initramfs_of_one_machine(image: SmallImage) -> None:
    source = image.disk.with_suffix(".cpio")
    source.write_bytes(small_image.make_initramfs(("virtio_blk.ko.xz",)))
    image.debug("cd /boot", "rm initramfs-6.1.0.img", f"write {source} initramfs-6.1.0.img")


def _wrong_digest(image: SmallImage) -> None:
    image.manifest["artifact"]["sha256"] = "0" * 64


def _wrong_default_user(image: SmallImage) -> None:
    image.manifest["default_user"] = "rocky"


def _no_initramfs(image: SmallImage) -> None:
    image.remove("/boot/initramfs-6.1.0.img")


def _other_name(image: SmallImage) -> None:
    image.manifest["settings"]["hostname"] = "web"
    image.put("/etc/hostname", "db\n")


FSTAB = f"UUID={ROOT_UUID} / ext4 defaults 0 1\n"
ENTRY = "/boot/loader/entries/one.conf"
WANTS = "/etc/systemd/system/multi-user.target.wants"

# id, check, damage, a piece of the reason
Row: TypeAlias = tuple[str, str, Damage | Callable[[SmallImage], None], str]

DAMAGES: tuple[Row, ...] = (
    ("odd size", "size-aligned", _odd_size, "whole number of MiB"),
    ("size of another plan", "size-aligned", _planned_size, "the manifest says"),
    ("other sha256", "checksums", _wrong_digest, "manifest says sha256"),
    ("backup GPT header missing", "partition-table", _backup_gone, "backup GPT header is missing"),
    ("backup GPT header not at the end", "partition-table", _disk_enlarged, "the disk ends with sector"),
    (
        "backup GPT header elsewhere",
        "partition-table",
        lambda image: small_image.move_backup_header(image, 4000),
        "says the backup is in sector 4000",
    ),
    ("no table", "partition-table", lambda image: image.write(0, bytes(1024)), "no partition table"),
    ("entries damaged", "partition-table", _overlapping, "wrong checksum"),
    ("swap last", "root-last", _swap_last, "is after the root"),
    ("root does not reach the end", "root-last", _disk_enlarged, "are not used"),
    ("volume group without a label", "volumes", _volume_without_label, "no LVM label found"),
    ("swap partition", "no-swap", _swap_last, "is swap"),
    ("swap in fstab", "no-swap", _put("/etc/fstab", FSTAB + "/swapfile none swap sw 0 0\n"), "/swapfile"),
    ("moved partition", "partitions-as-manifest", _planned_elsewhere, "is elsewhere"),
    ("other uuid", "partitions-as-manifest", _planned_uuid, "has UUID"),
    ("not cleanly unmounted", "file-systems-clean", _dirty, "partition 3"),
    ("wrong link count", "file-systems-clean", wrong_link_count, "partition 3"),
    ("journal not replayed", "file-systems-clean", _needs_recovery, "partition 3"),
    ("damaged fat", "file-systems-clean", _bad_fat, "partition 2"),
    (
        "wrong uuid",
        "fstab",
        _put("/etc/fstab", FSTAB.replace(ROOT_UUID, small_image.other_uuid())),
        "no file system is UUID=",
    ),
    ("by device", "fstab", _put("/etc/fstab", "/dev/sda3 / ext4 defaults 0 1\n"), "not by its UUID"),
    ("wrong type", "fstab", _put("/etc/fstab", FSTAB.replace("ext4", "xfs")), "fstab says xfs"),
    ("wrong pass number", "fstab", _put("/etc/fstab", FSTAB.replace("0 1", "0 2")), "pass number 2"),
    ("empty", "fstab", _put("/etc/fstab", "# nothing\n"), "no entry"),
    ("no boot code", "boot-files", lambda image: image.write(0, bytes(440)), "no boot code"),
    ("no EFI loader", "boot-files", _no_esp_loader, "no EFI/BOOT/BOOTX64.EFI"),
    # Alone: where fstab is damaged, nothing is seen of the EFI partition.
    (
        "unsigned kernel",
        "boot-signed",
        lambda image: image.put("/boot/vmlinuz-6.1.0", efi_program(signatures=0).decode()),
        "/boot/vmlinuz-6.1.0 is not signed",
    ),
    (
        "kernel of another kind",
        "boot-signed",
        lambda image: image.put("/boot/vmlinuz-6.1.0", "\x7fELF"),
        "is not an EFI program",
    ),
    ("host-only", "initramfs-generic", _initramfs_of_one_machine, "virtio_scsi is not in"),
    ("no initramfs", "initramfs-generic", _no_initramfs, "no initramfs"),
    ("deleted data", "free-space-zero", _deleted_data, "deleted data"),
    ("password", "root-locked", _shadow("$6$salt$hash"), "has a password"),
    ("empty password", "root-locked", _shadow(""), "empty password"),
    ("locked as a word", "root-locked", _shadow("locked"), "locks nothing"),
    ("no root", "root-locked", _put("/etc/shadow", "bin:*:1::::::\n"), "not in /etc/shadow"),
    ("user without password", "no-passwords", _shadow("!", "eve:"), "eve has an empty"),
    ("user with a password", "no-passwords", _shadow("!", "eve:$y$j9T$x$y"), "eve has a password"),
    (
        "second root",
        "no-passwords",
        _put("/etc/passwd", "root:x:0:0::/root:/bin/sh\ntoor:x:0:0::/root:/bin/sh\n"),
        "toor has uid 0",
    ),
    ("host key", "no-host-keys", _put("/etc/ssh/ssh_host_ed25519_key", "secret"), "ssh_host_ed25519_key"),
    (
        "a key of somebody",
        "no-authorized-keys",
        _put("/root/.ssh/authorized_keys", "ssh-ed25519 AAAA me\n"),
        "/root/.ssh/authorized_keys",
    ),
    ("set", "machine-id-empty", _put("/etc/machine-id", "0" * 31 + "1\n"), "/etc/machine-id is"),
    ("missing", "machine-id-empty", _remove("/etc/machine-id"), "not there"),
    ("of D-Bus", "machine-id-empty", _put("/var/lib/dbus/machine-id", "1" * 32), "an id of its own"),
    ("seed", "no-random-seed", _put("/var/lib/systemd/random-seed", "seed"), "random-seed"),
    ("builder's servers", "resolv-conf", _put("/etc/resolv.conf", "nameserver 10.0.0.1\n"), "nameserver"),
    (
        "udev rule",
        "no-fixed-network",
        _put("/etc/udev/rules.d/70-persistent-net.rules", 'ATTR{address}=="52:54:00:00:00:01"\n'),
        "70-persistent-net",
    ),
    (
        "connection with a MAC",
        "no-fixed-network",
        _put("/etc/NetworkManager/system-connections/a.nmconnection", "mac-address=52:54:00:00:00:01\n"),
        "bound to a MAC",
    ),
    ("name", "hostname-unset", _put("/etc/hostname", "buildhost\n"), "did not ask for"),
    (
        "another name",
        "hostname-unset",
        _other_name,
        "the kickstart says `web`",
    ),
    ("in a file", "no-builder-name", _put("/etc/issue", f"made on {HOST}\n"), "/etc/issue"),
    ("list of devices", "no-lvm-devices", _put("/etc/lvm/devices/system.devices", "x"), "system.devices"),
    ("in /tmp", "no-junk", _put("/tmp/left", "x"), "/tmp/left"),
    ("package cache", "no-junk", _put("/var/cache/dnf/os.solv", "x"), "os.solv"),
    ("log", "no-junk", _put("/var/log/dnf.log", "x"), "dnf.log"),
    ("kickstart", "no-junk", _put("/root/anaconda-ks.cfg", "rootpw x\n"), "anaconda-ks.cfg"),
    ("first boot done", "no-junk", _put("/var/lib/cloud/data/instance-id", "i-1"), "/var/lib/cloud/data"),
    ("damaged", "rpm-database", _damaged_database, "verifydb"),
    ("left by Berkeley DB", "rpm-database", _put("/var/lib/rpm/__db.001", "x"), "__db.001"),
    (
        "key file missing",
        "repository-keys",
        _remove("/etc/pki/rpm-gpg/RPM-GPG-KEY-os"),
        "RPM-GPG-KEY-os is not there",
    ),
    ("no key at all", "repository-keys", _remove("/etc/yum.repos.d/os.repo"), "no key"),
    ("package missing", "packages-as-manifest", _second_package, "other-2.0-1.noarch is not in the image"),
    ("package too many", "packages-as-manifest", _package_too_many, "tool-1.0-1.noarch is not in the man"),
    ("other content", "package-files", _put("/usr/bin/tool", "changed\n"), "other content"),
    ("missing", "package-files", _remove("/usr/bin/tool"), "/usr/bin/tool is missing"),
    ("no growpart", "grow-tools", _remove("/usr/bin/growpart"), "growpart is not installed"),
    ("no resize2fs", "grow-tools", _remove("/usr/sbin/resize2fs"), "resize2fs is not installed"),
    ("argument lost", "console-arguments", _put(ENTRY, "options console=ttyS0,115200n8\n"), "lacks console"),
    (
        "other order",
        "console-arguments",
        _put(ENTRY, "options net.ifnames=0 console=ttyS0,115200n8 console=tty1\n"),
        "one.conf has console=ttyS0",
    ),
    ("menu waits", "console-arguments", _put("/boot/grub2/grub.cfg", "set timeout=5\n"), "waits 5 s"),
    (
        "stage not enabled",
        "cloud-init-enabled",
        _remove("/etc/systemd/system/cloud-init.target.wants/cloud-final.service"),
        "cloud-final.service is not enabled",
    ),
    ("switched off", "cloud-init-enabled", _put("/etc/cloud/cloud-init.disabled", ""), "cloud-init.disabled"),
    (
        "source left out",
        "cloud-init-enabled",
        _put("/etc/cloud/cloud.cfg.d/99.cfg", "datasource_list: [NoCloud]\n"),
        "lacks OpenStack",
    ),
    ("another user", "cloud-user", _wrong_default_user, "the manifest says rocky"),
    ("root let in", "cloud-user", _put("/etc/cloud/cloud.cfg.d/99.cfg", "disable_root: false\n"), "root may"),
    ("not enabled", "services", _remove(f"{WANTS}/ssh.service"), "sshd is not enabled"),
    ("enabled", "services", _link(f"{WANTS}/cups.service", "x"), "cups is enabled"),
    ("other language", "locale", _put("/etc/locale.conf", "LANG=de_DE.UTF-8\n"), "LANG in"),
    ("other keymap", "locale", _put("/etc/vconsole.conf", "KEYMAP=de\n"), "KEYMAP in"),
    ("other time zone", "locale", _setting("timezone", "Europe/Berlin"), "not to Europe/Berlin"),
    ("zone not there", "locale", _remove("/usr/share/zoneinfo/Etc/UTC"), "a file that does not exist"),
    (
        "other label",
        "labels-as-policy",
        Damage(lambda image: image.label("/etc/selinux", "tmp_t"), CONTEXTS),
        "/etc/selinux is system_u:object_r:tmp_t:s0, not system_u:object_r:etc_t:s0",
    ),
    (
        "label of lost+found",
        "labels-as-policy",
        Damage(lambda image: image.label("/lost+found", "etc_t"), CONTEXTS),
        "/lost+found is system_u:object_r:etc_t:s0",
    ),
    (
        "device node without a label",
        "labels-as-policy",
        Damage(lambda image: image.debug("cd /etc", "mknod null c 1 3"), CONTEXTS),
        "/etc/null is without a label, not system_u:object_r:etc_t:s0",
    ),
    ("other mode", "selinux-settings", _put("/etc/selinux/config", "SELINUX=permissive\n"), "permissive"),
    (
        "no policy",
        "selinux-settings",
        _remove(CONTEXTS),
        "without a policy",
    ),
    ("relabelling waits", "selinux-settings", _put("/.autorelabel", ""), "/.autorelabel"),
)


def plan_rounds() -> list[list[int]]:
    """Return which rows of DAMAGES go into one image: damages of files, each its own check and file. What is
    done to the disk itself has an image alone."""
    rounds: list[list[int]] = []
    for number, (_, check, damage, _) in enumerate(DAMAGES):
        path = damage.path if isinstance(damage, Damage) else None
        for together in rounds:
            others = [DAMAGES[other] for other in together]
            paths = {row[2].path if isinstance(row[2], Damage) else None for row in others}
            checks = {row[1] for row in others}
            if path and None not in paths and path not in paths and check not in checks:
                together.append(number)
                break
        else:
            rounds.append([number])
    return rounds
