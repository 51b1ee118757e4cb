# SPDX-License-Identifier: MIT
"""The system inside: locale, time, security, services. One function a part of the plan."""

from __future__ import annotations

import re

from pykickstart.constants import SELINUX_DISABLED, SELINUX_PERMISSIVE

from builder.kickstart import addresses
from builder.kickstart.parsed import Kickstart
from builder.kickstart.place import Place
from builder.kickstart.plan import Certificate, Firewall, Keyboard, SELinux, Timezone
from builder.kickstart.values import KEYMAP, LANG, LAYOUT, PORT, UNIT, ZONE, fits

# update-ca-trust(8).
_ANCHORS = "/etc/pki/ca-trust/source/anchors"
_FIREWALL_SERVICES = {"--ssh": "ssh", "--http": "http", "--ftp": "ftp", "--smtp": "smtp"}


def plan_lang(ks: Kickstart) -> tuple[str, tuple[str, ...]]:
    """Return the language and the additional ones."""
    line = ks.last("lang")
    if line is None:
        return "C.UTF-8", ()
    lang = str(line.get("lang"))
    extra = tuple(str(name) for name in line.get("addsupport", ()))
    for name in (lang, *extra):
        fits(ks, line, LANG, name, "a locale such as en_US.UTF-8")
    return lang, extra


def plan_keyboard(ks: Kickstart) -> Keyboard:
    """Return the console keymap and the X layouts.

    As Anaconda does, the argument stands for whichever of --vckeymap and --xlayouts is not given.
    """
    line = ks.last("keyboard")
    if line is None:
        return Keyboard()
    plain = str(line.get("_keyboard", line.get("keyboard", "")))
    keymap = str(line.get("vc_keymap", "")) or plain
    layouts = tuple(str(layout) for layout in line.get("x_layouts", ()))
    if not keymap and layouts:
        keymap = re.split(r"[ (]", layouts[0])[0]
    fits(ks, line, KEYMAP, keymap, "a keymap such as us")
    for layout in layouts:
        fits(ks, line, LAYOUT, layout, "an X layout such as us or de (nodeadkeys)")
    switch = tuple(str(option) for option in line.get("switch_options", ()))
    return Keyboard(keymap=keymap, layouts=layouts, switch=switch)


def plan_timezone(ks: Kickstart) -> Timezone:
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
            fits(ks, line, ZONE, name, "a time zone such as Europe/Vienna")
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


def plan_selinux(ks: Kickstart) -> tuple[SELinux | None, Place | None]:
    """Return the state of SELinux and the line that asks for it; None leaves what the packages bring."""
    line = ks.last("selinux")
    if line is None:
        return None, None
    states = {SELINUX_DISABLED: SELinux.DISABLED, SELINUX_PERMISSIVE: SELinux.PERMISSIVE}
    return states.get(line.get("selinux"), SELinux.ENFORCING), line.place


def plan_firewall(ks: Kickstart) -> Firewall | None:
    """Return the firewall's rules; None leaves what the packages bring."""
    line = ks.last("firewall")
    if line is None or line.get("use_system_defaults", False):
        return None
    services = [str(name) for name in line.get("services", ())]
    services += [name for option, name in _FIREWALL_SERVICES.items() if option in line.options]
    ports = []
    for text in line.get("ports", ()):
        port = str(text) if ":" in str(text) else f"{text}:tcp"
        numbers = [int(number) for number in re.findall(r"\d+", port.partition(":")[0])]
        if not PORT.fullmatch(port) or (port[0].isdigit() and not all(0 < one < 65536 for one in numbers)):
            ks.findings.error(
                line.place, f'firewall: "{port}" is not a port', "such as 8080:tcp, 6000-6010:udp or imap:tcp"
            )
        else:
            ports.append(port)
    # Syntaxes before F10 put --ssh and the like among the ports; they say so as NAME:tcp.
    known = [port for port in ports if port.partition(":")[0] not in _FIREWALL_SERVICES.values()]
    return Firewall(
        enabled=bool(line.get("enabled", True)),
        services=tuple(dict.fromkeys(services)),
        removed_services=tuple(str(name) for name in line.get("remove_services", ())),
        ports=tuple(dict.fromkeys(known)),
        trusted=tuple(str(name) for name in line.get("trusts", ())),
        place=line.place,
    )


def plan_services(ks: Kickstart) -> tuple[tuple[str, ...], tuple[str, ...], Place | None]:
    """Return what to enable, what to disable, and the line. Disabling comes first, as in Anaconda."""
    line = ks.last("services")
    if line is None:
        return (), (), None
    lists = []
    for key in ("enabled", "disabled"):
        names = tuple(dict.fromkeys(str(name) for name in line.get(key, ())))
        lists.append(tuple(name for name in names if fits(ks, line, UNIT, name, "the name of a unit")))
    return lists[0], lists[1], line.place


def plan_default_target(ks: Kickstart) -> str | None:
    """Return the default target: skipx and xconfig --startxonboot say one."""
    graphical = ks.last("xconfig")
    if graphical is not None and "--startxonboot" in graphical.options:
        return "graphical.target"
    return "multi-user.target" if ks.last("skipx") else None


def plan_desktop(ks: Kickstart) -> str | None:
    """Return the desktop that xconfig --defaultdesktop names."""
    line = ks.last("xconfig")
    if line is None or not (name := str(line.get("defaultdesktop", ""))):
        return None
    if not re.fullmatch(r"[A-Za-z0-9_-]+", name):
        ks.findings.error(line.place, f'xconfig --defaultdesktop: "{name}" is not a name', "such as GNOME")
    return name


def plan_setup(ks: Kickstart, packages: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[str, ...], bool]:
    """Return which set-up programs run at the first boot, which do not, and whether they ask all again.

    Only for packages that are named: no other is in the image.
    """
    line = ks.last("firstboot")
    if line is None:
        return (), (), False
    units = tuple(f"{name}.service" for name in ("initial-setup", "firstboot") if name in packages)
    if not units:
        ks.findings.note(line.place, "firstboot has no effect: %packages names no set-up program")
        return (), (), False
    if {"--disable", "--disabled"} & line.options:
        return (), units, False
    again = "--reconfig" in line.options
    if again or {"--enable", "--enabled"} & line.options:
        ks.findings.warn(
            line.place,
            f"firstboot: {units[0]} asks on the console at the first boot, where a cloud has nobody",
            "write firstboot --disable",
        )
        return units, (), again
    return (), (), False


def plan_certificates(ks: Kickstart) -> tuple[Certificate, ...]:
    """Return the files of %certificate sections."""
    found = []
    for read in ks.all_sections("%certificate"):
        header = read.header
        name, folder = str(header.get("filename", "")), str(header.get("dir", "") or "")
        kind = str(header.get("type", "") or "")
        if not name or not (folder or kind):
            ks.findings.error(header.place, "%certificate: needs --filename, and --dir or --type=anchor")
            continue
        if "/" in name or (folder and (not folder.startswith("/") or ".." in folder.split("/"))):
            ks.findings.error(
                header.place, f"%certificate: {folder}/{name}: not a file in a folder", "--dir=/etc/pki/x"
            )
            continue
        if kind not in ("", "anchor"):
            ks.findings.error(header.place, f"%certificate --type={kind}: is not handled", "write anchor")
            continue
        if not read.section.body.strip():
            ks.findings.error(header.place, "%certificate: is empty", "put the certificate between the lines")
            continue
        found.append(
            Certificate(
                path=f"{(folder or _ANCHORS).rstrip('/')}/{name}",
                text=read.section.body,
                anchor=kind == "anchor",
                place=header.place,
            )
        )
    return tuple(found)
