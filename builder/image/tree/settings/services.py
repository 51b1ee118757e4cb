# SPDX-License-Identifier: MIT
"""services, and what timezone --nontp, xconfig and firstboot mean for them.

By the image's own systemctl(1), or chkconfig(8) in a release before systemd. Disabled first, then enabled, as
Anaconda does (pyanaconda/modules/services/installation.py).
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from builder.errors import InputError
from builder.image.build import Build
from builder.image.tree import tree
from builder.image.tree.settings.programs import has_program, message_at, run_for
from builder.kickstart.place import Place
from builder.kickstart.settings.locale import Locale
from builder.kickstart.settings.services import TOOLS_OFF, Services, SetUp

TIME_SERVICES = ("chronyd", "chrony", "ntpd", "systemd-timesyncd")
# What asks at the first boot, in releases since EL 6: initial-setup, before it firstboot.
SET_UP = (
    *("initial-setup", "initial-setup-text", "initial-setup-graphical"),
    *("firstboot", "firstboot-text", "firstboot-graphical"),
)
DISPLAY_MANAGERS = ("gdm", "gdm-binary", "kdm", "lightdm", "xdm")  # of releases before systemd
UNIT_FOLDERS = ("/usr/lib/systemd/system", "/etc/systemd/system", "/usr/local/lib/systemd/system")
UNIT_SUFFIXES = (".service", ".socket", ".timer", ".path", ".mount", ".target")


def apply(build: Build, services: Services) -> None:
    """Disable, enable, choose the default target."""
    disabled, place = list(services.services_disabled), services.services_place
    if not build.plan.of(Locale).timezone.ntp:
        disabled += [name for name in TIME_SERVICES if has_unit(name) and name not in disabled]
    missing = [name for name in services.services_enabled if not has_unit(name)]
    if missing:
        raise InputError(
            message_at(place, "services --enabled", f"the image has no {', '.join(missing)}"),
            hint="put the package into %packages, or remove the name",
        )
    absent = [name for name in disabled if not has_unit(name)]
    for name in absent:
        build.report.verbose(f"services --disabled: {name} is not in the image")
    _switch(build, [name for name in disabled if name not in absent], on=False, place=place)
    _switch(build, services.services_enabled, on=True, place=place)
    _set_up(build, services)
    _set_target(build, services)
    if services.default_desktop:
        tree.write("/etc/sysconfig/desktop", f"DESKTOP={services.default_desktop}\n")


def _switch(build: Build, names: Sequence[str], *, on: bool, place: Place | None) -> None:
    """Enable or disable services of the image."""
    what = f"services --{'enabled' if on else 'disabled'}"
    if has_program("systemctl"):
        if names:
            words = ["systemctl", "enable" if on else "disable", *map(unit_name, names)]
            run_for(build, what, words, place=place)
        return
    for name in names:
        script = name.removesuffix(".service")
        run_for(build, what, ["chkconfig", script, "on" if on else "off"], place=place)


def _set_up(build: Build, services: Services) -> None:
    """Have the guest ask at its first boot, or not: where no line says so, it does not."""
    units = [name for name in SET_UP if has_unit(name)]
    wanted = services.set_up in (SetUp.WANTED, SetUp.AGAIN)
    if wanted and units:
        why = f"{units[0]} asks on the console at the first boot, and in a cloud nobody answers"
        build.warn(message_at(services.set_up_place, "firstboot", why))
        _switch(build, units[:1], on=True, place=services.set_up_place)
    elif wanted:
        build.report.verbose("firstboot: no set-up program is in the image")
    else:
        _switch(build, units, on=False, place=services.set_up_place)
    if services.set_up is SetUp.AGAIN:
        # initial-setup(8): asks everything again where the file is there.
        tree.write("/etc/reconfigSys", "")
    if services.set_up is SetUp.FORBIDDEN and tree.path("/etc/sysconfig").is_dir():
        tree.write("/etc/sysconfig/anaconda", TOOLS_OFF)


def _set_target(build: Build, services: Services) -> None:
    """Set what the guest starts: what a line says, or what it has."""
    target, inittab = services.default_target, tree.path("/etc/inittab")
    if has_program("systemctl") or not inittab.is_file():
        if target:
            run_for(build, "skipx or xconfig", ["systemctl", "set-default", target], place=None)
        else:
            _choose_target(build, without_screen=services.without_screen)
    else:
        # inittab(5): runlevel 5 is the graphical one, whatever is installed.
        has_screen = any(map(has_program, DISPLAY_MANAGERS)) and not services.without_screen
        level = 5 if target == "graphical.target" or (target is None and has_screen) else 3
        inittab.write_text(
            re.sub(r"(?m)^id:\d:initdefault:", f"id:{level}:initdefault:", inittab.read_text())
        )


def _choose_target(build: Build, *, without_screen: bool) -> None:
    """Have the guest start what it has, as Anaconda does where no line says it: a login on a screen, or none.

    systemd's own default is the graphical target, whatever is installed.

    Args:
        without_screen: the installer would have had none, and so the guest has none.
    """
    units, own = tree.path(UNIT_FOLDERS[0]), tree.path("/etc/systemd/system")
    if not own.is_dir() or not (units / "multi-user.target").exists():
        return
    graphical = any(
        "Alias=display-manager.service" in path.read_text()
        for path in units.glob("*.service")
        if path.is_file() and not path.is_symlink()
    )
    if graphical and without_screen:
        build.report.verbose(
            "the guest starts without a screen, as its installer does; xconfig --startxonboot gives it one"
        )
        graphical = False
    link = own / "default.target"
    link.unlink(missing_ok=True)
    link.symlink_to(f"{UNIT_FOLDERS[0]}/{'graphical' if graphical else 'multi-user'}.target")


def unit_name(name: str) -> str:
    """Return the unit that a service's name stands for."""
    return name if name.endswith(UNIT_SUFFIXES) else f"{name}.service"


def has_unit(name: str) -> bool:
    """Say whether the image has the unit, or the template of the instance."""
    unit = unit_name(name)
    stem, at, _ = unit.partition("@")
    template = f"{stem}@.{unit.rsplit('.', 1)[1]}" if at else unit
    folders = [tree.path(folder) for folder in UNIT_FOLDERS]
    return any((folder / file).exists() for folder in folders for file in {unit, template}) or (
        tree.path(f"/etc/init.d/{name}").exists()
    )
