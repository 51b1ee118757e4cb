# SPDX-License-Identifier: MIT
"""Add-ons of the installer: what each means for an image."""

from __future__ import annotations

import re

from builder.kickstart.parsed import Kickstart, SectionRead

# org_fedora_oscap changes the system by a profile: an image without it would not be what was asked for.
_OSCAP = ("org_fedora_oscap", "com_redhat_oscap")
# kdump's own defaults (kexec-tools, kdump-lib.sh: kdump_get_arch_recommend_crashkernel, x86_64).
_AUTOMATIC = {"RHEL8": "1G-64G:256M,64G-:512M"}
_AUTOMATIC_SINCE = "1G-4G:192M,4G-64G:256M,64G-:512M"


def plan_addons(ks: Kickstart) -> tuple[str, ...]:
    """Return the arguments that add-ons give the kernel."""
    arguments: tuple[str, ...] = ()
    for read in ks.all_sections("%addon"):
        words = read.header.words
        name = words[0] if words else ""
        if name == "com_redhat_kdump":
            arguments = _plan_kdump(ks, read)
        elif name in _OSCAP:
            if read.section.body.strip():
                ks.findings.error(
                    read.header.place,
                    f"%addon {name}: its profile is not applied",
                    "run oscap xccdf eval --remediate in a %post script, and take the add-on out",
                )
        elif not name:
            ks.findings.error(read.header.place, "%addon without a name")
        else:
            ks.findings.warn(
                read.header.place, f"%addon {name} has no effect: it is an add-on of the installer"
            )
    return arguments


def _plan_kdump(ks: Kickstart, read: SectionRead) -> tuple[str, ...]:
    """Return crashkernel= where kdump is enabled, as its add-on does."""
    words, place = read.header.words[1:], read.header.place
    text = " ".join(words)
    if "--enable" not in words:
        ks.findings.note(place, f"%addon com_redhat_kdump {text} has no effect: nothing reserves memory")
        return ()
    match = re.search(r"--reserve-mb[= ][\"']?(auto|\d+)M?[\"']?(?:\s|$)", text)
    if "--reserve-mb" in text and match is None:
        ks.findings.error(place, f"%addon com_redhat_kdump {text}: not a size", "--reserve-mb=auto, or =192")
        return ()
    if match is not None and match[1] != "auto":
        return (f"crashkernel={match[1]}M",)
    return (f"crashkernel={_AUTOMATIC.get(ks.version, _AUTOMATIC_SINCE)}",)
