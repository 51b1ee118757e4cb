# SPDX-License-Identifier: MIT
"""Kernels, entries and GRUB's files, as text."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from builder.errors import BuildError
from builder.formats.kernel_arguments import for_entry
from builder.image.disk import bootloader, layout
from builder.image.disk.bootloader import entries, menu
from builder.image.disk.placement import DiskLayout
from builder.image.tree.files import open_tree
from builder.kickstart.plan import Bootloader, Disk, Partition, Password, Subvolume
from builder.versions import compare_versions

ROOT = Partition(mountpoint="/", fstype="ext4", size=100)


def btrfs(**mounted: str) -> Partition:
    """Return a btrfs with subvolumes: name -> mount point."""
    subvolumes = tuple(Subvolume(path=name, mountpoint=mountpoint) for name, mountpoint in mounted.items())
    return Partition(mountpoint=None, fstype="btrfs", size=256, subvolumes=subvolumes)


BOOT = Partition(mountpoint="/boot", fstype="ext4", size=100)
WORDS = ("root=UUID=1", "ro", "console=ttyS0,115200n8")

# As kernel-install of EL 8 and of Fedora leave them in a chroot.
EL8 = """\
title Rocky Linux (4.18.0-553.el8_10.x86_64) 8.10 (Green Obsidian)
version 4.18.0-553.el8_10.x86_64
linux /boot/vmlinuz-4.18.0-553.el8_10.x86_64
initrd /boot/initramfs-4.18.0-553.el8_10.x86_64.img $tuned_initrd
options $kernelopts $tuned_params
id rocky-20240521-4.18.0-553.el8_10.x86_64
grub_users $grub_users
grub_arg --unrestricted
grub_class kernel
"""
FEDORA = """\
title Fedora Linux (6.17.1-300.fc43.x86_64) 43 (Cloud Edition)
version 6.17.1-300.fc43.x86_64
linux /vmlinuz-6.17.1-300.fc43.x86_64
initrd /initramfs-6.17.1-300.fc43.x86_64.img
options root=/dev/vda ro rhgb $tuned_params
grub_class fedora
"""
RESCUE = "title Rescue\nversion 0-rescue-abc\nlinux /boot/vmlinuz-0-rescue-abc\noptions root=/dev/vda ro\n"


def placed(*partitions: Partition) -> DiskLayout:
    return layout.place(Disk(partitions=partitions), seed="s", content={})


def tree_with(tmp_path: Path, **texts: str) -> Path:
    folder = tmp_path / "boot/loader/entries"
    folder.mkdir(parents=True)
    for name, text in texts.items():
        (folder / f"{name.replace('_', '-')}.conf").write_text(text)
    return tmp_path


@pytest.mark.parametrize(
    ("append", "arguments", "expected"),
    [
        ("", (), "root=UUID={} ro"),
        ("console=ttyS0 quiet", ("selinux=0",), "root=UUID={} ro selinux=0 console=ttyS0 quiet"),
        ("rw", (), "root=UUID={} rw"),
        ("root=LABEL=x", (), "ro root=LABEL=x"),
        ('opt="a b"', (), 'root=UUID={} ro opt="a b"'),
        ('a="b c', (), 'root=UUID={} ro a="b c'),
        ("it's", (), "root=UUID={} ro it's"),
    ],
)
def test_the_kernel_gets_root_ro_and_the_kickstarts_words(
    append: str, arguments: tuple[str, ...], expected: str
) -> None:
    disk = placed(ROOT)

    words = bootloader.kernel_arguments(disk, Bootloader(append=append), arguments)

    assert " ".join(words) == expected.format(disk.root.placed.uuid)


def test_a_guest_that_hibernates_resumes_from_its_swap() -> None:
    swap = Partition(mountpoint=None, fstype="swap", size=100)
    plain = bootloader.kernel_arguments(placed(swap, ROOT), Bootloader())

    disk = placed(dataclasses.replace(swap, hibernation=True), ROOT)
    words = bootloader.kernel_arguments(disk, Bootloader())

    assert not [word for word in plain if word.startswith("resume")]
    own = bootloader.kernel_arguments(disk, Bootloader(append="resume=LABEL=s"))

    assert f"resume=UUID={disk.partitions[0].uuid}" in words
    assert [word for word in own if word.startswith("resume")] == ["resume=LABEL=s"]


@pytest.mark.parametrize(
    ("partitions", "boot"), [((ROOT,), "/boot"), ((BOOT, ROOT), "")], ids=["/boot in /", "/boot apart"]
)
def test_entries_name_files_as_grub_sees_them(
    tmp_path: Path, partitions: tuple[Partition, ...], boot: str
) -> None:
    tree = tree_with(tmp_path, el=EL8, fedora=FEDORA)

    found = entries.update(tree, placed(*partitions), WORDS, keep=False)

    assert [one.linux for one in found] == [
        f"{boot}/vmlinuz-6.17.1-300.fc43.x86_64",
        f"{boot}/vmlinuz-4.18.0-553.el8_10.x86_64",
    ]
    assert found[1].initrds == (f"{boot}/initramfs-4.18.0-553.el8_10.x86_64.img",)
    text = (tree / "boot/loader/entries/el.conf").read_text()
    assert f"initrd {boot}/initramfs-4.18.0-553.el8_10.x86_64.img $tuned_initrd\n" in text
    assert "grub_users $grub_users\ngrub_arg --unrestricted\n" in text


def test_options_become_ours_and_variables_stay(tmp_path: Path) -> None:
    tree = tree_with(tmp_path, el=EL8, fedora=FEDORA)

    entries.update(tree, placed(ROOT), WORDS, keep=False)

    folder = tree / "boot/loader/entries"
    assert "options $kernelopts $tuned_params\n" in (folder / "el.conf").read_text()
    assert f"options {' '.join(WORDS)} $tuned_params\n" in (folder / "fedora.conf").read_text()


def test_kept_options_lose_only_a_wrong_root(tmp_path: Path) -> None:
    tree = tree_with(tmp_path, fedora=FEDORA)

    entries.update(tree, placed(ROOT), WORDS, keep=True)

    text = (tree / "boot/loader/entries/fedora.conf").read_text()
    assert "options root=UUID=1 ro rhgb $tuned_params\n" in text


def test_a_kernel_without_an_entry_gets_one_and_rescue_comes_last(tmp_path: Path) -> None:
    tree = tree_with(tmp_path, rescue=RESCUE)
    for version in ("6.9.0-1", "6.10.0-1", "6.10.0-1.rc1"):
        (tree / f"boot/vmlinuz-{version}").touch()
    (tree / "boot/vmlinuz-0-rescue-abc").touch()
    (tree / "boot/initramfs-6.10.0-1.img").touch()

    found = entries.update(tree, placed(ROOT), WORDS, keep=False)

    assert [one.version for one in found] == ["6.10.0-1.rc1", "6.10.0-1", "6.9.0-1", "0-rescue-abc"]
    assert (tree / "boot/loader/entries/IMAGE-6.10.0-1.conf").read_text() == (
        "title Linux (6.10.0-1)\n"
        "version 6.10.0-1\n"
        "linux /boot/vmlinuz-6.10.0-1\n"
        "initrd /boot/initramfs-6.10.0-1.img\n"
        "options root=UUID=1 ro console=ttyS0,115200n8\n"
    )


MACHINES = ("0123456789abcdef0123456789abcdef", "9" * 32, "a" * 32, "f" * 32)


@pytest.mark.parametrize("machine", MACHINES)
def test_entries_lose_the_machine_id_of_the_build_and_sort_before_those_of_any_guest(
    tmp_path: Path, machine: str
) -> None:
    tree = tree_with(tmp_path, **{f"{machine}-6.17.1-300.fc43": FEDORA})

    entries.update(tree, placed(BOOT, ROOT), WORDS, keep=False)

    (left,) = (tree / "boot/loader/entries").glob("*.conf")
    name, _, version = left.stem.partition("-")
    assert version == "6.17.1-300.fc43"
    # As bls_cmp of GRUB's blscfg.c does: by rpm's rules, and what stands before the version comes first.
    assert compare_versions(machine, name) > 0


def test_an_entry_gets_the_initramfs_that_was_made_after_it(tmp_path: Path) -> None:
    tree = tree_with(tmp_path)
    (tree / "boot/vmlinuz-6.1").touch()
    entries.update(tree, placed(BOOT, ROOT), WORDS, keep=False)
    (tree / "boot/initramfs-6.1.img").touch()

    (kernel,) = entries.update(tree, placed(BOOT, ROOT), WORDS, keep=True)

    assert kernel.initrds == ("/initramfs-6.1.img",)


def render(
    loader: Bootloader,
    *,
    reads_entries: bool,
    words: tuple[str, ...] = WORDS,
    options: tuple[str, ...] | None = None,
) -> str:
    kernel = entries.Kernel(
        version="6.1",
        title="It's Linux",
        linux="/boot/vmlinuz-6.1",
        initrds=("/boot/i",),
        options=" ".join(options or words),
    )
    return menu.render(
        placed(ROOT), loader, command_line=words, kernels=(kernel,), reads_entries=reads_entries
    )


def test_a_written_menu_holds_the_kernels() -> None:
    words = (*WORDS, 'dyndbg="file $x +p;"')
    written = tuple(map(for_entry, words))
    text = render(Bootloader(timeout=0), reads_entries=False, words=words, options=written)

    assert "set timeout=0\n" in text
    assert "menuentry 'Its Linux' --id '6.1' --unrestricted {\n" in text
    assert '  linux /boot/vmlinuz-6.1 root=UUID=1 ro console=ttyS0,115200n8 dyndbg="file \\$x +p;"\n' in text
    assert "  initrd /boot/i\n}\n" in text


def test_a_menu_of_entries_leaves_the_kernels_to_grub() -> None:
    text = render(Bootloader(), reads_entries=True)

    assert "menuentry" not in text
    assert text.index("function load_video {") < text.index("blscfg")
    assert 'set kernelopts="root=UUID=1 ro console=ttyS0,115200n8"' in text
    assert text.endswith("set blsdir=/boot/loader/entries\ninsmod blscfg\nblscfg\n")
    assert "set timeout=1\n" in text


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("console=ttyS0",), (0, 115200)),
        (("console=ttyS1,9600n8",), (1, 9600)),
        (("console=ttyS0,38400", "console=tty0"), (0, 38400)),
        (("console=tty0",), None),
        (("console=ttyAMA0",), None),
    ],
)
def test_grub_talks_on_the_kernels_serial_line(
    words: tuple[str, ...], expected: tuple[int, int] | None
) -> None:
    assert menu.serial_speed(words) == expected
    assert ("serial --unit" in render(Bootloader(), reads_entries=False, words=words)) == bool(expected)


def test_grubenv_is_a_block_of_1024_bytes() -> None:
    block = menu.environment_block({"kernelopts": " ".join(WORDS)})

    assert len(block) == 1024
    assert block.startswith(
        "# GRUB Environment Block\nkernelopts=root=UUID=1 ro console=ttyS0,115200n8\n####"
    )
    with pytest.raises(BuildError, match="do not fit"):
        menu.environment_block({"kernelopts": "x" * 1024})


def test_passwords_are_hashed_as_grub_reads_them() -> None:
    given = Password(hash="grub.pbkdf2.sha512.1.A.B")
    assert menu.hash_password(Password(), salt="s") is None
    assert menu.hash_password(given, salt="s") == "grub.pbkdf2.sha512.1.A.B"
    made = menu.hash_password(Password(plain="secret"), salt="s") or ""
    assert made == menu.hash_password(Password(plain="secret"), salt="s")
    assert made.startswith("grub.pbkdf2.sha512.10000.")
    assert "secret" not in made


def test_later_kernels_find_our_arguments(tmp_path: Path) -> None:
    tree = open_tree(tree_with(tmp_path, fedora=FEDORA))
    (tree / "etc/default").mkdir(parents=True)
    (tree / "etc/default/grub").write_text(
        '# mine\nGRUB_TIMEOUT=5\nGRUB_CMDLINE_LINUX="rhgb"\nGRUB_COLOR=x\n'
    )
    (tree / "boot/grub2").mkdir()
    (tree / "boot/grub2/grubenv").symlink_to("../efi/EFI/redhat/grubenv")

    menu.write(
        tree,
        placed(ROOT),
        Bootloader(timeout=2, password=Password(hash="grub.pbkdf2.x")),
        command_line=WORDS,
        kernels=(),
        reads_entries=True,
        keep=False,
    )

    assert (tree / "etc/kernel/cmdline").read_text() == "root=UUID=1 ro console=ttyS0,115200n8\n"
    assert (tree / "etc/default/grub").read_text().splitlines() == [
        "# mine",
        "GRUB_TIMEOUT=2",
        'GRUB_CMDLINE_LINUX="console=ttyS0,115200n8"',
        "GRUB_COLOR=x",
        "GRUB_DEFAULT=saved",
        "GRUB_DISABLE_SUBMENU=true",
        'GRUB_DISABLE_RECOVERY="true"',
        'GRUB_TERMINAL="serial console"',
        'GRUB_SERIAL_COMMAND="serial --unit=0 --speed=115200"',
        "GRUB_ENABLE_BLSCFG=true",
    ]
    assert not (tree / "boot/grub2/grubenv").is_symlink(), "BIOS does not read the EFI partition"
    assert (tree / "boot/grub2/user.cfg").read_text() == "GRUB2_PASSWORD=grub.pbkdf2.x\n"
    assert (tree / "boot/grub2/user.cfg").stat().st_mode & 0o777 == 0o600
    assert (tree / "boot/grub2/grub.cfg").stat().st_mode & 0o777 == 0o600


SEEN = {
    "its own partition": ((BOOT, ROOT), ""),
    "a folder": ((ROOT,), "/boot"),
    "a folder of a subvolume": ((btrfs(root="/"),), "/root/boot"),
    "a subvolume": ((btrfs(root="/", boot="/boot"),), "/boot"),
    "a subvolume of another name": ((btrfs(root="/", kernels="/boot"),), "/kernels"),
}


@pytest.mark.parametrize(("partitions", "folder"), SEEN.values(), ids=SEEN)
def test_paths_are_those_that_grub_sees_however_often_they_are_made_so(
    tmp_path: Path, partitions: tuple[Partition, ...], folder: str
) -> None:
    """Before scripts and after: a kernel has one entry."""
    tree = open_tree(tree_with(tmp_path, rocky=EL8))
    (tmp_path / "boot/vmlinuz-4.18.0-553.el8_10.x86_64").touch()

    for keep in (False, True):
        (kernel,) = entries.update(tree, placed(*partitions), WORDS, keep=keep)

        assert kernel.linux == f"{folder}/vmlinuz-4.18.0-553.el8_10.x86_64"
        assert kernel.initrds[0] == f"{folder}/initramfs-4.18.0-553.el8_10.x86_64.img"
