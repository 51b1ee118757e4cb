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
    """Give a script of `who` an /etc/resolv.conf of the image to read and write, as Anaconda does.

    With the network it is the host's, for a script inside the image. A link into /run leads to a file that
    lives as long as the script. What the script wrote there would be lost: a file with it takes the place of
    the link, unless it says nothing (`echo >/etc/resolv.conf` of published kickstarts wants the installer's
    servers out).
    """
    path, here = tree.path("/etc/resolv.conf"), Path("/etc/resolv.conf")
    hosts = here.read_bytes() if here.is_file() else b""
    given = hosts if build.options.network else b""
    if path.is_symlink():
        with _standing_in(given):
            yield
            written = sandbox.RESOLVER.read_bytes().removeprefix(hosts)
        if _says_anything(written) and path.is_symlink():
            path.unlink()
            path.write_bytes(written, mode=0o644)
            build.facts.authored[str(path)] = who
        return
    before = path.read_bytes() if path.is_file() else None
    if chroot and given and path.parent.is_dir():
        path.write_bytes(given)
    yield
    if hosts:
        _take_back(path, hosts, before)


@contextmanager
def _standing_in(text: bytes) -> Iterator[None]:
    sandbox.RESOLVER.write_bytes(text)
    os.chmod(sandbox.RESOLVER, 0o644)
    try:
        yield
    finally:
        sandbox.RESOLVER.unlink()


def _take_back(path: TreePath, hosts: bytes, before: bytes | None) -> None:
    """Take the host's resolver out of the image, as far as the script left or put it there."""
    if path.is_symlink() or not path.is_file():
        return
    now = path.read_bytes()
    if now == hosts:
        if before is None:
            path.unlink()
        else:
            path.write_bytes(before)
    elif (added := now.removeprefix(hosts)) != now:
        path.write_bytes(added)


def _says_anything(text: bytes) -> bool:
    """Return whether a resolv.conf(5) holds more than comments."""
    return any(line.strip() and line.lstrip()[:1] not in (b"#", b";") for line in text.splitlines())
