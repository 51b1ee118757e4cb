# SPDX-License-Identifier: MIT
"""The bootloader line: where it goes, how long it waits, its password, what the kernel is given."""

from __future__ import annotations

import re

from builder.formats.kernel_arguments import split, spoiled
from builder.kickstart.addons import Kdump
from builder.kickstart.parsed import Kickstart, ParsedCommand
from builder.kickstart.placeholders import is_placeholder
from builder.kickstart.plan import Bootloader, Disk, Password, Volume
from builder.targets import TargetFamily

# COMMAND_LINE_SIZE of x86 is 2048, its NUL included (arch/x86/include/asm/setup.h). GRUB puts BOOT_IMAGE=
# before what it is given, the build root= and ro before what the kickstart says.
LONGEST_LINE = 2047 - 80
LONGEST_ARGUMENTS = LONGEST_LINE - 80
# What grub2-mkpasswd-pbkdf2(1) prints: rounds, salt and hash (grub-core/commands/password_pbkdf2.c).
_GRUB_HASH = re.compile(r"grub\.pbkdf2\.sha512\.[1-9]\d*(\.([0-9A-Fa-f]{2})+){2}")


def reads_hexadecimal(family: TargetFamily) -> bool:
    """Say whether the GRUB of `family` gives \\xHH to the kernel as it is."""
    return family is not TargetFamily.FIXTURE


def plan_bootloader(ks: Kickstart, family: TargetFamily, kdump: Kdump | None) -> Bootloader:
    """Return what the bootloader line says, with the memory that `kdump` wants in place of any other."""
    line = ks.last("bootloader")
    if line is None:
        return Bootloader(append=" ".join(kdump.arguments if kdump else ()))
    location = "mbr"
    if "--location" in line.options:
        location = str(line.get("location", "mbr"))
        if location in ("boot", "partition"):
            # Their authors spare another system's first sectors, and an image has none.
            ks.findings.warn(
                line.place,
                f"bootloader --location={location}: GRUB goes where --location=mbr has it, "
                "as a file system has no room for it",
            )
            location = "mbr"
    timeout = line.get("timeout")
    if timeout is not None and int(timeout) < -1:
        ks.findings.error(line.place, f"bootloader --timeout={timeout}: not seconds", "-1 waits for ever")
    elif timeout is not None and int(timeout) == -1:
        ks.findings.warn(
            line.place,
            "bootloader --timeout=-1: every boot waits at the menu until somebody presses a key",
            "write seconds, such as 1",
        )
    append = str(line.get("appendLine", "")).strip()
    if kdump is not None:
        kept = [word for word in split(append) if not word.startswith("crashkernel=")]
        for word in set(split(append)) - set(kept) - set(kdump.arguments):
            instead = " ".join(kdump.arguments) or "none"
            ks.findings.note(line.place, f"bootloader --append: {word}: the add-on for kdump wants {instead}")
        append = " ".join([*kept, *kdump.arguments])
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
            line.place,
            "bootloader --append: a quote is not closed",
            "the kernel would read the rest as one argument",
        )
    disabled = bool(line.get("disabled", False))
    for word in split(append) if not disabled and location != "none" else ():
        if spoiled(word, hexadecimal=reads_hexadecimal(family)):
            ks.findings.error(
                line.place,
                f"bootloader --append: {word}: GRUB adds a backslash before each ' and \\ of it",
                "write the argument without them",
            )
    return Bootloader(
        location=location,
        append=append,
        timeout=int(timeout) if timeout is not None else None,
        password=_plan_password(ks, line),
        disabled=disabled,
        place=line.place,
    )


def _plan_password(ks: Kickstart, line: ParsedCommand) -> Password:
    text = str(line.get("password", "") or "")
    if is_placeholder(text):
        ks.findings.error(line.place, "bootloader --password: is a placeholder", "replace it with a password")
        return Password()
    if not line.get("isCrypted", False):
        return Password(plain=text or None)
    if not _GRUB_HASH.fullmatch(text):
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
