# SPDX-License-Identifier: MIT
"""GRUB images from the image's own modules, by grub-mkimage(1): the tree's, or else the host's."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from builder import tools
from builder.image.disk.placement import DiskLayout
from builder.runner import Runner

# What GRUB needs until it can load more from /boot/grub2, and what a menu uses.
MODULES = (
    *("part_gpt", "part_msdos", "ext2", "fat", "search", "search_fs_uuid", "normal", "configfile", "linux"),
    *("test", "echo", "ls", "cat", "minicmd", "serial", "terminal", "loadenv", "gzio", "sleep", "reboot"),
    *("halt", "regexp", "all_video"),
)
# Named only where the image's GRUB has them: distributions differ.
OPTIONAL = ("blscfg", "increment", "password_pbkdf2", "chain", "version")


@dataclass(frozen=True, kw_only=True, slots=True)
class Programs:
    """How to run programs: the host's by `runner`, the image's by `of_image` (argv as it knows it)."""

    runner: Runner
    of_image: Callable[[Sequence[str]], object]


MKIMAGE = "grub-mkimage"


def make(
    tree: Path,
    layout: DiskLayout,
    target: str,
    output: Path,
    *,
    modules: Sequence[str],
    keep: bool,
    programs: Programs,
) -> None:
    """Make the image for `target` (i386-pc, x86_64-efi) at `output`, which lies in `tree`.

    It finds /boot by the UUID of its file system and reads grub.cfg there.

    Args:
        keep: what is at `output` stays, where it was made from these modules.

    Raises:
        BuildError: grub-mkimage failed or is nowhere.
    """
    folder = tree / "usr/lib/grub" / target
    known_as = [tree / "usr/bin" / name for name in tools.names(MKIMAGE)]
    tool = next((path for path in known_as if path.is_file()), None)
    if keep and _is_newer(output, [*folder.iterdir(), *([tool] if tool else [])]):
        return
    known = {path.stem for path in folder.glob("*.mod")}
    names = [*modules, *MODULES, *(name for name in OPTIONAL if name in known)]
    work = Path(tempfile.mkdtemp(prefix=".grub-", dir=output.parent))
    try:
        early = work / "early.cfg"
        early.write_text(early_configuration(layout))

        def seen(path: Path) -> str:
            return f"/{path.relative_to(tree)}" if tool else str(path)

        made = work / "image"
        argv = ["-d", seen(folder), "-O", target, "-p", prefix(layout)]
        argv += ["-c", seen(early), "-o", seen(made), *names]
        if tool:
            # The tool that came with the modules fits them; a newer or older one may not.
            programs.of_image([seen(tool), *argv])
        else:
            programs.runner.run([MKIMAGE, *argv])
        made.chmod(0o644)
        made.replace(output)
    finally:
        shutil.rmtree(work)


def _is_newer(output: Path, inputs: Sequence[Path]) -> bool:
    """Say whether `output` was made when all `inputs` were there: by ctime, which no package sets."""
    return output.is_file() and output.lstat().st_ctime >= max(path.lstat().st_ctime for path in inputs)


def early_configuration(layout: DiskLayout) -> str:
    """Return the commands that GRUB's core runs first: find the file system of /boot."""
    return f"search.fs_uuid {layout.boot.uuid} root\nset prefix=($root){prefix(layout)}\n"


def prefix(layout: DiskLayout) -> str:
    """Return GRUB's folder as seen from the root of the file system that holds /boot."""
    return f"{boot_path(layout)}/grub2"


def boot_path(layout: DiskLayout) -> str:
    """Return /boot as GRUB sees it: empty where it is a file system of its own."""
    return "" if layout.mounted("/boot") else "/boot"
