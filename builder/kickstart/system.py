# SPDX-License-Identifier: MIT
"""The system inside: locale, accounts, security, services, network. One function a part of the plan."""

from __future__ import annotations

import re

from pykickstart.constants import SELINUX_DISABLED, SELINUX_PERMISSIVE

from builder.kickstart.plan import (
    Firewall,
    Group,
    Keyboard,
    NetworkInterface,
    Password,
    Place,
    SELinux,
    SshKey,
    Timezone,
    User,
)
from builder.kickstart.read import Kickstart
from builder.kickstart.syntax import Command

# What ends up in a file of the guest must look like what that file expects.
_LANG = re.compile(r"[A-Za-z]{1,8}(_[A-Za-z]{2,3})?(\.[A-Za-z0-9-]+)?(@[a-z]+)?")
_KEYMAP = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_LAYOUT = re.compile(r"[a-z]{2,8}( ?\([A-Za-z0-9_ -]+\))?")
_ZONE = re.compile(r"[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+){0,2}")
_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)*")
_HOST_OR_ADDRESS = re.compile(rf"{_HOST.pattern}|[0-9A-Fa-f:]+")
_ACCOUNT = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,31}\$?")
_UNIT = re.compile(r"[A-Za-z0-9:_.@\\-]+")
_PORT = re.compile(r"\d+(-\d+)?:(tcp|udp|sctp|dccp)")
_MAC = re.compile(r"([0-9A-Fa-f]{2}:){5}[0-9A-Fa-f]{2}")
_DEVICE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,14}")

# crypt(5): $id$..., the 13 characters of DES, or what locks an account on purpose.
_HASH = re.compile(r"\$[0-9a-z]+\$[^:\s]+|[./0-9A-Za-z]{13}")

_FIREWALL_SERVICES = {"--ssh": "ssh", "--http": "http", "--ftp": "ftp", "--smtp": "smtp"}

# A network line with nothing else is about the host, not about an interface.
_NO_INTERFACE = frozenset({"--hostname", "--activate", "--no-activate", "--notksdevice"})

_OLD_AUTH_DEFAULTS = frozenset({"--enableshadow", "--useshadow", "--passalgo=sha512"})


def fits(ks: Kickstart, command: Command, pattern: re.Pattern[str], value: str, what: str) -> bool:
    """Tell whether `value` looks like `what`; an error is noted when not."""
    if pattern.fullmatch(value):
        return True
    ks.findings.error(command.place, f'{command.name}: "{value}" is not {what}')
    return False


def plan_lang(ks: Kickstart) -> tuple[str, tuple[str, ...]]:
    """Return the language and the additional ones."""
    line = ks.last("lang")
    if line is None:
        return "C.UTF-8", ()
    lang = str(line.get("lang"))
    extra = tuple(str(name) for name in line.get("addsupport", ()))
    for name in (lang, *extra):
        fits(ks, line, _LANG, name, "a locale such as en_US.UTF-8")
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
    fits(ks, line, _KEYMAP, keymap, "a keymap such as us")
    for layout in layouts:
        fits(ks, line, _LAYOUT, layout, "an X layout such as us or de (nodeadkeys)")
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
        name = str(line.get("timezone", "")) or name
        fits(ks, line, _ZONE, name, "a time zone such as Europe/Vienna")
        utc = bool({"--utc", "--isUtc"} & line.options)
        ntp = ntp and "--nontp" not in line.options
        left_out = line.values.get("--ntpservers", "").split(",")
        servers += [(line, str(host)) for host in (*left_out, *line.get("ntpservers", ())) if host]
    for source, host in (*servers, *pools):
        fits(ks, source, _HOST_OR_ADDRESS, host, "a host name or an address")
    return Timezone(
        name=name,
        utc=utc,
        ntp=ntp,
        servers=tuple(dict.fromkeys(host for _, host in servers)),
        pools=tuple(dict.fromkeys(host for _, host in pools)),
    )


def plan_root(ks: Kickstart) -> tuple[Password, bool]:
    """Return root's password, and whether ssh may take it. Without a rootpw line root is locked."""
    line = ks.last("rootpw")
    if line is None:
        ks.findings.note(None, "no rootpw line: root is locked")
        return Password(locked=True), False
    return plan_password(ks, line, who="root"), bool(line.get("allow_ssh", False))


def plan_password(ks: Kickstart, line: Command, *, who: str) -> Password:
    """Return the password of a rootpw or user line.

    A text given as a hash that is none (`locked`, `nothing`, `!!`): nobody could log in with it, so it
    locks the account, and a proper lock is what the image gets.
    """
    text = str(line.get("password", ""))
    locked = bool(line.get("lock", False))
    if not line.get("isCrypted", False):
        return Password(plain=text or None, locked=locked or not text)
    if _HASH.fullmatch(text):
        return Password(hash=text, locked=locked)
    if text.strip("!*"):
        ks.findings.warn(
            line.place,
            f"{line.name}: the password of {who} is not a crypt(5) hash; the account is locked",
            "write --lock to say so",
        )
    return Password(locked=True)


def plan_users(ks: Kickstart) -> tuple[tuple[User, ...], tuple[Group, ...]]:
    """Return the accounts to make, and the groups of group lines and of `--groups=name(gid)`."""
    groups: dict[str, Group] = {}
    users: dict[str, User] = {}
    for line in ks.all("group"):
        name = str(line.get("name", ""))
        if fits(ks, line, _ACCOUNT, name, "a group name"):
            groups[name] = Group(name=name, gid=line.get("gid"))
    for line in ks.all("user"):
        name = str(line.get("name", ""))
        if not fits(ks, line, _ACCOUNT, name, "a user name"):
            continue
        if name in users:
            ks.findings.warn(line.place, f"a second user line for {name}: the last holds")
        member = []
        for text in line.get("groups", ()):
            match = re.fullmatch(r"([^()]*?)\s*(?:\((\d+)\))?", str(text))
            group, gid = (match[1], match[2]) if match else (str(text), None)
            if fits(ks, line, _ACCOUNT, group, "a group name"):
                member.append(group)
                if gid is not None:
                    groups[group] = Group(name=group, gid=int(gid))
        users[name] = _plan_user(ks, line, name, tuple(member))
    return tuple(users.values()), tuple(groups.values())


def _plan_user(ks: Kickstart, line: Command, name: str, groups: tuple[str, ...]) -> User:
    home, shell, gecos = (str(line.get(key, "")) for key in ("homedir", "shell", "gecos"))
    for text in (home, shell):
        if text and (not text.startswith("/") or re.search(r"[:\n]", text)):
            ks.findings.error(line.place, f'user: "{text}" is not an absolute path')
    if re.search(r"[:\n]", gecos):
        ks.findings.error(line.place, "user --gecos: a colon ends the field", "leave the colon out")
    return User(
        name=name,
        password=plan_password(ks, line, who=name),
        uid=line.get("uid"),
        gid=line.get("gid"),
        groups=groups,
        home=home or None,
        shell=shell or None,
        gecos=gecos,
        place=line.place,
    )


def plan_ssh_keys(ks: Kickstart) -> tuple[SshKey, ...]:
    """Return the keys of sshkey lines."""
    keys = []
    for line in ks.all("sshkey"):
        user, key = str(line.get("username", "")), str(line.get("key", "")).strip()
        if fits(ks, line, _ACCOUNT, user, "a user name") and "\n" not in key:
            keys.append(SshKey(user=user, key=key))
    return tuple(keys)


def plan_authselect(ks: Kickstart) -> tuple[str, ...] | None:
    """Return the arguments of authselect(8), None when nothing is asked for.

    auth and authconfig (EL 7 and before): their usual options say what every target does anyway.
    """
    for old in ks.all("auth", "authconfig"):
        left = [word for word in old.words if word not in _OLD_AUTH_DEFAULTS]
        if left:
            ks.findings.error(
                old.place,
                f"{old.name} {' '.join(left)}: authconfig is not run",
                "write an authselect line, or configure PAM in a %post script",
            )
        else:
            ks.findings.note(old.place, f"{old.name}: shadow passwords with sha512 are what every target has")
    line = ks.last("authselect")
    if line is None:
        return None
    if not line.words or line.words[0] not in ("select", "enable-feature", "disable-feature"):
        ks.findings.error(line.place, "authselect: select, enable-feature or disable-feature is wanted")
    return line.words


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
        if fits(ks, line, _PORT, port, "a port such as 8080:tcp"):
            ports.append(port)
    # Syntaxes before F10 put --ssh and the like among the ports; they say so as NAME:tcp.
    known = [port for port in ports if port.partition(":")[0] not in _FIREWALL_SERVICES.values()]
    return Firewall(
        enabled=bool(line.get("enabled", True)),
        services=tuple(dict.fromkeys(services)),
        ports=tuple(dict.fromkeys(known)),
        trusted=tuple(str(name) for name in line.get("trusts", ())),
        place=line.place,
    )


def plan_services(ks: Kickstart) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return what to enable and what to disable. Disabling comes first, as in Anaconda."""
    line = ks.last("services")
    if line is None:
        return (), ()
    lists = []
    for key in ("enabled", "disabled"):
        names = tuple(dict.fromkeys(str(name) for name in line.get(key, ())))
        lists.append(tuple(name for name in names if fits(ks, line, _UNIT, name, "the name of a unit")))
    return lists[0], lists[1]


def plan_default_target(ks: Kickstart) -> str | None:
    """Return the default target: skipx and xconfig --startxonboot say one."""
    graphical = ks.last("xconfig")
    if graphical is not None and "--startxonboot" in graphical.options:
        return "graphical.target"
    return "multi-user.target" if ks.last("skipx") else None


def plan_disabled_setup(ks: Kickstart, packages: tuple[str, ...]) -> tuple[str, ...]:
    """Return the services that `firstboot --disabled` turns off: those of packages that are named."""
    line = ks.last("firstboot")
    if line is None:
        return ()
    units = [f"{name}.service" for name in ("initial-setup", "firstboot") if name in packages]
    if not units:
        ks.findings.note(line.place, "firstboot has no effect: %packages names no set-up program")
    return tuple(units)


def plan_network(ks: Kickstart) -> tuple[str | None, tuple[NetworkInterface, ...]]:
    """Return the host name and the interfaces; a later line for the same device replaces the earlier."""
    hostname: str | None = None
    found: dict[str | None, NetworkInterface] = {}
    for line in ks.all("network"):
        name = str(line.get("hostname", ""))
        if name and fits(ks, line, _HOST, name, "a host name"):
            hostname = name
        if line.options - _NO_INTERFACE:
            interface = _plan_interface(ks, line)
            if interface is not None:
                found[interface.device] = interface
    return hostname, tuple(found.values())


def _plan_interface(ks: Kickstart, line: Command) -> NetworkInterface | None:
    device: str | None = str(line.get("device", "")) or None
    if device in ("link", "bootif", "ibft"):
        device = None
    if device is not None and _MAC.fullmatch(device):
        ks.findings.error(
            line.place,
            f"network --device={device}: an image is not bound to a MAC address",
            "write --device=link, or the name eth0",
        )
        return None
    if device is not None and not fits(ks, line, _DEVICE, device, "the name of a device"):
        return None
    # --noipv4 empties it, and bootp is what a DHCP client speaks.
    bootproto = str(line.get("bootProto", "dhcp")).lower().replace("bootp", "dhcp") or "dhcp"
    if bootproto not in ("dhcp", "static"):
        ks.findings.error(
            line.place, f"network --bootproto={bootproto}: is not handled", "write dhcp or static"
        )
        return None
    address = str(line.get("ip", "")) or None
    if bootproto == "static" and address is None:
        ks.findings.error(line.place, "network --bootproto=static: needs --ip", "add --ip and --netmask")
    if bootproto == "dhcp" and address is not None and "--bootproto" not in line.options:
        ks.findings.warn(line.place, "network --ip: without --bootproto=static the address is not used")
    mtu = str(line.get("mtu", ""))
    if mtu and not mtu.isdecimal():
        ks.findings.error(line.place, f"network --mtu={mtu}: is not a number")
        mtu = ""
    names = str(line.get("nameserver", ""))
    return NetworkInterface(
        device=device,
        bootproto=bootproto,
        ip=address,
        netmask=str(line.get("netmask", "")) or None,
        gateway=str(line.get("gateway", "")) or None,
        nameservers=tuple(name.strip() for name in names.split(",") if name.strip()),
        ipv6=str(line.get("ipv6", "")) or None,
        noipv4=bool(line.get("noipv4", False)),
        noipv6=bool(line.get("noipv6", False)),
        onboot=bool(line.get("onboot", True)),
        mtu=int(mtu) if mtu else None,
    )
