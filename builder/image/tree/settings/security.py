# SPDX-License-Identifier: MIT
"""selinux, firewall, authselect: refused, not ignored, where the image lacks their package."""

from __future__ import annotations

import re

from builder.errors import InputError
from builder.image.build import Build
from builder.image.isolation.sandbox import run_in_image
from builder.image.tree import tree
from builder.kickstart.plan import SELinux


def apply(build: Build) -> None:
    """Set SELinux's mode, the firewall's rules, the authselect profile."""
    _selinux(build)
    _firewall(build)
    _authselect(build)


def has_selinux_policy() -> bool:
    """Say whether the image holds a policy with file contexts."""
    return selinux_contexts() is not None


def selinux_contexts() -> str | None:
    """Return the path, in the image, of the policy's file contexts."""
    found = sorted(tree.path("/etc/selinux").glob("*/contexts/files/file_contexts"))
    return "/etc/selinux/" + "/".join(found[0].parts[-4:]) if found else None


def _selinux(build: Build) -> None:
    mode = build.plan.selinux
    if mode is None:
        return
    if mode != SELinux.DISABLED and not has_selinux_policy():
        raise InputError(
            f"{build.plan.selinux_place or 'selinux'}: selinux --{mode}: no policy in the image",
            hint="put selinux-policy-targeted into %packages, or write selinux --disabled",
        )
    path = tree.path("/etc/selinux/config")
    if path.is_file():
        text = re.sub(r"(?m)^SELINUX=.*$", f"SELINUX={mode}", path.read_text())
        path.write_text(text)
    elif has_selinux_policy():
        tree.write("/etc/selinux/config", f"SELINUX={mode}\nSELINUXTYPE=targeted\n")


def _firewall(build: Build) -> None:
    firewall = build.plan.firewall
    if firewall is None:
        return
    if not tree.path("/usr/bin/firewall-offline-cmd").exists():
        if firewall.enabled:
            raise InputError(
                f"{firewall.place or 'firewall'}: firewall: there is no firewalld in the image",
                hint="put firewalld into %packages, or write firewall --disabled",
            )
        return
    # As Anaconda does (pyanaconda/modules/network/firewall/installation.py): one call, ssh always.
    words = ["firewall-offline-cmd"]
    if not firewall.enabled:
        words.append("--disabled")
    else:
        services = [*(["ssh"] if "ssh" not in firewall.services else []), *firewall.services]
        words += ["--enabled", *(f"--service={name}" for name in services)]
        words += [f"--port={port}" for port in firewall.ports]
        words += [f"--trust={device}" for device in firewall.trusted]
    run_in_image(build, words)


def _authselect(build: Build) -> None:
    words = build.plan.authselect
    if words is None:
        return
    if not tree.path("/usr/bin/authselect").exists():
        raise InputError(
            "authselect: there is no authselect in the image", hint="put authselect into %packages"
        )
    run_in_image(build, ["authselect", *words])
