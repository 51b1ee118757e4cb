# SPDX-License-Identifier: MIT
"""Kernel arguments with signs that GRUB's shell knows, and what scripts change of them."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from builder.formats.kernel_arguments import (
    for_entry,
    for_menu,
    from_entry,
    from_menu,
    split,
    variables_for,
)
from builder.image.disk import layout
from builder.image.disk.bootloader import changes, entries, kernel_arguments, menu
from builder.image.disk.bootloader.changes import Changes
from builder.image.tree.files import TreePath, open_tree
from builder.kickstart.plan import Bootloader, Disk, LogicalVolume, Partition, Subvolume, VolumeGroup

PLACED = layout.place(
    Disk(partitions=(Partition(mountpoint="/", fstype="ext4", size=100),)), seed="s", content={}
)
APPEND = """memmap=1G$4G a;b x=\\y dyndbg="file x$y.c +p;" it's {z}"""
WORDS = ["memmap=1G$4G", "a;b", "x=\\y", 'dyndbg="file x$y.c +p;"', "it's", "{z}"]


def as_grub_reads(text: str) -> list[str]:
    """Return the words that GRUB's shell makes of a line (GRUB manual, "Quoting").

    A sign that it would do something else with is an error.
    """
    words, word, quote, letters = [], "", "", iter(f"{text} ")
    for letter in letters:
        if letter == "\\":
            following = next(letters)
            word += following if not quote or following in '\\"$' else f"\\{following}"
        elif letter == '"':
            quote = "" if quote else '"'
        elif quote:
            assert letter != "$", text
            word += letter
        elif letter == " ":
            words += [word] if word else []
            word = ""
        else:
            assert letter not in "';{}&|<>$", text
            word += letter
    assert not quote, text
    return words


def as_blscfg_reads(options: str, environment: dict[str, str], *, escapes: bool = False) -> list[str]:
    """Return the words after blscfg has replaced $names, as its expand_val does: with a blank after each.

    `escapes`: as in Fedora 41, EL 9.5, EL 10.1 and later, where `\\$` is no variable. Not in GRUB 2.14.
    """

    def value(found: re.Match[str]) -> str:
        name = found[1]
        return f"{environment[name]} " if name in environment else ""

    name = r"(?<!\\)\$([0-9A-Za-z_]*) ?" if escapes else r"\$([0-9A-Za-z_]*) ?"
    return as_grub_reads(re.sub(name, value, options))


def test_words_are_split_as_the_kernel_does() -> None:
    assert split(APPEND) == WORDS


# GRUB takes the quotes away, and puts them around the whole word: the same to the kernel.
MEANT = [word.replace('"', "") for word in WORDS]


def test_menu_gives_the_kernel_the_words_as_written() -> None:
    assert as_grub_reads(" ".join(map(for_menu, WORDS))) == MEANT
    assert [from_menu(for_menu(word)) for word in WORDS] == WORDS


@pytest.mark.parametrize("escapes", [False, True])
def test_entries_give_the_kernel_the_words_as_written(escapes: bool) -> None:
    options, variables = " ".join(map(for_entry, WORDS)), variables_for(WORDS)

    assert as_blscfg_reads(options, variables, escapes=escapes) == MEANT
    assert [from_entry(word, variables) for word in split(options)] == WORDS


def as_mkconfig_writes(value: str) -> str:
    """Return the options that Fedora's 10_linux makes of GRUB_CMDLINE_LINUX (update_bls_cmdline)."""
    for old, new in (("/", "\\/"), (";", "\\;"), ("\\&", "\\\\\\&"), ("$", "\\$")):
        value = value.replace(old, new)
    return re.sub(r"\\(.)", r"\1", value)  # as the replacement of a sed command


def grub_environment(block: str) -> dict[str, str]:
    """Return the variables of grubenv, as GRUB's lib/envblk.c reads them."""
    lines = [line.partition("=") for line in block.splitlines() if not line.startswith("#")]
    return {name: re.sub(r"\\(.)", r"\1", value) for name, _, value in lines}


def tree_of(tmp_path: Path) -> TreePath:
    (tmp_path / "boot").mkdir()
    (tmp_path / "boot/vmlinuz-1").touch()
    (tmp_path / "boot/grub2").mkdir()
    return open_tree(tmp_path)


@pytest.mark.parametrize("reads_entries", [True, False], ids=["entries", "menu"])
def test_files_of_the_boot_hold_them(tmp_path: Path, reads_entries: bool) -> None:
    tree = tree_of(tmp_path)
    loader = Bootloader(append=APPEND)
    words = kernel_arguments(PLACED, loader)
    kernels = entries.update(tree, PLACED, words, keep=False)

    menu.write(
        tree, PLACED, loader, command_line=words, kernels=kernels, reads_entries=reads_entries, keep=False
    )

    later = (tree / "etc/kernel/cmdline").read_text()
    if reads_entries:
        entry = (tree / "boot/loader/entries/IMAGE-1.conf").read_text()
        options = entry.partition("options ")[2].strip()
        environment = grub_environment((tree / "boot/grub2/grubenv").read_text())
        assert as_blscfg_reads(options, environment)[2:] == MEANT
        assert as_blscfg_reads(later.strip(), environment)[2:] == MEANT
    else:
        lines = (tree / "boot/grub2/grub.cfg").read_text().splitlines()
        line = next(line for line in lines if line.startswith("  linux "))
        assert as_grub_reads(line)[4:] == MEANT
        assert later.partition(" ro ")[2].strip() == " ".join(WORDS)
    sourced = subprocess.run(
        ["sh", "-c", f'. {tmp_path}/etc/default/grub; printf %s "$GRUB_CMDLINE_LINUX"'],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    if reads_entries:
        assert as_blscfg_reads(as_mkconfig_writes(sourced), {}, escapes=True) == MEANT
    else:
        assert as_grub_reads(sourced) == MEANT


def test_arguments_beyond_grubs_environment_are_no_error_where_no_entry_wants_them(tmp_path: Path) -> None:
    tree = tree_of(tmp_path)
    loader = Bootloader(append="x=" + "a" * 1500)
    words = kernel_arguments(PLACED, loader)
    kernels = entries.update(tree, PLACED, words, keep=False)

    menu.write(tree, PLACED, loader, command_line=words, kernels=kernels, reads_entries=True, keep=False)

    assert "kernelopts" not in (tree / "boot/grub2/grubenv").read_text()
    assert words[-1] in (tree / "boot/loader/entries/IMAGE-1.conf").read_text()


BEFORE = 'GRUB_TIMEOUT=1\nGRUB_DEFAULT=saved\nGRUB_CMDLINE_LINUX="console=ttyS0 quiet"\n'
MKCONFIG = ["grub2-mkconfig", "-o", "/boot/grub2/grub.cfg"]
CHANGES = {
    "nothing said": ([], BEFORE.replace("quiet", "audit=1"), Changes()),
    "another value": (
        [MKCONFIG],
        BEFORE.replace("quiet", "audit=1"),
        Changes(removed=("quiet",), added=("audit=1",)),
    ),
    "added by the shell": (
        [MKCONFIG],
        BEFORE + 'GRUB_CMDLINE_LINUX="${GRUB_CMDLINE_LINUX} audit=1"\n',
        Changes(added=("audit=1",)),
    ),
    "appended": ([MKCONFIG], BEFORE + 'GRUB_CMDLINE_LINUX+=" audit=1"\n', Changes(added=("audit=1",))),
    "the default's own": (
        [MKCONFIG], BEFORE + "GRUB_CMDLINE_LINUX_DEFAULT='splash'\n", Changes(added=("splash",)),
    ),
    "a sign that shell and GRUB know": (
        [MKCONFIG],
        BEFORE.replace("quiet", r"memmap=1G\\\$4G"),
        Changes(removed=("quiet",), added=("memmap=1G$4G",)),
    ),
    "timeout and default": (
        [["grub-mkconfig"]],
        BEFORE.replace("=1\n", "=9\n").replace("saved", "2"),
        Changes(timeout="9", default="2"),
    ),
    "grubby": (
        [["grubby", "--update-kernel=ALL", "--args=a=1 b", "--remove-args=quiet"]],
        BEFORE,
        Changes(removed=("quiet", "a"), added=("a=1", "b")),
    ),
    "grubby, words apart": (
        [["grubby", "--args", "console=ttyS1", "--update-kernel", "ALL"]],
        BEFORE,
        Changes(added=("console=ttyS1",)),
    ),
}  # fmt: skip


@pytest.mark.parametrize(("said", "after", "expected"), CHANGES.values(), ids=CHANGES)
def test_what_programs_were_asked_for_becomes_a_change(
    said: list[list[str]], after: str, expected: Changes
) -> None:
    assert changes.read(said, before=BEFORE, after=after) == expected


def test_change_takes_values_of_a_name_and_adds_nothing_twice() -> None:
    change = Changes(removed=("a", "b=2"), added=("c", "d"))

    assert change.apply(["a=1", "a", "b=1", "b=2", "c"]) == ("b=1", "c", "d")


def _partition(fstype: str, mountpoint: str | None = None, **more: Any) -> Partition:
    return Partition(mountpoint=mountpoint, fstype=fstype, size=2000, **more)


def _volume(name: str, fstype: str, mountpoint: str | None = None, **more: Any) -> LogicalVolume:
    return LogicalVolume(name=name, mountpoint=mountpoint, fstype=fstype, size=400, **more)


SUBVOLUMES = (Subvolume(path="top/root", mountpoint="/"), Subvolume(path="home", mountpoint="/home"))
GROUP = VolumeGroup(
    name="vg",
    members=("pv.1",),
    volumes=(_volume("root", "xfs", "/"), _volume("usr", "xfs", "/usr"), _volume("srv", "xfs", "/srv")),
)
ROOTS = {
    "a partition": (Disk(partitions=(_partition("ext4", "/"),)), ["root="]),
    "a subvolume": (
        Disk(partitions=(_partition("btrfs", subvolumes=SUBVOLUMES),)),
        ["root=", "rootflags=subvol=top/root"],
    ),
    "volumes": (
        Disk(partitions=(_partition("lvm", name="pv.1"),), groups=(GROUP,)),
        ["root=", "rd.lvm.lv=vg/root", "rd.lvm.lv=vg/usr"],
    ),
    "swap to resume from": (
        Disk(partitions=(_partition("swap", hibernation=True), _partition("ext4", "/"))),
        ["root=", "resume="],
    ),
}


@pytest.mark.parametrize(("disk", "expected"), ROOTS.values(), ids=ROOTS)
def test_the_initramfs_is_told_all_that_the_root_needs(disk: Disk, expected: list[str]) -> None:
    placed = layout.place(disk, seed="", content={})

    words = kernel_arguments(placed, Bootloader(append="quiet"))

    assert words[-2:] == ("ro", "quiet")
    assert [re.sub("=UUID=.*", "=", word) for word in words[:-2]] == expected
    assert words[0] == f"root=UUID={placed.root.placed.uuid}"
    assert kernel_arguments(placed, Bootloader(append="root=LABEL=x rw")) == ("root=LABEL=x", "rw")
