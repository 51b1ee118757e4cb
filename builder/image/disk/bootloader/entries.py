# SPDX-License-Identifier: MIT
"""Kernels of the image and their entries in /boot/loader/entries (the Boot Loader Specification, type 1)."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cmp_to_key

from builder.errors import BuildError
from builder.formats.kernel_arguments import for_entry, split
from builder.image.disk.bootloader import grubimage
from builder.image.disk.bootloader.changes import Changes
from builder.image.disk.placement import DiskLayout
from builder.image.tree.files import TreePath
from builder.versions import compare_versions

ENTRIES = "boot/loader/entries"

# GRUB sorts by the names of the files, and first by what is before the version (blscfg.c: bls_cmp): kernels
# that a guest gets later have its machine-id there, in lower case, and must come before those of the image.
PREFIX = "IMAGE"
_OF_A_MACHINE = re.compile(r"[0-9a-f]{32}-(.+)")


@dataclass(frozen=True, kw_only=True, slots=True)
class Kernel:
    """One bootable kernel; its files are named as GRUB finds them."""

    version: str
    title: str
    linux: str
    initrds: tuple[str, ...]
    options: str
    rescue: bool = False


def update(
    tree: TreePath,
    layout: DiskLayout,
    command_line: Sequence[str],
    *,
    keep: bool,
    changes: Changes | None = None,
) -> tuple[Kernel, ...]:
    """Make the entries of `tree` fit the disk, write the missing ones, return all, newest first.

    Paths are rewritten as GRUB sees them. Options become `command_line`; with `keep` only those of new
    entries, what `changes` says, and a wrong `root=`. Variables ($kernelopts, $tuned_params) stay.

    Raises:
        BuildError: there is no kernel.
    """
    folder = tree / ENTRIES
    _rename(folder)
    kernels: dict[str, Kernel] = {}
    for path in sorted(folder.glob("*.conf")):
        old = path.read_text(errors="surrogateescape")
        text = _fit(old, layout, command_line, keep=keep, changes=changes or Changes())
        text = _with_initramfs(text, tree, layout)
        path.write_text(text, errors="surrogateescape")
        kernel = _parse(text, path.stem)
        kernels.setdefault(kernel.linux, kernel)
    for image in sorted((tree / "boot").glob("vmlinuz-*")):
        name = f"{grubimage.boot_path(layout)}/{image.name}"
        if name not in kernels:
            kernels[name] = _write(tree, layout, image.name.removeprefix("vmlinuz-"), command_line)
    if not kernels:
        raise BuildError(
            "no kernel in the image's /boot",
            hint="add kernel to %packages, or write bootloader --location=none",
        )
    return tuple(sorted(kernels.values(), key=cmp_to_key(_compare)))


def _rename(folder: TreePath) -> None:
    """Take the machine-id of the build out of the names of entries: it is random, and no guest's."""
    for path in sorted(folder.glob("*.conf")):
        if (found := _OF_A_MACHINE.fullmatch(path.name)) is not None:
            path.replace(folder / f"{PREFIX}-{found[1]}")


def _fit(text: str, layout: DiskLayout, command_line: Sequence[str], *, keep: bool, changes: Changes) -> str:
    lines = []
    for line in text.splitlines():
        key, _, value = line.partition(" ")
        value = value.strip()
        if key in ("linux", "initrd"):
            line = f"{key} {' '.join(_as_seen(word, layout) for word in value.split())}"
        elif key == "options":
            line = f"options {_fit_options(value, command_line, keep=keep, changes=changes)}"
        lines.append(line)
    return "\n".join(lines) + "\n"


def _as_seen(path: str, layout: DiskLayout) -> str:
    """Return the path of a file of /boot as GRUB sees it; one that is so already, and variables, stay."""
    folder = grubimage.boot_path(layout)
    if not path.startswith("/") or (folder and path.startswith(f"{folder}/")):
        return path
    return f"{folder}/{path.removeprefix('/boot/').lstrip('/')}"


def _fit_options(value: str, command_line: Sequence[str], *, keep: bool, changes: Changes) -> str:
    words = split(value)
    variables = [word for word in words if word.startswith("$")]
    if "$kernelopts" in variables:
        return " ".join(words)  # its value is in grubenv
    if not keep:
        return " ".join([*map(for_entry, command_line), *variables])
    root = next((word for word in command_line if word.startswith("root=")), None)
    kept = [for_entry(root) if root and word.startswith("root=") else word for word in words]
    return " ".join(changed(kept, changes))


def changed(words: Sequence[str], changes: Changes) -> tuple[str, ...]:
    """Return the words of an entry, which are written for GRUB, after a change."""
    written = dataclasses.replace(
        changes,
        removed=tuple(map(for_entry, changes.removed)),
        added=tuple(map(for_entry, changes.added)),
    )
    return written.apply(words)


def _parse(text: str, stem: str) -> Kernel:
    fields: dict[str, list[str]] = {}
    for line in text.splitlines():
        key, _, value = line.partition(" ")
        fields.setdefault(key, []).append(value.strip())

    def first(key: str, default: str = "") -> str:
        return fields.get(key, [default])[0]

    version = first("version") or stem
    return Kernel(
        version=version,
        title=first("title", version),
        linux=first("linux"),
        initrds=tuple(
            word for value in fields.get("initrd", []) for word in value.split() if not word.startswith("$")
        ),
        options=" ".join(fields.get("options", [])),
        rescue="-rescue" in stem or "rescue" in version,
    )


def _write(tree: TreePath, layout: DiskLayout, version: str, command_line: Sequence[str]) -> Kernel:
    """Write the entry of a kernel that has none."""
    initramfs = _find_initramfs(tree, layout, version)
    kernel = Kernel(
        version=version,
        title=f"{_pretty_name(tree)} ({version})",
        linux=f"{grubimage.boot_path(layout)}/vmlinuz-{version}",
        initrds=(initramfs,) if initramfs else (),
        options=" ".join(map(for_entry, command_line)),
        rescue="rescue" in version,
    )
    lines = [f"title {kernel.title}", f"version {version}", f"linux {kernel.linux}"]
    lines += [f"initrd {path}" for path in kernel.initrds]
    lines.append(f"options {kernel.options}")
    folder = tree / ENTRIES
    folder.mkdir(parents=True, exist_ok=True)
    # kernel-install names it by the machine's id, which an image does not have.
    (folder / f"{PREFIX}-{version}.conf").write_text("\n".join(lines) + "\n")
    return kernel


def _with_initramfs(text: str, tree: TreePath, layout: DiskLayout) -> str:
    """Return the entry with its initramfs, which may have been made after it."""
    if re.search(r"^initrd ", text, re.MULTILINE):
        return text
    linux = re.search(r"^linux \S*/vmlinuz-(\S+)", text, re.MULTILINE)
    initramfs = _find_initramfs(tree, layout, linux[1]) if linux else None
    return f"{text}initrd {initramfs}\n" if initramfs else text


def _find_initramfs(tree: TreePath, layout: DiskLayout, version: str) -> str | None:
    """Return the initramfs of a kernel as GRUB sees it."""
    for name in (f"initramfs-{version}.img", f"initrd.img-{version}", f"initrd-{version}"):
        if (tree / "boot" / name).is_file():
            return f"{grubimage.boot_path(layout)}/{name}"
    return None


def _pretty_name(tree: TreePath) -> str:
    for name in ("etc/os-release", "usr/lib/os-release"):
        path = tree / name
        if path.is_file():
            found = re.search(r'^PRETTY_NAME="?([^"\n]*)', path.read_text(errors="replace"), re.MULTILINE)
            if found:
                return found[1]
    return "Linux"


def _compare(one: Kernel, other: Kernel) -> int:
    """Order for the menu: newest first, rescue last."""
    if one.rescue != other.rescue:
        return 1 if one.rescue else -1
    return -compare_versions(one.version, other.version)
