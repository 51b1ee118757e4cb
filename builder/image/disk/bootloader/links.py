# SPDX-License-Identifier: MIT
"""Links of the image in the places where the boot loader is written.

An absolute link means a place of the image to the guest, but of the build's own world to us: a script
could have bytes written there, or read from there.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from builder.errors import BuildError

_PLACES = (
    *(
        "boot",
        "boot/efi",
        "efi",
        "usr",
        "usr/lib",
        "boot/grub2",
        "boot/loader",
        "usr/lib/grub",
        "usr/lib/efi",
    ),
    *("etc", "etc/default", "etc/default/grub", "etc/kernel", "etc/kernel/cmdline"),
)
_WHOLE = ("boot/grub2", "boot/loader", "boot/efi", "efi", "usr/lib/grub", "usr/lib/efi")


def refuse_leading_out(tree: Path) -> None:
    """Look at every link that is in the way.

    Raises:
        BuildError: naming the first that leads out of the tree.
    """
    top = tree.resolve()
    for path in _in_the_way(tree):
        if path.is_symlink() and not path.resolve().is_relative_to(top):
            raise BuildError(
                f"/{path.relative_to(tree)} is a link to {path.readlink()}, out of the boot loader's reach",
                hint="make the link relative, or leave it to the packages",
            )


def _in_the_way(tree: Path) -> Iterator[Path]:
    for place in _PLACES:
        yield tree / place
    for place in _WHOLE:
        # Links to folders are not followed.
        yield from (tree / place).rglob("*")
