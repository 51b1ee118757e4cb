# SPDX-License-Identifier: MIT
"""Run programs of the image, and the kickstart's scripts, where they can only harm the image.

Two rooms, both by bubblewrap, inside the namespaces that the build already has:

- the image: / is the tree, with own /proc, /dev, /run and pid, ipc, uts and network namespaces;
- the installer: the host's programs read-only, the tree at /mnt/sysimage, for %pre and --nochroot.

There is no disk in their /dev, which holds 1 MiB: what writes to /dev/sda fills that. What a program
leaves running dies with it.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from builder.errors import CommandFailed
from builder.image.build import TREE, Build
from builder.image.isolation import mounts
from builder.runner import Completed

RUN_BYTES = 64 << 20
SHIMS = Path("/run/openstack-builder/bin")
SCRIPT = Path("/run/openstack-builder/script")
ENVIRONMENT = {
    "PATH": f"{SHIMS}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "USER": "root",
    "LOGNAME": "root",
    "TERM": "dumb",
    # systemctl and friends: change files, talk to nobody (systemd's ENVIRONMENT.md).
    "SYSTEMD_OFFLINE": "1",
    "SYSTEMD_IGNORE_CHROOT": "",
}
# What authors of kickstarts call in %post, and the build does itself: the boot loader comes when the disk
# does, and every file gets its label in the end.
SHIMMED = {
    "grub-install": "the boot loader is installed when the disk is written",
    "grub2-install": "the boot loader is installed when the disk is written",
    "extlinux": "the boot loader is installed when the disk is written",
    "fixfiles": "files are labelled when the image is sealed",
    "restorecon": "files are labelled when the image is sealed",
    "fstrim": "free space is never stored",
}


def run_in_image(
    build: Build,
    argv: Sequence[str],
    *,
    input: str | None = None,
    ok: Sequence[int] = (0,),
    network: bool = False,
    log: Path | None = None,
    binds: Sequence[tuple[str, str]] = (),
    shims: bool = False,
) -> Completed:
    """Run a program of the image.

    Args:
        argv: as the image knows it.
        input: text for its stdin.
        ok: exit statuses that are no failure; empty: any.
        network: share the network that the build has.
        log: gets its output; the default captures it.
        binds: read-only (source, target) pairs more.
        shims: put SHIMMED before everything in PATH.

    Raises:
        CommandFailed: as Runner.run.
    """
    words = ["bwrap", "--clearenv", "--bind", TREE, "/", *_rooms(network)]
    words += ["--ro-bind", "/sys", "/sys"]
    if network:
        words += ["--ro-bind", "/etc/resolv.conf", _resolver()]
    return _run(build, words, argv, input=input, ok=ok, log=log, binds=binds, shims=shims)


def run_in_installer(
    build: Build,
    argv: Sequence[str],
    *,
    tree: bool,
    ok: Sequence[int] = (),
    network: bool = False,
    log: Path | None = None,
    binds: Sequence[tuple[str, str]] = (),
) -> Completed:
    """Run a program of the host, read-only, with the tree at /mnt/sysimage where `tree` says so."""
    words: list[str | Path] = ["bwrap", "--clearenv"]
    for name in ("/usr", "/etc"):
        words += ["--ro-bind", name, name]
    for name in ("/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"):
        if os.path.islink(name):
            words += ["--symlink", os.readlink(name), name]
        elif os.path.isdir(name):
            words += ["--ro-bind", name, name]
    for name in ("/tmp", "/var/tmp", "/root"):
        words += ["--bind", f"/var/tmp/installer{name}", name]
        Path(f"/var/tmp/installer{name}").mkdir(parents=True, exist_ok=True)
    words += [*_rooms(network), "--ro-bind", "/sys", "/sys"]
    if tree:
        for name in ("/mnt/sysimage", "/mnt/sysroot"):
            words += ["--bind", TREE, name]
        # What kickstarts made for livecd-tools ask for.
        words += ["--setenv", "INSTALL_ROOT", "/mnt/sysimage", "--setenv", "LIVE_ROOT", "/mnt/sysimage"]
    return _run(build, words, argv, ok=ok, log=log, binds=binds, shims=True)


def make_shims() -> None:
    """Write the programs that stand in for those the build does itself."""
    Path("/tmp/shims").mkdir(exist_ok=True)
    for name, why in SHIMMED.items():
        shim = Path("/tmp/shims", name)
        shim.write_text(f"#!/bin/sh\necho '{name}: not now: {why}' >&2\nexit 0\n")
        shim.chmod(0o755)
    # bubblewrap's own /dev has a tmpfs without a bound.
    if not Path("/tmp/dev").exists():
        mounts.make_devices("/tmp/dev")


def _resolver() -> str:
    """Return where the image looks for its resolver: often behind a link into /run."""
    link = TREE / "etc/resolv.conf"
    if link.is_symlink():
        target = os.path.normpath(os.path.join("/etc", os.readlink(link)))
        if target.startswith("/run/"):
            return target
    return "/etc/resolv.conf"


def _rooms(network: bool) -> list[str | Path]:
    words: list[str | Path] = ["--proc", "/proc", "--dev-bind", "/tmp/dev", "/dev"]
    # A tmpfs of bubblewrap's own has no bound unless told.
    words += ["--size", str(RUN_BYTES), "--tmpfs", "/run"]
    words += ["--unshare-pid", "--unshare-ipc", "--unshare-uts", "--die-with-parent", "--new-session"]
    if not network:
        words.append("--unshare-net")
    return words


def _run(
    build: Build,
    words: list[str | Path],
    argv: Sequence[str],
    *,
    input: str | None = None,
    ok: Sequence[int],
    log: Path | None,
    binds: Sequence[tuple[str, str]],
    shims: bool,
) -> Completed:
    make_shims()
    if shims:
        words += ["--ro-bind", "/tmp/shims", SHIMS]
    for source, target in binds:
        words += ["--ro-bind", source, target]
    words += ["--chdir", "/"]
    for name, value in (ENVIRONMENT | build.reproducible_environment()).items():
        if value:
            words += ["--setenv", name, value]
    words += ["--setenv", "LC_ALL", "C.UTF-8"]
    # A plain user's bubblewrap drops every capability; root of a namespace keeps them only when asked.
    words += ["--cap-add", "ALL"]
    try:
        return build.runner.run([*words, "--", *argv], input=input, ok=ok, log=log)
    except CommandFailed as error:
        error.message = error.message.replace("bwrap failed", f"{argv[0]} failed in the image", 1)
        raise
