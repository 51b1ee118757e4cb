# SPDX-License-Identifier: MIT
"""lang, keyboard, timezone, timesource: locale.conf(5), vconsole.conf(5), localtime(5), chrony.conf(5).

Releases before these files were read have theirs in /etc/sysconfig (sysconfig.txt of initscripts), too.
"""

from __future__ import annotations

import dataclasses
import re

from builder.errors import InputError
from builder.image.build import Build
from builder.image.isolation.sandbox import run_in_image
from builder.image.tree import tree
from builder.image.tree.settings.keymaps import find_console_font, layouts_of
from builder.image.tree.settings.programs import has_program, message_at
from builder.kickstart.settings.locale import Keyboard, Locale, Timezone
from builder.targets import TargetFamily

UTC = ("UTC", "Etc/UTC", "Etc/Universal", "Universal")
# The last releases whose scripts read /etc/sysconfig/i18n, keyboard and clock.
LAST_WITH_SYSCONFIG = {TargetFamily.EL: 6, TargetFamily.FEDORA: 17}
KEYBOARD_MODEL = "pc105"  # Anaconda's for every keyboard
# As systemd-localed writes it (src/locale/localed-util.c, x11_write_data), which Anaconda asks for it.
XORG_KEYBOARD = """\
Section "InputClass"
        Identifier "system-keyboard"
        MatchIsKeyboard "on"
{options}EndSection
"""


def apply(build: Build, locale: Locale) -> None:
    """Write language, keyboard and time."""
    _look_for_locales(build, locale)
    keyboard = locale.keyboard
    if not keyboard.layouts and tree.path("/etc/X11").is_dir():
        keyboard = dataclasses.replace(keyboard, layouts=layouts_of(tree.path("/"), keyboard.keymap))
    font = find_console_font(tree.path("/"), locale.lang)
    # With quotes, as Anaconda has them: scripts of kickstarts look for them.
    tree.write("/etc/locale.conf", f'LANG="{locale.lang}"\n')
    tree.write("/etc/vconsole.conf", f'KEYMAP="{keyboard.keymap}"\n' + (f'FONT="{font}"\n' if font else ""))
    if keyboard.layouts:
        tree.write("/etc/X11/xorg.conf.d/00-keyboard.conf", xorg_keyboard(keyboard))
    _timezone(locale.timezone)
    _time_sources(locale.timezone)
    if build.target.is_up_to(LAST_WITH_SYSCONFIG):
        for path, text in sysconfig(dataclasses.replace(locale, keyboard=keyboard), font).items():
            tree.write(path, text)


def sysconfig(locale: Locale, font: str | None) -> dict[str, str]:
    """Return path -> text of what the scripts of old releases read, as their Anaconda wrote it."""
    layouts, variants = _x_names(locale.keyboard)
    keyboard = {
        "KEYTABLE": locale.keyboard.keymap,
        "MODEL": KEYBOARD_MODEL,
        "LAYOUT": layouts or locale.keyboard.keymap.partition("-")[0],
        "KEYBOARDTYPE": "pc",
        "VARIANT": variants,
        "OPTIONS": ",".join(locale.keyboard.switch),
    }
    return {
        "/etc/sysconfig/i18n": f'LANG="{locale.lang}"\n' + (f'SYSFONT="{font}"\n' if font else ""),
        "/etc/sysconfig/keyboard": "".join(f'{key}="{text}"\n' for key, text in keyboard.items() if text),
        "/etc/sysconfig/clock": f'ZONE="{locale.timezone.name}"\n',
    }


def _look_for_locales(build: Build, locale: Locale) -> None:
    """Warn of languages that the image's own locale(1) does not list: programs would speak C there."""
    wanted = [name for name in (locale.lang, *locale.extra_langs) if name.split(".")[0] not in ("C", "POSIX")]
    if not wanted or not has_program("locale"):
        return
    known = {_normal(name) for name in run_in_image(build, ["locale", "-a"], ok=()).stdout.split()}
    for name in wanted:
        if _normal(name) not in known:
            why = (
                f"the image has no such locale: add glibc-langpack-{re.split('[_.@]', name)[0]} to %packages"
            )
            build.warn(message_at(locale.lang_place, f"lang {name}", why))


def _normal(name: str) -> str:
    """Return a locale's name as locale(1) lists it: en_US.UTF-8 is en_US.utf8."""
    base, dot, rest = name.partition(".")
    codeset, at, modifier = rest.partition("@")
    return f"{base}{dot}{codeset.lower().replace('-', '')}{at}{modifier}"


def xorg_keyboard(keyboard: Keyboard) -> str:
    """Return xorg.conf(5)'s section for the layouts; a variant, as in `cz (qwerty)`, has its own option."""
    layouts, variants = _x_names(keyboard)
    options = {
        "XkbLayout": layouts,
        "XkbModel": KEYBOARD_MODEL,
        "XkbVariant": variants,
        "XkbOptions": ",".join(keyboard.switch),
    }
    return XORG_KEYBOARD.format(
        options="".join(f'        Option "{name}" "{value}"\n' for name, value in options.items() if value)
    )


def _x_names(keyboard: Keyboard) -> tuple[str, str]:
    """Return layouts and variants as X wants them: each with commas between; no variants at all are none."""
    pairs = [layout.partition("(") for layout in keyboard.layouts]
    variants = [variant.rstrip().removesuffix(")").strip() for _, _, variant in pairs]
    return ",".join(name.strip() for name, _, _ in pairs), ",".join(variants) if any(variants) else ""


def _timezone(zone: Timezone) -> None:
    link = tree.path("/etc") / "localtime"
    if not tree.path(f"/usr/share/zoneinfo/{zone.name}").is_file():
        if zone.name in UTC:
            # localtime(5): without the link it is UTC, no zone data needed.
            link.unlink(missing_ok=True)
            return
        raise InputError(
            message_at(
                zone.place,
                f"timezone {zone.name}",
                "there is no such file in /usr/share/zoneinfo of the image",
            ),
            hint="put tzdata into %packages, or choose another zone (timedatectl list-timezones)",
        )
    link.unlink(missing_ok=True)
    link.symlink_to(f"../usr/share/zoneinfo/{zone.name}")
    # hwclock(8): the third line says what the hardware clock keeps.
    tree.write("/etc/adjtime", f"0.0 0 0.0\n0\n{'UTC' if zone.utc else 'LOCAL'}\n")


def _time_sources(zone: Timezone) -> None:
    kinds = [("server", name) for name in zone.servers] + [("pool", name) for name in zone.pools]
    sources = [f"{kind} {name} iburst{' nts' if name in zone.nts else ''}" for kind, name in kinds]
    if not sources:
        return
    for name in ("/etc/chrony.conf", "/etc/chrony/chrony.conf"):
        path = tree.path(name)
        if path.is_file():
            kept = [
                line
                for line in path.read_text().splitlines()
                if line.split(maxsplit=1)[:1] not in (["server"], ["pool"])
            ]
            path.write_text("\n".join([*sources, *kept]) + "\n")
            return
    raise InputError(
        message_at(zone.place, "time servers", "chrony is not in the image"),
        hint="put chrony into %packages",
    )
