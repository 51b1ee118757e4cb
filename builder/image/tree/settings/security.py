# SPDX-License-Identifier: MIT
"""selinux, firewall, authselect, %certificate: refused, not ignored, where the image lacks their package."""

from __future__ import annotations

import difflib
import re

from builder.errors import InputError
from builder.image.build import Build
from builder.image.tree import tree
from builder.image.tree.settings.programs import has_program, message_at, run_for
from builder.kickstart.place import Place
from builder.kickstart.settings.security import Certificate, Firewall, Security, SELinux
from builder.targets import TargetFamily

LAST_WITH_LOKKIT = {TargetFamily.EL: 6}


def apply(build: Build, security: Security) -> None:
    """Set SELinux's mode, the firewall's rules, the authselect profile."""
    _selinux(security)
    _firewall(build, security.firewall)
    _authselect(build, security)
    _certificates(build, security.certificates)


def has_selinux_policy() -> bool:
    """Say whether the image holds a policy with file contexts."""
    return selinux_contexts() is not None


def selinux_contexts() -> str | None:
    """Return the path, in the image, of the file contexts of the policy that it will run.

    Of several policies that is the one that /etc/selinux/config names (selinux_config(5)).
    """
    found = sorted(tree.path("/etc/selinux").glob("*/contexts/files/file_contexts"))
    paths = ["/etc/selinux/" + "/".join(path.parts[-4:]) for path in found]
    config = tree.path("/etc/selinux/config")
    named = re.findall(r"(?m)^SELINUXTYPE=(\S+)", config.read_text()) if config.is_file() else []
    chosen = [path for path in paths if path.split("/")[3] in named[-1:]] or paths
    return chosen[0] if chosen else None


def _selinux(security: Security) -> None:
    mode = security.selinux
    if mode is None:
        return
    if mode != SELinux.DISABLED and not has_selinux_policy():
        raise InputError(
            f"{security.selinux_place or 'selinux'}: selinux --{mode}: no policy in the image",
            hint="put selinux-policy-targeted into %packages, or write selinux --disabled",
        )
    path = tree.path("/etc/selinux/config")
    if path.is_file():
        text = re.sub(r"(?m)^SELINUX=.*$", f"SELINUX={mode}", path.read_text())
        path.write_text(text)
    elif has_selinux_policy():
        tree.write("/etc/selinux/config", f"SELINUX={mode}\nSELINUXTYPE=targeted\n")


def _firewall(build: Build, firewall: Firewall | None) -> None:
    if firewall is None:
        return
    # Its forerunner, of EL 6, takes the same options.
    has_lokkit = has_program("lokkit") and not has_program("firewall-offline-cmd")
    if not has_lokkit and not has_program("firewall-offline-cmd"):
        if firewall.enabled:
            old = build.target.is_up_to(LAST_WITH_LOKKIT)
            package = "system-config-firewall-base" if old else "firewalld"
            raise InputError(
                message_at(firewall.place, "firewall", f"{package} is not in the image"),
                hint=f"put {package} into %packages, or write firewall --disabled",
            )
        return
    # As Anaconda does (pyanaconda/modules/network/firewall/installation.py): one call.
    words = ["lokkit", "--quiet", "--nostart"] if has_lokkit else ["firewall-offline-cmd"]
    if not firewall.enabled:
        words.append("--disabled")
    else:
        if not has_lokkit:
            _check_services([*firewall.opened, *firewall.removed_services], firewall.place)
        words += ["--enabled", *(f"--service={name}" for name in firewall.opened)]
        words += [f"--remove-service={name}" for name in firewall.removed_services]
        words += [f"--port={_number(port, firewall.place)}" for port in firewall.ports]
        words += [f"--trust={device}" for device in firewall.trusted]
    run_for(build, "firewall", words, place=firewall.place)


def _check_services(names: list[str], place: Place | None) -> None:
    """Refuse services that firewalld of the image does not know (firewalld.service(5))."""
    folders = [tree.path(folder) for folder in ("/usr/lib/firewalld/services", "/etc/firewalld/services")]
    known = {path.stem for folder in folders if folder.is_dir() for path in folder.glob("*.xml")}
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(name, sorted(known), n=1)
            raise InputError(
                message_at(place, f"firewall --service={name}", "the image's firewalld has no such service"),
                hint=f"did you mean {near[0]}?" if near else "open its ports: --port=NUMBER:tcp",
            )


def _number(port: str, place: Place | None) -> str:
    """Return a port with its number in place of a name of services(5): imap:tcp is 143:tcp."""
    name, _, protocol = port.partition(":")
    if name[0].isdigit():
        return port
    path = tree.path("/etc/services")
    for line in path.read_text().splitlines() if path.is_file() else ():
        fields = line.partition("#")[0].split()
        if len(fields) > 1 and name in (fields[0], *fields[2:]) and fields[1].endswith(f"/{protocol}"):
            return f"{fields[1].partition('/')[0]}:{protocol}"
    raise InputError(
        message_at(place, f"firewall --port={port}", "the image's /etc/services has no such name"),
        hint=f"write the number: --port=8080:{protocol}",
    )


def _authselect(build: Build, security: Security) -> None:
    words, place = security.authselect, security.authselect_place
    if words is None:
        return
    what = f"authselect {' '.join(words)}"
    if not tree.path("/usr/bin/authselect").exists():
        raise InputError(
            message_at(place, what, "authselect is not in the image"), hint="add authselect to %packages"
        )
    run_for(build, what, ["authselect", *words], place=place)


def _certificates(build: Build, certificates: tuple[Certificate, ...]) -> None:
    """Write %certificate sections; those that the system trusts go through update-ca-trust(8)."""
    for one in certificates:
        tree.write(one.path, one.text)
    anchors = [one for one in certificates if one.anchor]
    if not anchors:
        return
    what = "%certificate --type=anchor"
    if not has_program("update-ca-trust"):
        raise InputError(
            message_at(anchors[0].place, what, "update-ca-trust is not in the image"),
            hint="put ca-certificates into %packages",
        )
    run_for(build, what, ["update-ca-trust", "extract"], place=anchors[0].place)
