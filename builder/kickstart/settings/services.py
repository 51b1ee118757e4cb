# SPDX-License-Identifier: MIT
"""services, firstboot, skipx, xconfig, and the service of the kdump add-on."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Self

from builder.kickstart.addons import read_kdump
from builder.kickstart.parsed import Kickstart, ParsedCommand
from builder.kickstart.place import Place
from builder.kickstart.plan import Setting
from builder.kickstart.values import UNIT, fits

# /etc/sysconfig/anaconda, which initial-setup and gnome-initial-setup read (Anaconda:
# ConfigurePostInstallationToolsTask).
TOOLS_OFF = "[General]\npost_install_tools_disabled=1\n"


class SetUp(StrEnum):
    """Whether programs that ask for a root password and the like run at the first boot (`firstboot`)."""

    LEFT_OUT = "left out"  # initial-setup does not run
    WANTED = "wanted"
    AGAIN = "again"  # and asks all that the kickstart says
    FORBIDDEN = "forbidden"  # nor does a desktop's own


@dataclass(frozen=True, kw_only=True, slots=True)
class Services(Setting):
    """What runs in the guest."""

    services_enabled: tuple[str, ...] = ()
    services_disabled: tuple[str, ...] = ()
    services_place: Place | None = None
    set_up: SetUp = SetUp.LEFT_OUT
    set_up_place: Place | None = None
    default_target: str | None = None  # graphical.target by xconfig --startxonboot, multi-user by skipx
    without_screen: bool = False  # no graphical.target unless asked for: text, cmdline, vnc, rdp
    default_desktop: str | None = None  # xconfig --defaultdesktop

    @classmethod
    def read(cls, ks: Kickstart) -> Self:
        """Return what the kickstart says of them."""
        enabled, disabled, place = _read_services(ks)
        line = ks.last("firstboot")
        if (kdump := read_kdump(ks)) is not None:
            # After the services line, as in the installer: the add-on wins.
            enabled, disabled = (
                tuple(name for name in names if name not in ("kdump", "kdump.service"))
                for names in (enabled, disabled)
            )
            place = place or kdump.place
            if kdump.enabled:
                enabled += ("kdump",)
            else:
                disabled += ("kdump",)
        return cls(
            services_enabled=enabled,
            services_disabled=disabled,
            services_place=place,
            set_up=_read_setup(line),
            set_up_place=line.place if line else None,
            default_target=_read_default_target(ks),
            without_screen=_is_without_screen(ks),
            default_desktop=_read_desktop(ks),
        )

    def rows(self) -> Iterator[tuple[str, str]]:
        """Yield the rows of `image --plan`."""
        if self.services_enabled:
            yield "services", f"enable {' '.join(self.services_enabled)}"
        if self.services_disabled:
            yield "services", f"disable {' '.join(self.services_disabled)}"
        if self.set_up in (SetUp.WANTED, SetUp.AGAIN):
            yield "services", "set up at the first boot, where the image has a program for it"
        if self.default_target:
            yield "services", f"default {self.default_target}"


def _read_services(ks: Kickstart) -> tuple[tuple[str, ...], tuple[str, ...], Place | None]:
    """Return what to enable, what to disable, and the line. Disabling comes first, as in Anaconda."""
    line = ks.last("services")
    if line is None:
        return (), (), None
    lists = []
    for key in ("enabled", "disabled"):
        names = tuple(dict.fromkeys(str(name) for name in line.get(key, ())))
        lists.append(tuple(name for name in names if fits(ks, line, UNIT, name, "the name of a unit")))
    for name in lists[0]:
        if name in lists[1]:
            ks.findings.warn(line.place, f"services: {name} is disabled, and then enabled")
    return lists[0], lists[1], line.place


def _read_setup(line: ParsedCommand | None) -> SetUp:
    """Return what a firstboot line asks for. As in Anaconda, without one nothing runs."""
    if line is None:
        return SetUp.LEFT_OUT
    if {"--disable", "--disabled"} & line.options:
        return SetUp.FORBIDDEN
    if "--reconfig" in line.options:
        return SetUp.AGAIN
    return SetUp.WANTED if {"--enable", "--enabled"} & line.options else SetUp.LEFT_OUT


def _read_default_target(ks: Kickstart) -> str | None:
    """Return the default target: skipx and xconfig --startxonboot say one."""
    graphical = ks.last("xconfig")
    if graphical is not None and "--startxonboot" in graphical.options:
        return "graphical.target"
    return "multi-user.target" if ks.last("skipx") else None


def _is_without_screen(ks: Kickstart) -> bool:
    """Say whether the guest starts without a screen because its installer would have had none of its own.

    Anaconda: initialize_default_systemd_target (startup_utils.py), and rpmSetupGraphicalSystem (packages.py)
    of EL 6 and Fedora 17. Of several modes the last line counts; one that is looked at from elsewhere (vnc,
    rdp) has no screen in any mode.
    """
    mode = ks.last("text", "cmdline", "graphical")
    return ks.last("vnc", "rdp") is not None or (mode is not None and mode.name != "graphical")


def _read_desktop(ks: Kickstart) -> str | None:
    """Return the desktop that xconfig --defaultdesktop names."""
    line = ks.last("xconfig")
    if line is None or not (name := str(line.get("defaultdesktop", ""))):
        return None
    if not re.fullmatch(r"[A-Za-z0-9_-]+", name):
        ks.findings.error(line.place, f'xconfig --defaultdesktop: "{name}" is not a name', "such as GNOME")
    return name
