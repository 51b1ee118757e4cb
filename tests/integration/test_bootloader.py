# SPDX-License-Identifier: MIT
"""GRUB put into a disk file, started by real firmware.

The kernel here is a fake (a file of text): what is proven is that firmware finds GRUB, GRUB its modules,
its file system and the written grub.cfg. Whole guests are booted in tests/guest.
"""

from __future__ import annotations

import contextlib
import shutil
import struct
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from builder import tools
from builder.errors import BuildError, ToolMissing
from builder.guest.firmware import FirmwareKind, copy_variables, find_firmware
from builder.image.disk import bootloader
from builder.image.disk.placement import DiskLayout
from builder.image.tree.files import open_tree
from builder.kickstart.plan import Bootloader, Partition, Subvolume
from builder.runner import Runner
from tests.support import disks
from tests.support.disks import place

GRUB = Path("/usr/lib/grub")
LOADER = Bootloader(append="net.ifnames=0 console=tty0 console=ttyS0,115200n8", timeout=0)
ROOT = Partition(mountpoint="/", fstype="ext4", size=64)
BOOT = Partition(mountpoint="/boot", fstype="ext4", size=32)
XFS = Partition(mountpoint="/", fstype="xfs", size=320)
BTRFS = Partition(
    mountpoint=None,
    fstype="btrfs",
    size=320,
    subvolumes=(Subvolume(path="system", mountpoint="/", fsoptions="compress=zstd:1"),),
)
BIOS = Partition(mountpoint=None, fstype="biosboot", size=1)
EFI = Partition(mountpoint="/boot/efi", fstype="efi", size=32)

pytestmark = pytest.mark.skipif(
    not (GRUB / "i386-pc/boot.img").is_file(), reason="needs GRUB's modules (grub-pc-bin)"
)


def has_uefi() -> bool:
    """Return whether this host has a UEFI firmware, wherever its distribution keeps that."""
    try:
        find_firmware(FirmwareKind.UEFI, "q35")
    except ToolMissing:
        return False
    return True


def make_tree(tree: Path, *versions: str, platforms: tuple[str, ...] = ("i386-pc", "x86_64-efi")) -> None:
    for platform in platforms:
        shutil.copytree(
            GRUB / platform, tree / "usr/lib/grub" / platform, ignore=shutil.ignore_patterns("monolithic")
        )
    (tree / "boot/efi").mkdir(parents=True)
    (tree / "etc").mkdir()
    (tree / "etc/os-release").write_text('ID=test\nPRETTY_NAME="Test Linux 1"\n')
    for version in versions:
        (tree / f"boot/vmlinuz-{version}").write_text("fake kernel")
        (tree / f"boot/initramfs-{version}.img").write_text("fake initramfs")


def assemble(tmp_path: Path, runner: Runner, *partitions: Partition, label: str = "gpt") -> Path:
    """Make a disk whose grub.cfg says on the serial line what GRUB found, then resets the machine."""
    tree, disk = tmp_path / "tree", tmp_path / "disk"
    make_tree(tree, "6.1.0-1", "6.10.0-1")
    firmware = (BIOS, EFI) if label == "gpt" else ()
    placed = place(*firmware, *partitions, label=label)
    bootloader.write_boot_files(open_tree(tree), placed, bootloader=LOADER, runner=runner)
    with (tree / "boot/grub2/grub.cfg").open("a") as file:
        boot = placed.boot.top + ("" if placed.mounted("/boot") else "/boot")
        file.write(
            'echo "grub says: $grub_platform $prefix timeout=$timeout default=$default"\n'
            f"if [ -f {boot}/vmlinuz-6.10.0-1 ]; then\n  echo kernel found\nfi\n"
            'if [ "$grub_platform" = "pc" ]; then\n  insmod hello\n  hello\nfi\nreboot\n'
        )
    write_disk(tree, disk, placed, tmp_path, runner)
    return disk


def write_disk(tree: Path, disk: Path, placed: DiskLayout, work: Path, runner: Runner) -> None:
    """Write the tree, one folder a file system, as the namespaces of a build show it."""
    sources: dict[str, Path] = {}
    for number, one in enumerate(reversed(placed.mounts)):
        source = tree / one.mountpoint.lstrip("/")
        if one.mountpoint != "/":
            moved = work / f"filesystem-{number}"
            shutil.copytree(source, moved, symlinks=True)
            for path in source.iterdir():
                shutil.rmtree(path) if path.is_dir() else path.unlink()
            source = moved
        sources[one.mountpoint] = source
    disks.write_disk(disk, placed, sources, runner=runner, work=work)
    for mountpoint, source in reversed(sources.items()):
        if mountpoint != "/":
            shutil.copytree(source, tree / mountpoint.lstrip("/"), symlinks=True, dirs_exist_ok=True)
    bootloader.embed(open_tree(tree), disk, placed)


def boot(disk: Path, work: Path, *, uefi: bool) -> str:
    """Start the machine and return its serial output, up to its reset; half an hour is for a busy machine."""
    serial = work / "serial"
    argv = [
        "qemu-system-x86_64",
        "-M",
        "q35",
        "-accel",
        "tcg",
        "-m",
        "256",
        "-display",
        "none",
        "-nodefaults",
    ]
    argv += ["-no-reboot", "-serial", f"file:{serial}", "-device", "virtio-blk-pci,drive=disk"]
    argv += ["-drive", f"if=none,id=disk,format=raw,snapshot=on,file={disk}"]
    if uefi:
        firmware = find_firmware(FirmwareKind.UEFI, "q35")
        variables = copy_variables(firmware, work)
        argv += ["-drive", f"if=pflash,format={firmware.code_format},unit=0,readonly=on,file={firmware.code}"]
        argv += ["-drive", f"if=pflash,format={firmware.variables_format},unit=1,file={variables}"]
    process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        process.wait(timeout=1800)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    finally:
        assert process.stderr
        process.stderr.close()
    return serial.read_text(errors="replace") if serial.exists() else ""


@pytest.mark.boot
@pytest.mark.skipif(not tools.has("qemu-system-x86_64"), reason="needs qemu-system-x86_64")
@pytest.mark.parametrize(
    ("label", "partitions", "prefix"),
    [
        pytest.param("gpt", (BOOT, ROOT), "/grub2", id="gpt, /boot apart"),
        pytest.param("gpt", (ROOT,), "/boot/grub2", id="gpt", marks=pytest.mark.slow),
        pytest.param("msdos", (ROOT,), "/boot/grub2", id="msdos, in the gap"),
        pytest.param("gpt", (XFS,), "/boot/grub2", id="xfs"),
        pytest.param("gpt", (BTRFS,), "/system/boot/grub2", id="subvolume of btrfs"),
    ],
)
def test_bios_finds_the_menu(
    tmp_path: Path, runner: Runner, label: str, partitions: tuple[Partition, ...], prefix: str
) -> None:
    disk = assemble(tmp_path, runner, *partitions, label=label)

    reported = boot(disk, tmp_path, uefi=False)

    kind = "msdos1" if label == "msdos" else "gpt3"
    assert f"grub says: pc (hd0,{kind}){prefix} timeout=0 default=0" in reported
    assert "kernel found" in reported
    assert "Hello World" in reported, "a module of /boot/grub2/i386-pc"
    assert "error" not in reported


@pytest.mark.boot
@pytest.mark.skipif(not has_uefi(), reason="needs OVMF (ovmf)")
@pytest.mark.skipif(not (GRUB / "x86_64-efi").is_dir(), reason="needs grub-efi-amd64-bin")
@pytest.mark.parametrize(
    ("partitions", "prefix"),
    [
        pytest.param((BOOT, ROOT), "/grub2", id="/boot apart", marks=pytest.mark.slow),
        pytest.param((ROOT,), "/boot/grub2", id="/boot in /"),
    ],
)
def test_uefi_finds_the_menu(
    tmp_path: Path, runner: Runner, partitions: tuple[Partition, ...], prefix: str
) -> None:
    disk = assemble(tmp_path, runner, *partitions)

    reported = boot(disk, tmp_path, uefi=True)

    assert f"grub says: efi (hd0,gpt3){prefix} timeout=0 default=0" in reported
    assert "kernel found" in reported
    assert "error" not in reported


def test_a_signed_loader_is_taken_as_it_is(tmp_path: Path, runner: Runner) -> None:
    tree = tmp_path / "tree"
    make_tree(tree, "6.1.0-1", platforms=("i386-pc",))
    (tree / "boot/efi/EFI/fedora").mkdir(parents=True)
    for name in ("shimx64.efi", "grubx64.efi", "mmx64.efi"):
        (tree / "boot/efi/EFI/fedora" / name).write_text(f"signed {name} blscfg blsdir")
    placed = place(BIOS, EFI, BOOT, ROOT)

    firmware = bootloader.write_boot_files(open_tree(tree), placed, bootloader=LOADER, runner=runner)

    fallback = tree / "boot/efi/EFI/BOOT"
    assert firmware.names == ("bios", "uefi")
    assert (fallback / "BOOTX64.EFI").read_text() == "signed shimx64.efi blscfg blsdir"
    assert (fallback / "grubx64.efi").read_text() == "signed grubx64.efi blscfg blsdir"
    stub = (tree / "boot/efi/EFI/fedora/grub.cfg").read_text()
    assert f"--fs-uuid --set=dev {placed.boot.placed.uuid}\nset prefix=($dev)/grub2\n" in stub
    assert (fallback / "grub.cfg").read_text() == stub
    assert "menuentry" in (tree / "boot/grub2/grub.cfg").read_text(), "this BIOS GRUB has no blscfg"


def test_programs_of_usr_lib_efi_are_brought_to_the_partition(tmp_path: Path, runner: Runner) -> None:
    tree = tmp_path / "tree"
    make_tree(tree, "6.1.0-1", platforms=())
    for name in (
        "shim/16.1-5/EFI/BOOT/BOOTX64.EFI",
        "shim/16.1-5/EFI/BOOT/fbx64.efi",
        "shim/16.1-5/EFI/fedora/shimx64.efi",
        "shim/16.1-5/EFI/fedora/BOOTX64.CSV",
        "grub2/1:2.12-9.fc44/EFI/fedora/grubx64.efi",
        "grub2/1:2.12-60.fc44/EFI/fedora/grubx64.efi",
    ):
        path = tree / "usr/lib/efi" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{name} blscfg blsdir")
    placed = place(BIOS, EFI, ROOT)

    firmware = bootloader.write_boot_files(open_tree(tree), placed, bootloader=LOADER, runner=runner)

    assert firmware.names == ("uefi",)
    esp = tree / "boot/efi/EFI"
    assert sorted(str(path.relative_to(esp)) for path in esp.rglob("*") if path.is_file()) == [
        *("BOOT/BOOTX64.EFI", "BOOT/fbx64.efi", "BOOT/grub.cfg"),
        *("fedora/BOOTX64.CSV", "fedora/grub.cfg", "fedora/grubx64.efi", "fedora/shimx64.efi"),
    ]
    assert "2.12-60" in (esp / "fedora/grubx64.efi").read_text(), "the newest"
    assert (tree / "boot/grub2/grub.cfg").read_text().endswith("blscfg\n")


def test_later_kernels_become_the_default_as_after_an_installation(tmp_path: Path, runner: Runner) -> None:
    """As kernel-install and grubby of Fedora and EL ask (20-grub.install; grub2-get-kernel-settings)."""
    disk = place(BIOS, EFI, ROOT)
    for name, own in (("tree", None), ("other", "UPDATEDEFAULT=no\n")):
        tree = tmp_path / name
        make_tree(tree, "6.1.0-1")
        path = tree / "etc/sysconfig/kernel"
        if own:
            path.parent.mkdir(parents=True)
            path.write_text(own)

        bootloader.write_boot_files(
            open_tree(tree), disk, bootloader=LOADER, kernel_package="kernel-rt-core", runner=runner
        )

        if own:
            assert path.read_text() == own
        else:
            assert path.read_text().splitlines()[2::3] == [
                "UPDATEDEFAULT=yes",
                "DEFAULTKERNEL=kernel-rt-core",
            ]


@pytest.mark.parametrize(
    ("words", "reads"),
    [
        pytest.param("blscfg blsdir kernelopts", True, id="blscfg of Fedora and EL"),
        pytest.param("blscfg uki /loader/entries/", False, id="blsuki of GRUB 2.14"),
        pytest.param("menuentry", False, id="neither"),
    ],
)
def test_a_signed_loader_that_cannot_find_the_entries_has_a_menu(
    tmp_path: Path, runner: Runner, words: str, reads: bool
) -> None:
    tree = tmp_path / "tree"
    make_tree(tree, "6.1.0-1", platforms=())
    (tree / "boot/efi/EFI/fedora").mkdir(parents=True)
    for name in ("shimx64.efi", "grubx64.efi"):
        (tree / "boot/efi/EFI/fedora" / name).write_text(words)

    bootloader.write_boot_files(open_tree(tree), place(BIOS, EFI, ROOT), bootloader=LOADER, runner=runner)

    text = (tree / "boot/grub2/grub.cfg").read_text()
    assert text.endswith("blscfg\n") is reads
    assert ("menuentry" in text) is not reads


def test_shim_with_its_fallback_program_starts_the_distribution_itself(
    tmp_path: Path, runner: Runner
) -> None:
    tree = tmp_path / "tree"
    make_tree(tree, "6.1.0-1", platforms=())
    for folder, names in (("fedora", ("shimx64.efi", "grubx64.efi")), ("BOOT", ("BOOTX64.EFI", "fbx64.efi"))):
        (tree / "boot/efi/EFI" / folder).mkdir(parents=True)
        for name in names:
            (tree / "boot/efi/EFI" / folder / name).write_text(f"{name} blscfg blsdir")
    placed = place(BIOS, EFI, ROOT)

    firmware = bootloader.write_boot_files(open_tree(tree), placed, bootloader=LOADER, runner=runner)

    assert firmware.names == ("uefi",)
    assert not (tree / "boot/efi/EFI/BOOT/grubx64.efi").exists()
    text = (tree / "boot/grub2/grub.cfg").read_text()
    assert text.endswith("set blsdir=/boot/loader/entries\ninsmod blscfg\nblscfg\n")
    assert "menuentry" not in text


def test_the_first_sectors_are_those_that_grub_bios_setup_writes(tmp_path: Path, runner: Runner) -> None:
    disk = assemble(tmp_path, runner, ROOT)

    with disk.open("rb") as file:
        sector = file.read(512)
        file.seek(1 << 20)
        core = file.read(1 << 20)
    assert struct.unpack_from("<Q", sector, 0x5C) == (2048,)
    assert sector[0x66:0x68] == b"\x90\x90"
    assert struct.unpack_from("<QHH", core, 500)[0] == 2049
    length = struct.unpack_from("<H", core, 508)[0]
    made = (tmp_path / "tree/boot/grub2/i386-pc/core.img").stat().st_size
    assert length == -(-made // 512) - 1
    # The partition table follows the code, and still whole.
    subprocess.run(["sfdisk", "--verify", "-q", str(disk)], check=True, capture_output=True)


def test_without_kernel_or_loader_it_says_what_to_add(tmp_path: Path, runner: Runner) -> None:
    placed = place(BIOS, EFI, ROOT)
    make_tree(tmp_path / "no kernel")
    make_tree(tmp_path / "no loader", "6.1.0-1", platforms=())

    for name, hint in (("no kernel", "add kernel to %packages"), ("no loader", "add grub2-pc")):
        with pytest.raises(BuildError) as caught:
            bootloader.write_boot_files(open_tree(tmp_path / name), placed, bootloader=LOADER, runner=runner)
        assert caught.value.hint
        assert caught.value.hint.startswith(hint)


@pytest.mark.parametrize("loader", [Bootloader(location="none"), Bootloader(disabled=True)])
def test_no_loader_where_none_is_wanted(tmp_path: Path, runner: Runner, loader: Bootloader) -> None:
    placed = place(ROOT)
    tree = tmp_path / "tree"
    make_tree(tree)

    firmware = bootloader.write_boot_files(open_tree(tree), placed, bootloader=loader, runner=runner)

    assert firmware.names == ()
    assert len(placed.partitions) == 1
    assert not (tree / "boot/grub2").exists()


def test_what_scripts_edited_stays(tmp_path: Path, runner: Runner) -> None:
    tree = tmp_path / "tree"
    make_tree(tree, "6.1.0-1", platforms=("i386-pc",))
    placed = place(BIOS, EFI, ROOT)
    bootloader.write_boot_files(open_tree(tree), placed, bootloader=LOADER, runner=runner)
    config, entry = tree / "boot/grub2/grub.cfg", tree / "boot/loader/entries/IMAGE-6.1.0-1.conf"
    config.write_text(config.read_text().replace("set timeout=0", "set timeout=7"))
    entry.write_text(entry.read_text().replace("net.ifnames=0", "net.ifnames=0 quiet"))
    (tree / "etc/default/grub").write_text("GRUB_TIMEOUT=7\n")
    (tree / "boot/vmlinuz-6.2.0-1").write_text("fake kernel")

    bootloader.write_boot_files(open_tree(tree), placed, bootloader=LOADER, keep=True, runner=runner)

    text = config.read_text()
    assert "set timeout=7" in text
    assert text.index("'6.2.0-1'") < text.index("'6.1.0-1'"), "the newest comes first"
    assert "net.ifnames=0 quiet" in text
    assert "net.ifnames=0 quiet" in entry.read_text()
    assert (tree / "etc/default/grub").read_text() == "GRUB_TIMEOUT=7\n"


@pytest.mark.parametrize(
    "link",
    [
        "boot/grub2",
        "boot/grub2/grub.cfg",
        "boot/efi/EFI",
        "boot/loader/entries/a.conf",
        "etc/default",
        "etc/kernel/cmdline",
    ],
)
def test_a_link_that_leads_out_leads_to_a_place_of_the_image(
    tmp_path: Path, runner: Runner, link: str
) -> None:
    tree, outside = tmp_path / "tree", tmp_path / "outside"
    make_tree(tree, "6.1.0-1", platforms=("i386-pc",))
    outside.mkdir()
    (tree / link).parent.mkdir(parents=True, exist_ok=True)
    (tree / link).symlink_to(outside)
    placed = place(BIOS, EFI, ROOT)

    # The place is not there in the image; what the link means in the guest may well be done.
    with contextlib.suppress(BuildError, FileNotFoundError, FileExistsError):
        bootloader.write_boot_files(open_tree(tree), placed, bootloader=LOADER, runner=runner)

    assert list(outside.iterdir()) == []


def test_the_images_own_tool_is_run_as_the_image_knows_it(tmp_path: Path, runner: Runner) -> None:
    tree = tmp_path / "tree"
    make_tree(tree, "6.1.0-1", platforms=("i386-pc",))
    (tree / "usr/bin").mkdir()
    (tree / "usr/bin/grub2-mkimage").touch()
    placed = place(BIOS, EFI, ROOT)
    asked: list[list[str]] = []

    def run(argv: Sequence[str]) -> None:
        asked.append(list(argv))
        (tree / argv[argv.index("-o") + 1].lstrip("/")).write_bytes(b"core")

    bootloader.write_boot_files(open_tree(tree), placed, bootloader=LOADER, runner=runner, run=run)

    (argv,) = asked
    assert argv[:3] == ["/usr/bin/grub2-mkimage", "-d", "/usr/lib/grub/i386-pc"]
    assert str(tmp_path) not in " ".join(argv)
    assert (tree / "boot/grub2/i386-pc/core.img").read_bytes() == b"core"
