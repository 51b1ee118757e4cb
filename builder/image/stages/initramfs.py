# SPDX-License-Identifier: MIT
"""Make a generic initramfs for each kernel by the image's own dracut(8), or take it from the cache.

Before %post, so that what goes into the cache comes from packages and the kickstart's commands alone. Scripts
may change what dracut reads: then it is made once more, for this image only. The cache is the outside's, and
takes nothing any more when scripts begin: what they made may have taken our own code over by then. An entry's
name says the packages and the digest of all else that dracut reads, and the digest of its content.
"""

from __future__ import annotations

import hashlib
import re
import stat
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from builder import entries
from builder.errors import BuildError, InputError
from builder.files import digest_of
from builder.image.build import Build, Initramfs
from builder.image.isolation.door import Request
from builder.image.isolation.sandbox import run_in_image
from builder.image.isolation.wire import WireError
from builder.image.tree import tree
from builder.image.tree.cpio import device_nodes
from builder.image.tree.files import TreePath, changed_since
from builder.image.tree.kernels import find_kernels, initramfs_of, install_kernel
from builder.image.turns import Turn
from builder.kickstart.disk.boot import has_loader
from builder.kickstart.plan import ScriptSection

# So many are kept: about 25 MB each.
KEPT = 20

# What %post or a kickstart's command may change of dracut's inputs (dracut.conf(5), dracut.modules(7)).
INPUTS = (
    "etc/dracut.conf", "etc/dracut.conf.d", "usr/lib/dracut", "etc/modprobe.d", "etc/modules-load.d",
    "etc/vconsole.conf", "etc/locale.conf", "etc/crypttab", "etc/udev/rules.d", "etc/sysctl.conf",
    "etc/sysctl.d", "etc/systemd/system.conf", "etc/systemd/journald.conf", "etc/ld.so.conf.d",
    "etc/lvm", "etc/multipath.conf", "etc/mdadm.conf", "etc/cmdline.d",
    "etc/alternatives", "etc/ld.so.conf", "etc/ld.so.preload",
)  # fmt: skip
# As dracut leaves it: there may be secrets in an initramfs.
MODE = 0o600
OPTIONS = ("--force", "--no-hostonly", "--reproducible", "--quiet")


def run(build: Build) -> str:
    """Make what is missing in /boot; without dracut do nothing: scripts may still install it."""
    kernels = find_kernels() if tree.path("/usr/bin/dracut").exists() else ()
    cached = [_provide(build, kernel) for kernel in kernels]
    build.ask("share", "")
    if not kernels:
        return "not yet"
    return f"{', '.join(kernels)}  {'from the cache' if all(cached) else 'made by dracut'}"


def renew(build: Build, since: int) -> bool:
    """Make again what scripts made stale; say whether there was anything.

    Args:
        since: the time of the tree (`builder.image.tree.tree.now`) at which scripts began.
    """
    kernels = find_kernels()
    if not kernels:
        if has_loader(build.plan.bootloader):
            raise BuildError("no kernel is left in the image: a %post script removed it", log=build.log)
        return False
    if not tree.path("/usr/bin/dracut").exists():
        raise InputError("%packages: dracut is not in the image", hint="add dracut to %packages")
    usr_changed = changed_since(tree.path("/usr"), since, but=("lib/sysimage",))
    renewed = False
    for kernel in kernels:
        known = build.initramfs.get(kernel)
        if known is None or usr_changed or known.inputs != digest_inputs():
            _put(kernel, _run_dracut(build, kernel))
            renewed = True
        elif initramfs_of(kernel).lstat().st_ctime_ns > since:
            _put(kernel, known.content)
    return renewed


def _provide(build: Build, kernel: str) -> bool:
    """Put kernel and initramfs into /boot; say whether the initramfs came from the cache."""
    install_kernel(kernel)
    inputs = digest_inputs()
    key = digest_of([kernel, inputs])
    content, cached = recall(build, "initramfs", key, partial(_run_dracut, build, kernel))
    _put(kernel, content)
    build.initramfs[kernel] = Initramfs(inputs=inputs, content=content)
    return cached


def recall(build: Build, cache: str, key: str, make: Callable[[], bytes]) -> tuple[bytes, bool]:
    """Return what programs of the packages made of a key before scripts ran, and whether it was in the cache.

    Args:
        cache: its name (`requests`).
        make: makes it; the cache gets that.
    """
    if not _is_cacheable(build):
        return make(), False
    if content := build.ask(cache, key):
        return content, True
    content = make()
    build.ask(f"keep {cache}", key, content)
    return content, False


def _is_cacheable(build: Build) -> bool:
    """Say whether packages of known digests, and nothing else, have touched the tree so far."""
    return not build.scripts(ScriptSection.PRE_INSTALL) and all(one.sha256 for one in build.facts.packages)


def _run_dracut(build: Build, kernel: str) -> bytes:
    target = initramfs_of(kernel)
    target.unlink(missing_ok=True)
    argv = ["dracut", *OPTIONS, "--kver", kernel, str(target)]
    run_in_image(build, argv, log=build.log)
    if not target.is_file() or not target.stat().st_size:
        raise BuildError(f"dracut made no initramfs for kernel {kernel}", log=build.log)
    return device_nodes() + target.read_bytes()


def _put(kernel: str, content: bytes) -> None:
    """Put an initramfs into /boot, as a file of its own whatever is there."""
    target = initramfs_of(kernel)
    target.unlink(missing_ok=True)
    target.write_bytes(content, mode=MODE)


def digest_inputs() -> str:
    """Return the digest of what dracut reads besides the packages' programs."""
    found: dict[str, str] = {}
    for name in INPUTS:
        top = tree.path(name)
        _look(top, found)
        if top.is_symlink():
            for path in top.iterdir():
                _look(path, found)
    return digest_of(found)


def _look(path: TreePath, found: dict[str, str]) -> None:
    """Enter a path with the digest of the file, or what the link says, and what is below the folder."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if stat.S_ISLNK(mode):
        found[str(path)] = path.readlink()
    elif stat.S_ISREG(mode):
        found[str(path)] = hashlib.sha256(path.read_bytes()).hexdigest()
    elif stat.S_ISDIR(mode):
        for child in path.iterdir():
            _look(child, found)


def requests(build: Build, folders: Mapping[str, Path], turn: Turn) -> dict[str, Request]:
    """Return what the inside may ask of the caches in `folders`, by their names: this image's packages only.

    And what it says when builds that wait for the same, by their `turn`, find it there.
    """
    packages = sorted((package.nevra, package.sha256) for package in build.facts.packages)
    chosen = build.plan.packages
    begun: list[bool] = []
    state = digest_of([packages, chosen.docs, chosen.languages, OPTIONS, device_nodes().hex()])

    def place(key: str) -> str:
        if not re.fullmatch("[0-9a-f]{64}", key):
            raise BuildError("the build sandbox asks for something that is not in a cache")
        return digest_of([state, key])

    def find(folder: Path, key: str, _: bytes) -> bytes:
        return entries.load(folder, place(key)) or b""

    def keep(folder: Path, key: str, content: bytes) -> bytes:
        if begun:
            raise WireError("the build's inside wants something kept after scripts have begun")
        entries.store(content, folder, place(key), files=KEPT)
        return b""

    def share(_: str, __: bytes) -> bytes:
        begun.append(True)
        turn.share()
        return b""

    found: dict[str, Request] = {"share": share}
    for name, folder in folders.items():
        found |= {name: partial(find, folder), f"keep {name}": partial(keep, folder)}
    return found
