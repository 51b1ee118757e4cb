# SPDX-License-Identifier: MIT
"""Add-ons of the installer: what each means for an image."""

from __future__ import annotations

import re
from dataclasses import dataclass

from builder.kickstart.parsed import Kickstart, SectionRead
from builder.kickstart.place import Place

# org_fedora_oscap changes the system by a profile: an image without it would not be what was asked for.
_OSCAP = ("org_fedora_oscap", "com_redhat_oscap")
# kdump's own defaults (kexec-tools, kdump-lib.sh: kdump_get_arch_recommend_crashkernel, x86_64).
_AUTOMATIC = {"RHEL8": "1G-64G:256M,64G-:512M"}
_AUTOMATIC_SINCE = "1G-4G:192M,4G-64G:256M,64G-:512M"
_SIZE = re.compile(r"--reserve-mb[= ][\"']?(auto|\d+)M?[\"']?(?:\s|$)")
KDUMP = "com_redhat_kdump"


@dataclass(frozen=True, kw_only=True, slots=True)
class Kdump:
    """What the kdump add-on was asked for; it is enabled unless the line says --disable.

    The add-on itself puts the package in, enables or disables kdump.service, and replaces any crashkernel=
    (com_redhat_kdump: service/kdump.py, service/installation.py).
    """

    enabled: bool
    memory: str  # what crashkernel= says
    place: Place

    @property
    def arguments(self) -> tuple[str, ...]:
        """The arguments that it gives the kernel."""
        return (f"crashkernel={self.memory}",) if self.enabled else ()


def read_kdump(ks: Kickstart) -> Kdump | None:
    """Return what the last line of the kdump add-on says; None without one."""
    found = [one for one in ks.all_sections("%addon") if one.header.words[:1] == (KDUMP,)]
    if not found:
        return None
    words = found[-1].header.words[1:]
    match = _SIZE.search(" ".join(words))
    automatic = _AUTOMATIC.get(ks.version, _AUTOMATIC_SINCE)
    return Kdump(
        enabled="--disable" not in words,
        memory=automatic if match is None or match[1] == "auto" else f"{match[1]}M",
        place=found[-1].header.place,
    )


def check_addons(ks: Kickstart) -> None:
    """Report the add-ons that have no effect, and those that cannot have the one that they are there for."""
    for read in ks.all_sections("%addon"):
        words = read.header.words
        name = words[0] if words else ""
        if name == KDUMP:
            _check_kdump(ks, read)
        elif name in _OSCAP:
            if read.section.body.strip():
                ks.findings.error(
                    read.header.place,
                    f"%addon {name}: its profile is not applied",
                    "run oscap xccdf eval --remediate in a %post script, and remove the add-on",
                )
        elif not name:
            ks.findings.error(read.header.place, "%addon without a name")
        else:
            ks.findings.warn(
                read.header.place, f"%addon {name} has no effect: it is an add-on of the installer"
            )


def _check_kdump(ks: Kickstart, read: SectionRead) -> None:
    words = " ".join(read.header.words[1:])
    if "--reserve-mb" in words and _SIZE.search(words) is None:
        ks.findings.error(
            read.header.place, f"%addon {KDUMP} {words}: not a size", "--reserve-mb=auto, or =192"
        )
