# SPDX-License-Identifier: MIT
"""Make a generic initramfs for each kernel by the image's own dracut(8), or take it from the cache.

The cache's key is everything that dracut reads: the packages, and the files that configure it.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from builder.errors import BuildError, InputError
from builder.files import digest_of, sha256_file
from builder.image import tree
from builder.image.build import TREE, Build
from builder.image.cpio import device_nodes
from builder.image.sandbox import run_in_image

# Where a build's cache of initramfs is bound inside.
CACHE = Path("/initramfs")

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
    build.facts.kernels = kernels
    if not kernels:
        if build.plan.bootloader.disabled or build.plan.bootloader.location == "none":
            return "no kernel, and no boot loader asked for"
        raise InputError(
            "%packages: no package of the image brings a kernel",
            hint="put kernel-core into %packages, or write bootloader --location=none",
        )
    if not tree.path("/usr/bin/dracut").exists():
        raise InputError("%packages: there is no dracut in the image", hint="put dracut into %packages")
    cached = [_make(build, kernel) for kernel in kernels]
    build.facts.initramfs_cached = all(cached)
    how = "from the cache" if all(cached) else "made by dracut"
    return f"{', '.join(kernels)}  {how}"


def find_kernels() -> tuple[str, ...]:
    """Return the versions of the image's kernels, newest first."""
    folder = tree.path("/usr/lib/modules")
    found = [path.parent.name for path in folder.glob("*/vmlinuz")] if folder.is_dir() else []
    return tuple(sorted(found, key=version_key, reverse=True))


def version_key(version: str) -> list[tuple[int, str]]:
    """Return a key that sorts 6.10 behind 6.9."""
    words = version.replace("-", ".").split(".")
    return [(int(word), "") if word.isdigit() else (-1, word) for word in words]


def _make(build: Build, kernel: str) -> bool:
    """Put kernel and initramfs into /boot; say whether the initramfs came from the cache."""
    boot = tree.path("/boot")
    if not (boot / f"vmlinuz-{kernel}").exists():
        shutil.copyfile(tree.path(f"/usr/lib/modules/{kernel}/vmlinuz"), boot / f"vmlinuz-{kernel}")
    target = boot / f"initramfs-{kernel}.img"
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
    temporary = CACHE / f".{key}.{build.seed}"
    shutil.copyfile(target, temporary)
    temporary.rename(cached)
    return False


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
