# SPDX-License-Identifier: MIT
"""GRUB's menu: grub.cfg, grubenv, user.cfg, and what later kernel updates read (/etc/default/grub,
/etc/kernel/cmdline).

Where the image's GRUB reads Boot Loader Specification entries (Fedora, EL), grub.cfg leaves the menu to
them; elsewhere the menu is written out, between two marks.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence
from functools import partial

from builder.errors import BuildError
from builder.formats.kernel_arguments import (
    for_defaults,
    for_entry,
    for_menu,
    for_menu_of,
    split,
    variables_for,
)
from builder.image.disk.bootloader import grubimage
from builder.image.disk.bootloader.changes import Changes
from builder.image.disk.bootloader.entries import Kernel, changed
from builder.image.disk.placement import DiskLayout
from builder.image.tree.files import TreePath
from builder.kickstart.plan import Bootloader, Password

HEADER = "# Written with the image. grub2-mkconfig replaces it."
BEGIN, END = "### BEGIN kernels ###", "### END kernels ###"
DEFAULT_TIMEOUT = 1
ENVIRONMENT_SIZE = 1024

# As the installer writes it (pyanaconda, bootloader: write_sysconfig_kernel). Without it a guest goes on
# booting the kernel of the image, whatever it updates: nothing sets saved_entry (grub2-get-kernel-settings,
# kernel-install's 20-grub.install).
LATER_KERNELS = """\
# UPDATEDEFAULT specifies if kernel-install should make
# new kernels the default
UPDATEDEFAULT=yes

# DEFAULTKERNEL specifies the default kernel package type
DEFAULTKERNEL={package}
"""

# What is there, what would be written -> what is written.
Merge = Callable[[str, str], str]


def write(
    tree: TreePath,
    layout: DiskLayout,
    bootloader: Bootloader,
    *,
    command_line: Sequence[str],
    kernels: Sequence[Kernel],
    reads_entries: bool,
    keep: bool,
    changes: Changes | None = None,
    before: str = "",
    kernel_package: str = "kernel-core",
) -> None:
    """Write the files of the menu into `tree`.

    Args:
        kernel_package: the package whose later kernels are the default.
        reads_entries: GRUB reads the entries by itself.
        keep: leave what exists as it is, but for the kernels in a menu of ours, and for `changes`.
        before: grub.cfg before the scripts, by which their edits are known.

    Raises:
        BuildError: entries want more of GRUB's environment than it holds.
    """
    grub = tree / "boot/grub2"
    text = render(layout, bootloader, command_line=command_line, kernels=kernels, reads_entries=reads_entries)
    wanted = changes or Changes()
    merge_menu = partial(_merge_menu, wanted, before) if keep else None
    _write_file(grub / "grub.cfg", text, mode=0o600, merge=merge_menu)
    variables = variables_for(command_line)
    if reads_entries:
        variables = {**_kernel_variables(command_line, kernels), **variables}
    if reads_entries and grubimage.boot_path(layout):
        # Read by grubby and grub2-mkconfig of EL 8; the default is /loader/entries.
        variables["blsdir"] = "/boot/loader/entries"
    again = None if not keep or wanted != Changes() else _old
    _write_file(grub / "grubenv", environment_block(variables), mode=0o644, merge=again)
    password = hash_password(bootloader.password, salt=layout.identifier)
    if password:
        _write_file(grub / "user.cfg", f"GRUB2_PASSWORD={password}\n", mode=0o600, merge=None)
    if not keep:
        _write_defaults(tree, bootloader, command_line, reads_entries=reads_entries)
        later_kernels = LATER_KERNELS.format(package=kernel_package)
        _write_file(tree / "etc/sysconfig/kernel", later_kernels, mode=0o644, merge=_old)
    later = " ".join(map(for_entry if reads_entries else str, command_line)) + "\n"
    merge = partial(_merge_command_line, wanted) if keep else None
    _write_file(tree / "etc/kernel/cmdline", later, mode=0o644, merge=merge)


def _kernel_variables(command_line: Sequence[str], kernels: Sequence[Kernel]) -> dict[str, str]:
    """Return all arguments, which entries of EL 8 want of grubenv."""
    found = {}
    text = " ".join(map(for_menu, command_line))
    wanted = any("$kernelopts" in kernel.options for kernel in kernels)
    if wanted or len(text) < ENVIRONMENT_SIZE // 2:
        found["kernelopts"] = text
    return found


def render(
    layout: DiskLayout,
    bootloader: Bootloader,
    *,
    command_line: Sequence[str],
    kernels: Sequence[Kernel],
    reads_entries: bool,
) -> str:
    """Return grub.cfg."""
    timeout = DEFAULT_TIMEOUT if bootloader.timeout is None else bootloader.timeout
    lines = [
        HEADER,
        f"set timeout={timeout}",
        "if [ -s $prefix/grubenv ]; then",
        "  load_env",
        "fi",
        'if [ -n "${saved_entry}" ]; then',
        '  set default="${saved_entry}"',
        "else",
        '  set default="0"',
        "fi",
    ]
    speed = serial_speed(command_line)
    if speed:
        # UEFI shows its console on the serial line by itself: everything would be there twice. And a
        # machine without the port would be left without any terminal.
        lines += [
            'if [ "$grub_platform" != "efi" ]; then',
            f"  if serial --unit={speed[0]} --speed={speed[1]}; then",
            "    terminal_input serial console",
            "    terminal_output serial console",
            "  fi",
            "fi",
        ]
    lines += [
        "if [ -f $prefix/user.cfg ]; then",
        "  source $prefix/user.cfg",
        '  if [ -n "${GRUB2_PASSWORD}" ]; then',
        '    set superusers="root"',
        "    export superusers",
        "    password_pbkdf2 root ${GRUB2_PASSWORD}",
        "  fi",
        "fi",
        f"search --no-floppy --fs-uuid --set=root {layout.boot.placed.uuid}",
        "",
    ]
    if reads_entries:
        lines += [
            # What blscfg writes into each entry calls it; grub2-mkconfig's header has one too. Without it
            # GRUB shows an error, and waits ten seconds for somebody to read it.
            "function load_video {",
            "  insmod all_video",
            "}",
            'if [ -z "${kernelopts}" ]; then',
            f'  set kernelopts="{_quote(" ".join(map(for_menu, command_line)))}"',
            "fi",
            "set boot=$root",
            f"set blsdir={grubimage.boot_path(layout)}/loader/entries",
            "insmod blscfg",
            "blscfg",
        ]
    else:
        lines += [BEGIN, *(line for kernel in kernels for line in _entry(kernel, command_line)), END]
    return "\n".join(lines) + "\n"


def _entry(kernel: Kernel, command_line: Sequence[str]) -> list[str]:
    words: list[str] = []
    variables = variables_for(command_line)
    for word in split(kernel.options):
        if word == "$kernelopts":
            words += map(for_menu, command_line)
        elif not (written := for_menu_of(word, variables)).startswith("$"):
            words.append(written)
    lines = [
        f"menuentry '{_quote_name(kernel.title)}' --id '{_quote_name(kernel.version)}' --unrestricted {{",
        f"  linux {kernel.linux} {' '.join(words)}",
    ]
    if kernel.initrds:
        lines.append(f"  initrd {' '.join(kernel.initrds)}")
    return [*lines, "}"]


def _quote(text: str) -> str:
    return re.sub(r'(["\\$`])', r"\\\1", text)


def _quote_name(text: str) -> str:
    return text.replace("'", "")


def serial_speed(command_line: Sequence[str]) -> tuple[int, int] | None:
    """Return unit and speed of the serial console of the kernel, the last one; None without one."""
    found = None
    for word in command_line:
        match = re.fullmatch(r"console=ttyS(\d+)(?:,(\d+).*)?", word)
        if match:
            found = (int(match[1]), int(match[2] or 115200))
    return found


def environment_block(variables: dict[str, str]) -> str:
    """Return a grubenv: always 1024 bytes, filled with # (grub-editenv).

    Raises:
        BuildError: the variables do not fit.
    """
    lines = ["# GRUB Environment Block"]
    lines += [f"{name}={value}".replace("\\", "\\\\") for name, value in variables.items()]
    text = "\n".join(lines) + "\n"
    if len(text.encode()) > ENVIRONMENT_SIZE:
        raise BuildError(
            "the kernel arguments do not fit into GRUB's environment of 1024 bytes",
            hint="shorten bootloader --append",
        )
    return text + "#" * (ENVIRONMENT_SIZE - len(text.encode()))


def hash_password(password: Password, *, salt: str) -> str | None:
    """Return the password as GRUB holds it (grub-mkpasswd-pbkdf2); None where there is none.

    The salt follows from a text of the image's own: the same input gives the same bytes.
    """
    if password.hash:
        return password.hash
    if not password.plain:
        return None
    grain, rounds = hashlib.sha512(salt.encode()).digest(), 10000
    digest = hashlib.pbkdf2_hmac("sha512", password.plain.encode(), grain, rounds)
    return f"grub.pbkdf2.sha512.{rounds}.{grain.hex().upper()}.{digest.hex().upper()}"


def _write_defaults(
    tree: TreePath, bootloader: Bootloader, command_line: Sequence[str], *, reads_entries: bool
) -> None:
    """Set our keys in /etc/default/grub, whatever else is there."""
    # grub2-mkconfig puts root= and ro there by itself; a later rw goes before its ro.
    ours = [word for word in command_line if not word.startswith("root=") and word != "ro"]
    keys = {
        "GRUB_TIMEOUT": str(DEFAULT_TIMEOUT if bootloader.timeout is None else bootloader.timeout),
        "GRUB_DEFAULT": "saved",
        "GRUB_DISABLE_SUBMENU": "true",
        "GRUB_CMDLINE_LINUX": f'"{_quote(" ".join(map(for_defaults if reads_entries else for_menu, ours)))}"',
        "GRUB_DISABLE_RECOVERY": '"true"',
    }
    speed = serial_speed(command_line)
    if speed:
        keys["GRUB_TERMINAL"] = '"serial console"'
        keys["GRUB_SERIAL_COMMAND"] = f'"serial --unit={speed[0]} --speed={speed[1]}"'
    if reads_entries:
        keys["GRUB_ENABLE_BLSCFG"] = "true"
    path = tree / "etc/default/grub"
    text = path.read_text(errors="surrogateescape") if path.is_file() else ""
    for name, value in keys.items():
        line = f"{name}={value}"
        text, count = re.subn(rf"^{name}=.*$", line.replace("\\", r"\\"), text, flags=re.MULTILINE)
        if not count:
            text += f"{line}\n"
    _write_file(path, text, mode=0o644, merge=None)


def _merge_menu(changes: Changes, before: str, old: str, new: str) -> str:
    """Return the menu as scripts left it, with the kernels of `new`, and what they asked programs for.

    `before` is the menu that they found: an edit of its kernels stays.
    """
    if BEGIN not in old and HEADER not in old and not old.strip():
        old = new  # emptied by `grub2-mkconfig >grub.cfg`
    kernels = re.compile(f"{re.escape(BEGIN)}.*?{re.escape(END)}", re.DOTALL)
    fresh = kernels.search(new)
    if fresh is not None:
        block = _edited(kernels.search(before), kernels.search(old), fresh[0], changes)
        old = kernels.sub(lambda _: block, old, count=1)
    if changes.timeout is not None:
        old = re.sub(r"(?m)^set timeout=.*$", f"set timeout={changes.timeout}", old, count=1)
    if changes.default is not None:
        old = re.sub(r'(?m)^  set default="0"$', f'  set default="{_quote(changes.default)}"', old, count=1)
    if "set kernelopts=" in old:
        options = re.compile(r"(?m)^  set kernelopts=.*$")
        own, found, first = options.search(new), options.search(old), options.search(before)
        is_edited = first is not None and found is not None and first[0] != found[0]
        if not is_edited or changes != Changes():
            old = options.sub(lambda _: own[0] if own else "", old, count=1)
    if changes.custom and changes.custom not in old:
        old += changes.custom
    return old


def _edited(before: re.Match[str] | None, old: re.Match[str] | None, fresh: str, changes: Changes) -> str:
    """Return the part of the menu with the kernels: `fresh`, or with it what a script wrote there by hand."""
    if before is None or old is None or before[0] == old[0]:
        return fresh
    if _LINUX.sub("", fresh) == _LINUX.sub("", before[0]) and changes == Changes():
        return old[0]
    # The kernels are others, or programs wrote it again: words that were added or taken away count.
    had, has = _words(before[0]), _words(old[0])
    by_hand = Changes(
        removed=tuple(word for word in had if word not in has),
        added=tuple(word for word in has if word not in had),
    )
    return _LINUX.sub(lambda line: f"{line[1]}{' '.join(by_hand.apply(split(line[2])))}", fresh)


# A line that starts a kernel: up to its file, its arguments.
_LINUX = re.compile(r"(?m)^(\s*linux\S*\s+\S+ )(.*)$")


def _words(block: str) -> tuple[str, ...]:
    """Return the arguments of the first kernel."""
    line = _LINUX.search(block)
    return tuple(split(line[2])) if line else ()


def _merge_command_line(changes: Changes, old: str, new: str) -> str:
    del new
    return " ".join(changed(split(old), changes)) + "\n" if changes != Changes() else old


def _old(old: str, new: str) -> str:
    del new
    return old


def _write_file(path: TreePath, text: str, *, mode: int, merge: Merge | None) -> None:
    """Write a file of the image; `merge` decides between what is there and `text`.

    A link (EL's grubenv leads to the EFI partition, which BIOS does not read) becomes a file.
    """
    if merge is not None and path.is_file():
        text = merge(path.read_text(errors="surrogateescape"), text)
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.is_symlink():
        path.unlink()
    path.write_text(text, errors="surrogateescape", mode=mode)
