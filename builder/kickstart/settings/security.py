# SPDX-License-Identifier: MIT
"""selinux, firewall, auth, authselect, %certificate."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Self

from pykickstart.constants import SELINUX_DISABLED, SELINUX_PERMISSIVE

from builder.kickstart.parsed import Kickstart, ParsedCommand
from builder.kickstart.place import Place
from builder.kickstart.plan import Setting
from builder.kickstart.values import DEVICE, PORT, SERVICE, fits

# update-ca-trust(8).
_ANCHORS = "/etc/pki/ca-trust/source/anchors"
_FIREWALL_SERVICES = {"--ssh": "ssh", "--http": "http", "--ftp": "ftp", "--smtp": "smtp"}

# Options of authconfig(8) that say what every target does anyway, those for weaker hashes, and those that
# bring accounts of a network, which nothing here would set up.
_OLD_AUTH_DEFAULTS = frozenset(
    {
        *("--enableshadow", "--useshadow", "--passalgo=sha512", "--enablelocauthorize", "--kickstart"),
        *("--updateall", "--update", "--nostart"),
    }
)
_OLD_AUTH_HASHES = frozenset({"--enablemd5", "--passalgo=md5", "--passalgo=sha256", "--passalgo=descrypt"})
_NETWORK_ACCOUNTS = re.compile(
    r"--(enable|use)?(nis|ldap|krb|hesiod|winbind|smb|sssd|ipa|rfc2307|wins|preferdns)\w*(=.*)?"
)

_AUTHSELECT = frozenset(
    {"select", "enable-feature", "disable-feature", "opt-out", "apply-changes", "current", "check"}
)


class SELinux(StrEnum):
    """The `selinux` line."""

    ENFORCING = "enforcing"
    PERMISSIVE = "permissive"
    DISABLED = "disabled"


@dataclass(frozen=True, kw_only=True, slots=True)
class Firewall:
    """A `firewall` line. `ports` as `8080:tcp`."""

    enabled: bool = True
    services: tuple[str, ...] = ()
    removed_services: tuple[str, ...] = ()
    ports: tuple[str, ...] = ()
    trusted: tuple[str, ...] = ()
    place: Place | None = None

    @property
    def opened(self) -> tuple[str, ...]:
        """The services that are opened: ssh always, as Anaconda does (network/firewall/installation.py)."""
        named = (*self.services, *self.removed_services)
        return self.services if "ssh" in named else ("ssh", *self.services)


@dataclass(frozen=True, kw_only=True, slots=True)
class Certificate:
    """A `%certificate` section: a file; `anchor`: the system trusts it."""

    path: str
    text: str
    anchor: bool = False
    place: Place | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Security(Setting):
    """SELinux, firewall, how users log in, certificates. None: leave what the packages bring."""

    authselect: tuple[str, ...] | None = None  # arguments of authselect
    authselect_place: Place | None = None
    selinux: SELinux | None = None
    selinux_place: Place | None = None
    firewall: Firewall | None = None
    certificates: tuple[Certificate, ...] = ()

    @classmethod
    def read(cls, ks: Kickstart) -> Self:
        """Return what the kickstart says of them."""
        authselect, authselect_place = _read_authselect(ks)
        selinux, selinux_place = _read_selinux(ks)
        return cls(
            authselect=authselect,
            authselect_place=authselect_place,
            selinux=selinux,
            selinux_place=selinux_place,
            firewall=_read_firewall(ks),
            certificates=_read_certificates(ks),
        )

    def rows(self) -> Iterator[tuple[str, str]]:
        """Yield the rows of `image --plan`."""
        if self.selinux is not None:
            yield "security", f"SELinux {self.selinux.value}"
        if self.firewall is not None:
            opened = " ".join((*self.firewall.opened, *self.firewall.ports)) or "nothing"
            more = [f", {name} trusted" for name in self.firewall.trusted]
            more += [f", {name} closed" for name in self.firewall.removed_services]
            said = "".join([f"firewall open for {opened}", *more])
            yield "security", said if self.firewall.enabled else "no firewall"
        if self.authselect:
            yield "security", f"authselect {' '.join(self.authselect)}"
        yield from (("security", f"certificate {one.path}") for one in self.certificates)


def _read_selinux(ks: Kickstart) -> tuple[SELinux | None, Place | None]:
    """Return the state of SELinux and the line that asks for it; None leaves what the packages bring."""
    line = ks.last("selinux")
    if line is None:
        return None, None
    states = {SELINUX_DISABLED: SELinux.DISABLED, SELINUX_PERMISSIVE: SELinux.PERMISSIVE}
    return states.get(line.get("selinux"), SELinux.ENFORCING), line.place


def _read_firewall(ks: Kickstart) -> Firewall | None:
    """Return the firewall's rules; None leaves what the packages bring."""
    line = ks.last("firewall")
    if line is None:
        return None
    if line.get("use_system_defaults", False):
        # As in Anaconda (pyanaconda/modules/network/firewall), which then does not configure it at all.
        others = sorted(line.options - {"--use-system-defaults", "--enabled", "--enable"})
        if others:
            ks.findings.warn(
                line.place,
                f"firewall --use-system-defaults: {', '.join(others)} has no effect with it",
                "leave one of them out",
            )
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
    for option, key in (("--service", "services"), ("--remove-service", "remove_services")):
        for name in line.get(key, ()):
            fits(ks, line, SERVICE, str(name), f"a service of firewalld for {option}")
    for name in line.get("trusts", ()):
        fits(ks, line, DEVICE, str(name), "the name of a device")
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


def _read_authselect(ks: Kickstart) -> tuple[tuple[str, ...] | None, Place | None]:
    """Return the arguments of authselect(8), None when nothing is asked for, and the line.

    auth and authconfig (EL 7 and before): their usual options say what every target does anyway.
    """
    for old in ks.all("auth", "authconfig"):
        _tell_old_options(ks, old)
    line = ks.last("authselect")
    if line is None:
        return None, None
    if line.words and all(word in _OLD_AUTH_DEFAULTS for word in line.words):
        ks.findings.warn(
            line.place,
            "authselect has no such options; every target does what they asked authconfig for",
            "leave the line out",
        )
        return None, None
    if line.words and line.words[0].startswith("--"):
        # Anaconda hands them to authselect(8), which refuses them, and goes on.
        _tell_old_options(ks, line)
        return None, None
    if not line.words or line.words[0] not in _AUTHSELECT:
        ks.findings.error(
            line.place,
            "authselect: must begin with a command of authselect(8)",
            "such as authselect select sssd",
        )
    return line.words, line.place


def _tell_old_options(ks: Kickstart, line: ParsedCommand) -> None:
    """Say what becomes of options of authconfig(8), which is not run."""
    # `--passalgo sha512` is `--passalgo=sha512`.
    words = re.sub(r"(--passalgo) (?!-)", r"\1=", " ".join(line.words)).split()
    if weak := _OLD_AUTH_HASHES & set(words):
        ks.findings.warn(
            line.place,
            f"{line.name} {' '.join(sorted(weak))}: new passwords are hashed by the target's method",
        )
    left = [word for word in words if word not in _OLD_AUTH_DEFAULTS | _OLD_AUTH_HASHES]
    network = [word for word in left if _NETWORK_ACCOUNTS.fullmatch(word)]
    others = [word for word in left if word not in network and not word.startswith("--disable")]
    if network:
        ks.findings.error(
            line.place,
            f"{line.name} {' '.join(network)}: authconfig is not run, accounts of a network are not set up",
            "write an authselect line, or set SSSD up in a %post script",
        )
    elif others:
        ks.findings.warn(
            line.place,
            f"{line.name} {' '.join(others)}: authconfig is not run; PAM stays as packaged",
            "write an authselect line if it matters",
        )
    else:
        ks.findings.note(line.place, f"{line.name}: every target has shadow passwords with sha512")


def _read_certificates(ks: Kickstart) -> tuple[Certificate, ...]:
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
            ks.findings.error(header.place, f"%certificate --type={kind}: is not supported", "write anchor")
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
