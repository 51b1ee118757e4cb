# SPDX-License-Identifier: MIT
"""lang, keyboard, timezone, timesource."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

from builder.kickstart import addresses, names
from builder.kickstart.names import Verdict
from builder.kickstart.parsed import Kickstart, ParsedCommand
from builder.kickstart.place import Place
from builder.kickstart.plan import Setting
from builder.kickstart.values import KEYMAP, LANG, LAYOUT, ZONE, fits


@dataclass(frozen=True, kw_only=True, slots=True)
class Keyboard:
    """The `keyboard` line: console keymap, X layouts."""

    keymap: str = "us"
    layouts: tuple[str, ...] = ()
    switch: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Timezone:
    """The `timezone` line with its `timesource` lines."""

    name: str = "Etc/UTC"
    utc: bool = True
    ntp: bool = True
    servers: tuple[str, ...] = ()
    pools: tuple[str, ...] = ()
    nts: tuple[str, ...] = ()  # the ones among both that use Network Time Security
    place: Place | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Locale(Setting):
    """Language, keyboard and time."""

    lang: str = "C.UTF-8"
    extra_langs: tuple[str, ...] = ()
    lang_place: Place | None = None
    keyboard: Keyboard = Keyboard()
    timezone: Timezone = Timezone()

    @classmethod
    def read(cls, ks: Kickstart) -> Self:
        """Return what the kickstart says of them."""
        lang, extra_langs = _read_lang(ks)
        line = ks.last("lang")
        return cls(
            lang=lang,
            extra_langs=extra_langs,
            lang_place=line.place if line else None,
            keyboard=_read_keyboard(ks),
            timezone=_read_timezone(ks),
        )

    def rows(self) -> Iterator[tuple[str, str]]:
        """Yield the rows of `image --plan`."""
        zone = self.timezone
        clock = "UTC" if zone.utc else "local time"
        yield "locale", f"{' '.join((self.lang, *self.extra_langs))}, keyboard {self.keyboard.keymap}"
        yield "time", f"{zone.name}, hardware clock in {clock}{'' if zone.ntp else ', no NTP'}"
        yield from (("time", f"server {name}") for name in zone.servers)
        yield from (("time", f"pool {name}") for name in zone.pools)


def _read_lang(ks: Kickstart) -> tuple[str, tuple[str, ...]]:
    """Return the language and the additional ones."""
    line = ks.last("lang")
    if line is None:
        return "C.UTF-8", ()
    lang = str(line.get("lang"))
    extra = tuple(str(name) for name in line.get("addsupport", ()))
    for name in (lang, *extra):
        if fits(ks, line, LANG, name, "a locale such as en_US.UTF-8"):
            _judge_locale(ks, line, name)
    return lang, extra


def _judge_locale(ks: Kickstart, line: ParsedCommand, name: str) -> None:
    verdict = names.judge_locale(name)
    if verdict is Verdict.UNKNOWN:
        otherwise = "glibc's are listed by `locale -a`, such as en_US.UTF-8"
        ks.findings.error(
            line.place,
            f"lang: there is no locale {name}",
            names.hint("locales", name.split(".")[0], otherwise),
        )
    elif verdict is Verdict.DOUBTFUL:
        ks.findings.warn(
            line.place, f"lang: glibc has no locale {name}: where the guest has none either, it speaks C"
        )


def _read_keyboard(ks: Kickstart) -> Keyboard:
    """Return the console keymap and the X layouts.

    As in Anaconda, the argument counts only without --vckeymap and --xlayouts, and of these two the one that
    is missing comes from the other (pyanaconda, modules/localization: set_from_generic_keyboard_setting,
    utils). What layouts a keymap has is known in the image.
    """
    line = ks.last("keyboard")
    if line is None:
        return Keyboard()
    plain = str(line.get("_keyboard", line.get("keyboard", "")))
    layouts = tuple(str(layout) for layout in line.get("x_layouts", ()))
    keymap = str(line.get("vc_keymap", "")) or (_keymap_of(layouts[0]) if layouts else plain)
    if fits(ks, line, KEYMAP, keymap, "a keymap such as us") and not names.is_keymap(keymap):
        # A warning: Fedora's own kickstarts have had such names, and the console falls back to us.
        ks.findings.warn(
            line.place,
            f"keyboard: there is no keymap {keymap}: the console keeps us",
            names.hint("keymaps", keymap, "`localectl list-keymaps` lists them"),
        )
    for layout in layouts:
        if fits(ks, line, LAYOUT, layout, "an X layout such as us or de (nodeadkeys)"):
            _judge_layout(ks, line, layout)
    switch = tuple(str(option) for option in line.get("switch_options", ()))
    return Keyboard(keymap=keymap, layouts=layouts, switch=switch)


def _keymap_of(layout: str) -> str:
    """Return the keymap that kbd makes of an X layout, as systemd-localed does (find_converted_keymap)."""
    name, _, variant = layout.replace(" ", "").rstrip(")").partition("(")
    keymap = f"{name}-{variant}"
    return keymap if variant and names.is_keymap(keymap) else name


def _judge_layout(ks: Kickstart, line: ParsedCommand, layout: str) -> None:
    verdict = names.judge_layout(layout)
    if verdict is Verdict.UNKNOWN:
        ks.findings.error(
            line.place,
            f"keyboard: there is no X layout {layout}",
            "`localectl list-x11-keymap-layouts` lists them",
        )
    elif verdict is Verdict.DOUBTFUL:
        ks.findings.warn(
            line.place, f"keyboard: X has no variant {layout}: without it, the plain layout is used"
        )


def _read_timezone(ks: Kickstart) -> Timezone:
    """Return the time zone and where the time comes from."""
    line = ks.last("timezone")
    sources = ks.all("timesource")
    ntp = not any(source.get("ntp_disable", False) for source in sources)
    servers = [(source, str(source.get("ntp_server"))) for source in sources if source.get("ntp_server")]
    pools = [(source, str(source.get("ntp_pool"))) for source in sources if source.get("ntp_pool")]
    name, utc = "Etc/UTC", True
    if line is not None:
        if zone := str(line.get("timezone", "") or ""):
            name = zone
            if fits(ks, line, ZONE, name, "a time zone such as Europe/Vienna") and not names.is_zone(name):
                ks.findings.error(
                    line.place,
                    f"timezone: there is no zone {name}",
                    names.hint("zones", name, "`timedatectl list-timezones` lists them"),
                )
            utc = bool({"--utc", "--isUtc"} & line.options)
        ntp = ntp and "--nontp" not in line.options
        left_out = line.values.get("--ntpservers", "").split(",")
        servers += [(line, str(host)) for host in (*left_out, *line.get("ntpservers", ())) if host]
    for source, host in (*servers, *pools):
        if not (addresses.is_domain(host) or addresses.ipv6(host)):
            ks.findings.error(source.place, f'{source.name}: "{host}" is not a host name or an address')
    return Timezone(
        name=name,
        utc=utc,
        ntp=ntp,
        servers=tuple(dict.fromkeys(host for _, host in servers)),
        pools=tuple(dict.fromkeys(host for _, host in pools)),
        nts=tuple(dict.fromkeys(host for source, host in (*servers, *pools) if source.get("nts", False))),
        place=(line or sources[0]).place if line or sources else None,
    )
