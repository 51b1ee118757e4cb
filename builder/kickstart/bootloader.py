# SPDX-License-Identifier: MIT
"""The bootloader line: where it goes, how long it waits, its password, what the kernel is given."""

from __future__ import annotations

import re

from builder.kickstart.placeholders import is_placeholder
from builder.kickstart.plan import Bootloader, Disk, Password, Volume
from builder.kickstart.read import Kickstart
from builder.kickstart.syntax import Command

# COMMAND_LINE_SIZE of x86 is 2048, its NUL included (arch/x86/include/asm/setup.h). GRUB and the build put
# BOOT_IMAGE=, root= and ro before what the kickstart says.
LONGEST_ARGUMENTS = 2047 - 160


def plan_bootloader(ks: Kickstart, arguments: tuple[str, ...] = ()) -> Bootloader:
    """Return what the bootloader line says; `arguments` are more for the kernel."""
    line = ks.last("bootloader")
    if line is None:
        return Bootloader(append=" ".join(arguments))
    location = "mbr"
    if "--location" in line.options:
        location = str(line.get("location", "mbr"))
        location = "partition" if location == "boot" else location
    timeout = line.get("timeout")
    if timeout is not None and int(timeout) < -1:
        ks.findings.error(line.place, f"bootloader --timeout={timeout}: not seconds", "-1 waits for ever")
    append = " ".join([str(line.get("appendLine", "")).strip(), *arguments]).strip()
    if re.search(r"[\x00-\x1f\x7f]", append):
        ks.findings.error(
            line.place, "bootloader --append: a line break or control character in the kernel's arguments"
        )
    if len(append.encode()) > LONGEST_ARGUMENTS:
        ks.findings.error(
            line.place,
            f"bootloader --append: {len(append.encode())} bytes, and the kernel of x86_64 takes 2047 in all",
            f"shorten it to {LONGEST_ARGUMENTS}",
        )
    if append.count('"') % 2:
        ks.findings.error(
            line.place, "bootloader --append: a quote is not closed", "the kernel would take the rest as one"
        )
    if re.search(r"['\\]", append):
        # grub_create_loader_cmdline of GRUB's lib/cmdline.c; seen with 2.06.
        ks.findings.warn(
            line.place,
            "bootloader --append: GRUB puts a backslash before each ' and \\ that it gives to the kernel",
            "write the argument without them where it can be",
        )
    return Bootloader(
        location=location,
        append=append,
        timeout=int(timeout) if timeout is not None else None,
        password=_plan_password(ks, line),
        disabled=bool(line.get("disabled", False)),
        place=line.place,
    )


def _plan_password(ks: Kickstart, line: Command) -> Password:
    text = str(line.get("password", "") or "")
    if is_placeholder(text):
        ks.findings.error(line.place, "bootloader --password: is a placeholder", "replace it with a password")
        return Password()
    if not line.get("isCrypted", False):
        return Password(plain=text or None)
    if not text.startswith("grub.pbkdf2."):
        ks.findings.error(
            line.place,
            "bootloader --iscrypted: the password is not one that GRUB reads",
            "write what grub2-mkpasswd-pbkdf2 prints: grub.pbkdf2.sha512...",
        )
        return Password()
    return Password(hash=text)


def check_root(ks: Kickstart, bootloader: Bootloader, disk: Disk) -> None:
    """Warn about an author's root= that is not the root of the plan, as far as we can see."""
    given = re.findall(r'(?:^|\s)"?root=([^\s"]+)', bootloader.append)
    root = disk.holding("/")
    if not given or root is None or given[-1] in _names_of(root, disk):
        return
    ks.findings.warn(
        bootloader.place,
        f"bootloader --append: root={given[-1]} is not known to be the root of this disk",
        "leave root= out, or give part / a --label and write root=LABEL=",
    )


def _names_of(volume: Volume, disk: Disk) -> list[str]:
    """Return what root= may say for `volume`: its label, and the devices of a logical volume."""
    names = [f"LABEL={volume.label}"] if volume.label else []
    for group in disk.groups:
        for one in group.volumes:
            if one is volume:
                mapped = "-".join(name.replace("-", "--") for name in (group.name, one.name))
                names += [f"/dev/{group.name}/{one.name}", f"/dev/mapper/{mapped}"]
    return names
