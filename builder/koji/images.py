# SPDX-License-Identifier: MIT
"""Images built by a hub out of our kickstarts: the `image` task of Koji (koji image-build, Image Factory).

The kickstart goes there as one file (`builder.kickstart.flatten`), since the hub reads no includes.
"""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass, field
from typing import Any

from builder.errors import InputError, RemoteError
from builder.koji.builds import BACKGROUND, LOOK_BACK
from builder.koji.hub import Call, Hub
from builder.koji.tasks import make_task

# What other plug-ins of a hub build images with, and what to do where only they are offered.
OTHERS = {
    "kiwiBuild": "kiwi wants a description of its own (config.xml), not a kickstart",
    "osbuildImage": "osbuild wants a blueprint, not a kickstart",
}
# How kojid takes a distribution's name apart (OzImageTask.parseDistro), for the guests that Oz installs.
DISTRO = re.compile(r"(?:RHEL|CentOS|SL)-\d+\.\d+|Fedora-(?:\d+|rawhide)")
WAY_OUT = "build it here with openstack-builder image, and import it: openstack-builder koji import"


@dataclass(frozen=True, kw_only=True, slots=True)
class ImageSubmission:
    """One image to submit.

    `install_tree` is the address of the installation tree; `distro` the distribution's name as the hub's
    builders know it, such as RHEL-9.4; `disk_gib` the size of the disk in GiB.
    """

    name: str
    version: str
    hub_target: str
    arches: tuple[str, ...]
    install_tree: str
    distro: str
    ksversion: str
    disk_gib: int
    repositories: tuple[str, ...] = ()
    scratch: bool = True
    background: bool = False
    mark: str = field(default_factory=lambda: secrets.token_hex(8))

    @property
    def folder(self) -> str:
        """Where its kickstart goes in the hub's work area."""
        return f"cli-image/{self.mark}"

    def call(self, kickstart: str) -> Call:
        """Return the call that submits it; `kickstart` is the file's name in `folder`."""
        words: dict[str, Any] = {
            "kickstart": f"work/{self.folder}/{kickstart}",
            "ksversion": self.ksversion,
            "distro": self.distro,
            "disk_size": self.disk_gib,
            "format": ["qcow2"],
            "scratch": self.scratch,
        }
        if self.repositories:
            words["repo"] = list(self.repositories)
        priority = BACKGROUND if self.background else None
        return Call(
            "buildImageOz",
            (
                self.name,
                self.version,
                list(self.arches),
                self.hub_target,
                self.install_tree,
                words,
                priority,
            ),
        )


def check_name(name: str, version: str) -> None:
    """Refuse a name or version that Koji could not take apart again (koji.check_NVR).

    Raises:
        InputError: with the character that is in the way.
    """
    if not re.fullmatch(r"[A-Za-z0-9_.+-]+", name):
        raise InputError(f"--name {name}: a build's name has letters, digits and _ . + - only")
    if not re.fullmatch(r"[A-Za-z0-9_.+~^]+", version):
        raise InputError(f"--version {version}: a build's version has letters, digits and _ . + ~ ^ only")


def check_distro(distro: str) -> None:
    """Refuse a distribution whose name the hub's builders cannot take apart.

    Raises:
        InputError: with the names that they can.
    """
    if not DISTRO.fullmatch(distro):
        raise InputError(
            f"{distro}: Koji's builders know no distribution of that name",
            hint="name one with --distro: Fedora-N, RHEL-X.Y, CentOS-X.Y or SL-X.Y",
        )


def require_image_builds(hub: Hub) -> None:
    """Refuse a hub that does not build images from kickstarts.

    Raises:
        RemoteError: with what it offers instead, and a hint.
    """
    methods = set(hub.ask("system.listMethods"))
    if "buildImageOz" in methods:
        return
    offered = [why for method, why in OTHERS.items() if method in methods]
    reason = f"; {'; '.join(offered)}" if offered else ""
    raise RemoteError(
        f"{hub.profile.server} does not build images from kickstarts (buildImageOz){reason}", hint=WAY_OUT
    )


def find_submitted(hub: Hub, submission: ImageSubmission, now: float) -> int | None:
    """Return the number of the task that builds this very kickstart, None where there is none."""
    user = hub.ask("getLoggedInUser")
    rows = hub.ask(
        "listTasks",
        {"method": "image", "owner": user["id"], "createdAfter": now - LOOK_BACK, "decode": True},
    )
    for row in rows:
        words = make_task(row).request
        options = words[5] if len(words) > 5 and isinstance(words[5], dict) else {}
        if str(options.get("kickstart", "")).startswith(f"work/{submission.folder}/"):
            return int(row["id"])
    return None
