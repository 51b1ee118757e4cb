# SPDX-License-Identifier: MIT
"""What of a plan an exported element does not set.

It is found, not listed: a value is lost when the element comes out the same without it. So a setting that
nobody has thought of here is reported, too.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from dataclasses import MISSING, dataclass
from typing import Any

from builder.kickstart.commands import COMMANDS, SECTIONS
from builder.kickstart.place import is_place
from builder.kickstart.plan import Bootloader, ImagePlan, Packages, Repository
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
    (Services, "set_up_again"): "firstboot --reconfig",
    (Services, "default_desktop"): "xconfig --defaultdesktop",
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
    """A part of a plan, and how to get the plan with another in its place.

    `root` is the setting, or what else of PARTS, that it belongs to.
    """

    now: Any
    root: Any
    put: Callable[[Any], ImagePlan]

    def field(self, name: str) -> _Value:
        """Return the value of a field."""
        return _Value(
            now=getattr(self.now, name),
            root=self.root,
            put=lambda new: self.put(dataclasses.replace(self.now, **{name: new})),
        )

    def item(self, number: int) -> _Value:
        """Return a value of a tuple."""
        now = self.now
        return _Value(
            now=now[number],
            root=now[number] if self.root is None else self.root,
            put=lambda new: self.put((*now[:number], new, *now[number + 1 :])),
        )


def find_losses(plan: ImagePlan, export: Callable[[ImagePlan], object]) -> tuple[str, ...]:
    """Return the words of the kickstart without which what `export` makes of the plan is the same."""
    plan = _without_plain_interfaces(plan)
    said = export(plan)
    found: list[str] = []
    for name in PARTS:
        part = _Value(now=plan, root=None, put=lambda new: new).field(name)
        if not isinstance(part.now, tuple):
            part = dataclasses.replace(part, root=part.now)
        found += _losses(part, lambda other: export(other) == said)
    return tuple(dict.fromkeys(found))


def _losses(value: _Value, is_same: Callable[[ImagePlan], bool]) -> Iterator[str]:
    if isinstance(value.now, tuple):
        for number in range(len(value.now)):
            yield from _losses(value.item(number), is_same)
    if not dataclasses.is_dataclass(value.now):
        return
    for field in dataclasses.fields(value.now):
        inner, default = value.field(field.name), _default(field)
        key = (type(value.now), field.name)
        if default is MISSING or inner.now == default or is_place(field.name) or key in NOT_LOST:
            continue
        # Of a dataclass that is always there each field is looked at by itself.
        if not dataclasses.is_dataclass(default) and is_same(inner.put(default)):
            yield from _words(value, field.name)
        else:
            yield from _losses(inner, is_same)


def _default(field: dataclasses.Field[Any]) -> Any:
    return field.default_factory() if field.default_factory is not MISSING else field.default


def _words(value: _Value, name: str) -> Iterator[str]:
    """Yield what the kickstart calls a field."""
    if (type(value.now), name) == (Network, "interfaces"):
        yield from (f"network {device.name}: device and options" for device in value.now.interfaces)
        return
    kind = type(value.root)
    rows = {**COMMANDS, **SECTIONS}
    commands = [command for command, row in rows.items() if row.sets is kind] or [kind.__name__.lower()]
    yield WORDS.get((type(value.now), name), f"{', '.join(commands)} ({name})")


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
