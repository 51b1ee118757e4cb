# SPDX-License-Identifier: MIT
"""GRUB images from the image's own modules, by grub-mkimage(1): the tree's, or else the host's."""

from __future__ import annotations

import hashlib
import secrets
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from builder import tools
from builder.image.disk.placement import DiskLayout
from builder.image.tree.files import TreePath
from builder.kickstart.disk.filesystems import KINDS
from builder.room import run_apart
from builder.runner import Runner

# What GRUB needs until it can load more from /boot/grub2, and what a menu uses.
MODULES = (
    *("part_gpt", "part_msdos", "ext2", "fat", "search", "search_fs_uuid", "normal", "configfile", "linux"),
    *("test", "echo", "ls", "cat", "minicmd", "serial", "terminal", "loadenv", "gzio", "sleep", "reboot"),
    *("halt", "regexp", "all_video"),
)
# Named only where the image's GRUB has them: distributions differ, and 2.14 has no efi_uga.
OPTIONAL = ("blscfg", "increment", "password_pbkdf2", "chain", "version", "efi_uga")


# Returns what was made of some inputs (of JSON's types) before, or else what a call makes.
Remember = Callable[[object, Callable[[], bytes]], bytes]


def make_anew(_: object, make: Callable[[], bytes]) -> bytes:
    """Remember nothing."""
    return make()


@dataclass(frozen=True, kw_only=True, slots=True)
class Programs:
    """How to run programs: the host's by `runner`, the image's by `of_image`, its
    argv as it knows it; None: they are not run. `remember`: what the image's have made."""

    runner: Runner
    of_image: Callable[[Sequence[str]], object] | None
    remember: Remember = make_anew


MKIMAGE = "grub-mkimage"
# Bytes that it may write: an image has some hundred KiB.
LARGEST = 64 << 20


def make(
    tree: TreePath,
    layout: DiskLayout,
    target: str,
    output: TreePath,
    *,
    modules: Sequence[str],
    keep: bool,
    programs: Programs,
) -> None:
    """Make the image for `target` (i386-pc, x86_64-efi) at `output`, which is in `tree`.

    It finds /boot by the UUID of its file system and reads grub.cfg there.

    Args:
        keep: what is at `output` stays, where it was made from these modules.

    Raises:
        BuildError: grub-mkimage failed or is nowhere.
    """
    folder = tree / "usr/lib/grub" / target
    known_as = [tree / "usr/bin" / name for name in tools.names(MKIMAGE)] if programs.of_image else []
    tool = next((path for path in known_as if path.is_file()), None)
    if keep and is_newer(output, [*folder.iterdir(), *([tool] if tool else [])]):
        return
    known = {path.stem for path in folder.glob("*.mod")}
    names = [*modules, *MODULES, *(name for name in OPTIONAL if name in known)]
    if (reader := KINDS[layout.boot.placed.fstype].grub) is not None:
        names.append(reader)
    words = ["-O", target, "-p", prefix(layout)]
    early = early_configuration(layout)
    if tool:
        words = ["-d", str(folder), *words]
        read = {str(path): _digest(path) for path in (tool, *folder.iterdir()) if path.is_file()}
        made = programs.remember(
            [read, words, names, early], lambda: _by_image(tree, tool, words, names, early, programs)
        )
    else:
        made = _by_host(folder, words, names, early, programs)
    output.parent.mkdir(parents=True, exist_ok=True)
    output.unlink(missing_ok=True)
    output.write_bytes(made, mode=0o644)


def _by_image(
    tree: TreePath, tool: TreePath, words: Sequence[str], names: Sequence[str], early: str, programs: Programs
) -> bytes:
    """Run the tool that came with the modules: it fits them, a newer or older one may not."""
    assert programs.of_image is not None
    work = tree / f"boot/.openstack-builder-{secrets.token_hex(8)}"
    work.mkdir(mode=0o700)
    try:
        (work / "early.cfg").write_text(early)
        programs.of_image([str(tool), *words, "-c", f"{work}/early.cfg", "-o", f"{work}/image", *names])
        return (work / "image").read_bytes()
    finally:
        work.remove()


def _by_host(
    folder: TreePath, words: Sequence[str], names: Sequence[str], early: str, programs: Programs
) -> bytes:
    """Run the host's tool, on copies and in a room: the modules are somebody's, links among them lead out."""
    with tempfile.TemporaryDirectory(prefix="openstack-builder-") as temporary:
        work = Path(temporary)
        (work / "modules").mkdir()
        for path in folder.iterdir():
            if path.is_file():
                path.copy_out(work / "modules" / path.name)
        (work / "early.cfg").write_text(early)
        argv: list[str | Path] = [
            "-d",
            work / "modules",
            *words,
            "-c",
            work / "early.cfg",
            "-o",
            work / "image",
            *names,
        ]
        run_apart(programs.runner, [MKIMAGE, *argv], writable=work, room=LARGEST)
        return (work / "image").read_bytes()


def _digest(path: TreePath) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def is_newer(output: TreePath, inputs: Sequence[TreePath]) -> bool:
    """Say whether `output` was made when all `inputs` were there: by ctime, which no package sets."""
    return output.is_file() and output.lstat().st_ctime >= max(path.lstat().st_ctime for path in inputs)


def early_configuration(layout: DiskLayout) -> str:
    """Return the commands that GRUB's core runs first: find the file system of /boot."""
    return f"search.fs_uuid {layout.boot.placed.uuid} root\nset prefix=($root){prefix(layout)}\n"


def prefix(layout: DiskLayout) -> str:
    """Return GRUB's folder as seen from the root of the file system that holds /boot."""
    return f"{boot_path(layout)}/grub2"


def boot_path(layout: DiskLayout) -> str:
    """Return /boot as GRUB sees it: empty where it is a file system of its own.

    Of a btrfs GRUB sees the top level, and its subvolumes as folders.
    """
    return layout.boot.top + ("" if layout.mounted("/boot") else "/boot")
