# SPDX-License-Identifier: MIT
"""lang, keyboard, timezone, timesource: locale.conf(5), vconsole.conf(5), localtime(5), chrony.conf(5)."""

from __future__ import annotations

import re

from builder.errors import InputError
from builder.image.build import Build
from builder.image.isolation.sandbox import run_in_image
from builder.image.tree import tree
from builder.image.tree.settings.programs import has_program, message_at
from builder.kickstart.settings.locale import Keyboard, Locale, Timezone

UTC = ("UTC", "Etc/UTC", "Etc/Universal", "Universal")
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
    tree.write("/etc/locale.conf", f"LANG={locale.lang}\n")
    tree.write("/etc/vconsole.conf", f"KEYMAP={locale.keyboard.keymap}\n")
    if locale.keyboard.layouts and tree.path("/etc/X11").is_dir():
        tree.write("/etc/X11/xorg.conf.d/00-keyboard.conf", xorg_keyboard(locale.keyboard))
    _timezone(locale.timezone)
    _time_sources(locale.timezone)


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
    layouts, variants = [], []
    for layout in keyboard.layouts:
        name, _, variant = layout.partition("(")
        layouts.append(name.strip())
        variants.append(variant.rstrip().removesuffix(")").strip())
    options = {
        "XkbLayout": ",".join(layouts),
        "XkbVariant": ",".join(variants) if any(variants) else "",
        "XkbOptions": ",".join(keyboard.switch),
    }
    return XORG_KEYBOARD.format(
        options="".join(f'        Option "{name}" "{value}"\n' for name, value in options.items() if value)
    )


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
