# SPDX-License-Identifier: MIT
"""Make a generic initramfs for each kernel by the image's own dracut(8), or take it from the cache.

The cache's key is everything that dracut reads: the packages, and the files that configure it.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from builder.errors import BuildError, InputError
from builder.files import digest_of, remove_stale, sha256_file, write_atomic
from builder.image.build import TREE, Build
from builder.image.disk import layout
from builder.image.isolation.sandbox import run_in_image
from builder.image.stages import bootfiles
from builder.image.tree import tree
from builder.image.tree.cpio import device_nodes
from builder.image.tree.kernels import find_kernels, initramfs_of, install_kernel

# Where a build's cache of initramfs is bound inside.
CACHE = Path("/initramfs")
# So many are kept: about 25 MB each.
KEPT = 20

# What %post or a kickstart's command may change of dracut's inputs (dracut.conf(5), dracut.modules(7)).
INPUTS = (
    "etc/dracut.conf", "etc/dracut.conf.d", "usr/lib/dracut", "etc/modprobe.d", "etc/modules-load.d",
    "etc/vconsole.conf", "etc/locale.conf", "etc/crypttab", "etc/udev/rules.d", "etc/sysctl.conf",
    "etc/sysctl.d", "etc/systemd/system.conf", "etc/systemd/journald.conf", "etc/ld.so.conf.d",
    "etc/lvm", "etc/multipath.conf", "etc/mdadm.conf", "etc/cmdline.d",
)  # fmt: skip
# As dracut leaves it: there may be secrets in an initramfs.
MODE = 0o600
OPTIONS = ("--force", "--no-hostonly", "--reproducible", "--quiet")


def run(build: Build) -> str:
    """Make what is missing in /boot."""
    kernels = find_kernels()
    if not kernels:
        if layout.has_loader(build.plan.bootloader):
            raise BuildError("no kernel is left in the image: a %post script removed it", log=build.log)
        bootfiles.complete(build)
        return "no kernel"
    if not tree.path("/usr/bin/dracut").exists():
        raise InputError("%packages: there is no dracut in the image", hint="put dracut into %packages")
    cached = [_make(build, kernel) for kernel in kernels]
    bootfiles.complete(build)
    how = "from the cache" if all(cached) else "made by dracut"
    return f"{', '.join(kernels)}  {how}"


def _make(build: Build, kernel: str) -> bool:
    """Put kernel and initramfs into /boot; say whether the initramfs came from the cache."""
    install_kernel(kernel)
    target = initramfs_of(kernel)
    key = cache_key(build, kernel)
    cached = CACHE / key
    if cached.is_file():
        shutil.copyfile(cached, target)
        target.chmod(MODE)
        os.utime(cached)
        return True
    argv = ["dracut", *OPTIONS, "--kver", kernel, f"/boot/initramfs-{kernel}.img"]
    run_in_image(build, argv, log=build.log)
    if not target.is_file() or not target.stat().st_size:
        raise BuildError(f"dracut made no initramfs for kernel {kernel}", log=build.log)
    made = target.read_bytes()
    target.write_bytes(device_nodes() + made)
    target.chmod(MODE)
    write_atomic(cached, target.read_bytes(), mode=MODE)
    _forget_old()
    return False


def _forget_old() -> None:
    """Keep what was used last, and nothing of killed builds."""
    remove_stale(CACHE)
    by_use = sorted(CACHE.glob("[!.]*"), key=lambda path: path.stat().st_mtime)
    for path in by_use[:-KEPT]:
        path.unlink(missing_ok=True)


def cache_key(build: Build, kernel: str) -> str:
    """Return the digest of all that decides an initramfs."""
    inputs = {}
    for name in INPUTS:
        path = TREE / name
        files = [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file())
        inputs.update({os.fspath(file.relative_to(TREE)): sha256_file(file) for file in files})
    nodes = device_nodes().hex()
    packages = [(package.nevra, package.sha256) for package in build.facts.packages]
    return digest_of([kernel, OPTIONS, nodes, sorted(packages), inputs])
