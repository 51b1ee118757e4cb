# SPDX-License-Identifier: MIT
"""services, and what timezone --nontp, xconfig and firstboot mean for them: by the image's own systemctl(1).

Disabled first, then enabled, as Anaconda does (pyanaconda/modules/services/installation.py).
"""

from __future__ import annotations

from builder.errors import InputError
from builder.image.build import Build
from builder.image.tree import tree
from builder.image.tree.settings.programs import message_at, run_for
from builder.kickstart.settings.locale import Locale
from builder.kickstart.settings.services import Services

TIME_SERVICES = ("chronyd", "chrony", "ntpd", "systemd-timesyncd")
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
    present = [unit_name(name) for name in disabled if name not in absent]
    if present:
        run_for(build, "services --disabled", ["systemctl", "disable", *present], place=place)
    if services.services_enabled:
        words = ["systemctl", "enable", *map(unit_name, services.services_enabled)]
        run_for(build, "services --enabled", words, place=place)
    if services.default_target:
        words = ["systemctl", "set-default", services.default_target]
        run_for(build, "skipx or xconfig", words, place=None)
    else:
        _choose_target()
    if services.default_desktop:
        tree.write("/etc/sysconfig/desktop", f"DESKTOP={services.default_desktop}\n")
    if services.set_up_again:
        # initial-setup(8): asks everything again where the file is there.
        tree.write("/etc/reconfigSys", "")


def _choose_target() -> None:
    """Have the guest start what it has, as Anaconda does where no line says it: a login on a screen, or none.

    systemd's own default is the graphical target, whatever is installed.
    """
    units, own = tree.path(UNIT_FOLDERS[0]), tree.path("/etc/systemd/system")
    if not own.is_dir() or not (units / "multi-user.target").exists():
        return
    graphical = any(
        "Alias=display-manager.service" in path.read_text()
        for path in units.glob("*.service")
        if path.is_file() and not path.is_symlink()
    )
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
