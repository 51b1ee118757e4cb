# SPDX-License-Identifier: MIT
"""The resolver that a script finds, and what stays of it: what the author wrote, nothing of the host's."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from builder.image.build import Build
from builder.image.isolation import sandbox
from builder.image.tree import tree
from builder.image.tree.files import TreePath


@contextmanager
def resolver(build: Build, who: str, *, chroot: bool) -> Iterator[None]:
    """Give a script of `who` an /etc/resolv.conf to read and write, as Anaconda does.

    With the network it is the host's. A link into /run leads to a file that lives as long as the script. What
    the script wrote there would be lost: a file with it takes the place of the link, unless it says nothing
    (`echo >/etc/resolv.conf` in published kickstarts wants the installer's servers out).
    """
    path = tree.path("/etc/resolv.conf")
    ours = Path("/etc/resolv.conf").read_bytes() if build.options.network else b""
    if chroot and path.is_symlink():
        with _standing_in(ours):
            yield
            written = sandbox.RESOLVER.read_bytes().removeprefix(ours)
        if _says_anything(written) and path.is_symlink():
            path.unlink()
            path.write_bytes(written, mode=0o644)
            build.facts.authored[str(path)] = who
    elif chroot and build.options.network and path.parent.is_dir():
        before = path.read_bytes() if path.is_file() else None
        path.write_bytes(ours)
        yield
        _take_back(path, ours, before)
    else:
        yield


@contextmanager
def _standing_in(text: bytes) -> Iterator[None]:
    sandbox.RESOLVER.write_bytes(text)
    os.chmod(sandbox.RESOLVER, 0o644)
    try:
        yield
    finally:
        sandbox.RESOLVER.unlink()


def _take_back(path: TreePath, ours: bytes, before: bytes | None) -> None:
    """Take the host's resolver out of the image, as far as the script left it there."""
    if path.is_symlink() or not path.is_file():
        return
    now = path.read_bytes()
    if now == ours:
        if before is None:
            path.unlink()
        else:
            path.write_bytes(before)
    elif (added := now.removeprefix(ours)) != now:
        path.write_bytes(added)


def _says_anything(text: bytes) -> bool:
    """Return whether a resolv.conf(5) holds more than comments."""
    return any(line.strip() and line.lstrip()[:1] not in (b"#", b";") for line in text.splitlines())
