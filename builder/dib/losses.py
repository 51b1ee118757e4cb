# SPDX-License-Identifier: MIT
"""What of a plan an exported element does not set.

It is found, not listed: a value is lost when the element comes out the same without it. So a setting that
nobody has thought of here is reported, too.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from dataclasses import MISSING, dataclass
from functools import partial
from typing import Any

from builder.kickstart.commands import COMMANDS, SECTIONS
from builder.kickstart.place import is_place
from builder.kickstart.plan import Bootloader, ImagePlan, Packages, Repository, Setting
from builder.kickstart.settings.accounts import Accounts
from builder.kickstart.settings.locale import Keyboard, Locale, Timezone
from builder.kickstart.settings.network import Network, NetworkInterface
from builder.kickstart.settings.security import Firewall, Security
from builder.kickstart.settings.services import Services

# What the kickstart says where a field has not its default. A field without a row goes by its own name.
WORDS: dict[tuple[type, str], str] = {
    (Locale, "extra_langs"): "lang --addsupport",
    (Keyboard, "layouts"): "keyboard --xlayouts",
    (Keyboard, "switch"): "keyboard --switch",
    (Timezone, "utc"): "timezone without --utc",
    (Timezone, "ntp"): "timezone --nontp",
    (Timezone, "servers"): "timezone --ntpservers",
    (Timezone, "pools"): "timesource --ntp-pool",
    (Timezone, "nts"): "timesource --nts",
    (Accounts, "root_ssh_password"): "rootpw --allow-ssh",
    (Firewall, "removed_services"): "firewall --remove-service",
    (Security, "certificates"): "%certificate",
    (Services, "default_desktop"): "xconfig --defaultdesktop",
    (Services, "without_screen"): "text, cmdline, vnc or rdp",
    (Repository, "install"): "repo --install",
    (Repository, "groups"): "repo --ignoregroups",
    (Packages, "languages"): "%packages --inst-langs",
    (Packages, "excluded_groups"): "%packages -@GROUP",
    (Bootloader, "location"): "bootloader --location",
    (Bootloader, "password"): "bootloader --password",
    (Bootloader, "disabled"): "bootloader --disabled",
}
# Fields that decide nothing in an image, and one for which the export has the default of its own.
NOT_LOST = {(Repository, "fingerprints"), (Bootloader, "timeout")}
# The parts of a plan that are looked through. The disk's export refuses what it cannot say.
PARTS = ("settings", "bootloader", "packages", "repositories")


@dataclass(frozen=True, kw_only=True, slots=True)
class _Value:
    """A value in a plan. `put` returns the plan with another one in its place.

    `kind` is the kind of settings that it is in; None: it is in none.
    """

    now: Any
    put: Callable[[Any], ImagePlan]
    kind: type | None = None

    def field(self, name: str) -> _Value:
        """Return the value of a field."""
        return _Value(
            now=getattr(self.now, name),
            put=lambda new: self.put(dataclasses.replace(self.now, **{name: new})),
            kind=type(self.now) if isinstance(self.now, Setting) else self.kind,
        )

    def items(self) -> Iterator[_Value]:
        """Yield the values of a tuple."""
        for number, one in enumerate(self.now):
            before, after = self.now[:number], self.now[number + 1 :]
            yield _Value(now=one, put=partial(self._put_between, before, after), kind=self.kind)

    def _put_between(self, before: tuple[Any, ...], after: tuple[Any, ...], new: object) -> ImagePlan:
        return self.put((*before, new, *after))


def find_losses(plan: ImagePlan, export: Callable[[ImagePlan], object]) -> tuple[str, ...]:
    """Return the words of the kickstart without which what `export` makes of the plan is the same."""
    plan = _without_plain_interfaces(plan)
    said = export(plan)
    whole = _Value(now=plan, put=lambda new: new)
    found = [
        words for part in PARTS for words in _losses(whole.field(part), lambda other: export(other) == said)
    ]
    return tuple(dict.fromkeys(found))


def _losses(value: _Value, is_same: Callable[[ImagePlan], bool]) -> Iterator[str]:
    if isinstance(value.now, tuple):
        for item in value.items():
            yield from _losses(item, is_same)
    if not dataclasses.is_dataclass(value.now):
        return
    for field in dataclasses.fields(value.now):
        inner, default = value.field(field.name), _default(field)
        key = (type(value.now), field.name)
        if default is MISSING or inner.now == default or is_place(field.name) or key in NOT_LOST:
            continue
        # Of a dataclass that is always there each field is looked at by itself.
        if not dataclasses.is_dataclass(default) and is_same(inner.put(default)):
            yield from _words(value.now, field.name, inner.kind)
        else:
            yield from _losses(inner, is_same)


def _default(field: dataclasses.Field[Any]) -> Any:
    return field.default_factory() if field.default_factory is not MISSING else field.default


def _words(owner: object, name: str, kind: type | None) -> Iterator[str]:
    """Yield what the kickstart calls a field of `owner`."""
    if isinstance(owner, Network) and name == "interfaces":
        yield from (f"network {device.name}: device and options" for device in owner.interfaces)
        return
    rows = {**COMMANDS, **SECTIONS}
    commands = [command for command, row in rows.items() if kind is not None and row.sets is kind]
    called = ", ".join(commands) or (kind or type(owner)).__name__.lower()
    yield WORDS.get((type(owner), name), f"{called} ({name})")


def _without_plain_interfaces(plan: ImagePlan) -> ImagePlan:
    """Return the plan without what diskimage-builder's images do with each network card anyway."""
    network = plan.of(Network)
    asked = tuple(
        device
        for device in network.interfaces
        if device != NetworkInterface(name=device.name, place=device.place)
    )
    settings = (
        dataclasses.replace(network, interfaces=asked) if one is network else one for one in plan.settings
    )
    return dataclasses.replace(plan, settings=tuple(settings))
