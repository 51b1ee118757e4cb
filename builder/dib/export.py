# SPDX-License-Identifier: MIT
"""An image plan as an element of diskimage-builder, with the image definition that builds it.

Pure: a plan becomes files. What elements cannot express is refused by name, since the image would lack what
its author wrote; what can be lost, and what differs in the making only, is listed in the README.

Source: diskimage-builder's documentation (user_guide/building_an_image, developer/developing_elements), and
the READMEs of its elements bootloader, package-installs and yum-minimal.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

from builder.dib.disk import check_disk, describe_disk
from builder.dib.losses import find_losses
from builder.dib.scripts import check_scripts, phase_scripts
from builder.errors import InputError, Problem
from builder.kickstart.plan import ImagePlan, Repository
from builder.kickstart.settings.accounts import Accounts
from builder.kickstart.settings.network import Network
from builder.targets import Dib, Target

# diskimage-builder's words for architectures.
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
# KiB of an extent where none is asked for: vgcreate(8).
LVM_EXTENT = 4096


@dataclass(frozen=True, kw_only=True, slots=True)
class ExportedFile:
    """A file of the export: its path below the folder, its text, whether it is run."""

    path: str
    text: str
    executable: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Export:
    """All files, and what is lost: lines for a person."""

    files: tuple[ExportedFile, ...]
    losses: tuple[str, ...]


def export_plan(
    plan: ImagePlan, target: Target, *, types: tuple[str, ...] = ("qcow2",), more: tuple[str, ...] = ()
) -> Export:
    """Return what builds the image of `plan` with diskimage-builder.

    Args:
        types: formats of the image.
        more: elements besides those that say the plan.

    Raises:
        InputError: the target has no element of diskimage-builder; with every line that elements cannot say.
    """
    if target.dib is None:
        raise InputError(
            f"{target.name}: diskimage-builder has no element that makes it",
            hint="build it here: openstack-builder image",
        )
    problems = [*check_disk(plan), *check_scripts(plan), *_check_rest(plan)]
    if problems:
        raise InputError(problems=problems)
    dib = target.dib
    unset = find_losses(plan, lambda other: tuple(_element(other, dib, types, more)))
    losses = tuple(_losses(plan, unset))
    readme = ExportedFile(path="README.md", text=_readme(plan, losses))
    return Export(files=(readme, *_element(plan, dib, types, more)), losses=losses)


def _check_rest(plan: ImagePlan) -> Iterator[Problem]:
    for name, place in plan.unresolved_includes:
        yield Problem(
            where=str(place),
            message=f"%include {name}: only a %pre script writes it, and elements have none",
            hint="include a file that exists",
        )
    accounts = plan.of(Accounts)
    for user in accounts.users:
        if user.password.plain is not None:
            yield Problem(
                where=str(user.place) if user.place else None,
                message=f"user {user.name}: the element would hold a plain password",
                hint="give its hash: --iscrypted (openssl passwd -6)",
            )
    if accounts.root_password.plain is not None:
        yield Problem(
            where=str(accounts.root_place) if accounts.root_place else None,
            message="rootpw: the element would hold a plain password",
            hint="give its hash: --iscrypted (openssl passwd -6)",
        )
    for device in plan.of(Network).interfaces:
        if device.kind != "ethernet" or device.bootproto != "dhcp":
            yield Problem(
                where=str(device.place) if device.place else None,
                message=f"network {device.name}: elements can express only DHCP on Ethernet",
                hint="write a connection of NetworkManager in %post, or build with openstack-builder image",
            )


def _losses(plan: ImagePlan, unset: tuple[str, ...]) -> Iterator[str]:
    if any(script.section == "pre" for script in plan.scripts):
        yield "%pre scripts are not part of it: what they wrote for this kickstart is."
    yield "Scripts run in a chroot as root of this host, with its network, not in a sandbox."
    if plan.gpgcheck:
        yield "Signatures are checked by dnf in the image, not while its first packages are installed."
    yield from (f"{words}: is not set in the image." for words in unset)
    if any(group.extent_size != LVM_EXTENT for group in plan.disk.groups):
        yield "volgroup --pesize: is not set in the image."
    yield "The same inputs do not give the same bytes, and there is no manifest."


def _element(
    plan: ImagePlan, dib: Dib, types: tuple[str, ...], more: tuple[str, ...]
) -> Iterator[ExportedFile]:
    """Yield all that makes the image."""
    element = f"elements/{plan.name}"
    yield ExportedFile(path="image.yaml", text=_dump([_definition(plan, dib, types, more)]))
    yield ExportedFile(path="build", text=_BUILD, executable=True)
    for repository in plan.repositories:
        yield ExportedFile(
            path=f"repos/dib-mirror-{repository.name}.repo", text=_repository(repository, plan)
        )
    yield ExportedFile(path=f"{element}/element-deps", text="bootloader\npackage-installs\n")
    yield ExportedFile(path=f"{element}/element-provides", text="block-device\n")
    yield ExportedFile(
        path=f"{element}/README.md", text=f"{plan.name}, exported from {plan.kickstarts[0]}.\n"
    )
    yield ExportedFile(path=f"{element}/block-device-default.yaml", text=_dump(describe_disk(plan)))
    yield ExportedFile(path=f"{element}/package-installs.yaml", text=_dump(_packages(plan)))
    # In the environment of the program it would be lost: disk-image-create has a variable of that name.
    yield ExportedFile(
        path=f"{element}/environment.d/15-{plan.name}-block-device.bash",
        text=f"export DIB_BLOCK_DEVICE={_block_device(plan)}\n",
    )
    for path, text in phase_scripts(plan):
        yield ExportedFile(path=f"{element}/{path}", text=text, executable=True)


def _definition(
    plan: ImagePlan, dib: Dib, types: tuple[str, ...], more: tuple[str, ...]
) -> dict[str, object]:
    """Return the image as diskimage-builder's YAML defines it (diskimage_builder/diskimage_builder.py)."""
    return {
        "imagename": plan.name,
        "arch": ARCHITECTURES.get(plan.architecture, plan.architecture),
        "types": list(types),
        "elements": [dib.element, plan.name, *more],
        # Its element `base` brings packages that the kickstart does not name.
        "skip-base": True,
        "environment": {
            "DIB_RELEASE": dib.release,
            # The kernel gets the kickstart's arguments and no others.
            "DIB_BOOTLOADER_DEFAULT_CMDLINE": plan.bootloader.append,
            "DIB_BOOTLOADER_USE_SERIAL_CONSOLE": "False",
            "DIB_BOOTLOADER_VIRTUAL_TERMINAL": "",
            "DIB_NO_TIMER_CHECK": "False",
            "DIB_GRUB_TIMEOUT": str(plan.bootloader.timeout if plan.bootloader.timeout is not None else 1),
        },
    }


def _block_device(plan: ImagePlan) -> str:
    """Return what the element bootloader installs GRUB for: both firmwares, or BIOS on one kind of table."""
    if any(part.fstype == "efi" for part in plan.disk.partitions):
        return "efi"
    return "gpt" if plan.disk.label == "gpt" else "mbr"


def _packages(plan: ImagePlan) -> dict[str, Mapping[str, object] | None]:
    """Return package-installs.yaml: what is installed, and what is removed.

    Groups are a script's: install-packages marks what it has installed, and a group cannot be marked.
    """
    wanted: dict[str, Mapping[str, object] | None] = dict.fromkeys(
        (*plan.packages.names, *plan.packages.added)
    )
    for name in plan.packages.excluded:
        wanted[name] = {"uninstall": True}
    return wanted


def _repository(repository: Repository, plan: ImagePlan) -> str:
    """Return a file of dnf.conf(5) for a repository."""
    lines = [f"[{repository.name}]", f"name={repository.name}", "enabled=1"]
    if repository.metalink:
        lines.append(f"metalink={repository.metalink}")
    elif repository.mirrorlist:
        lines.append(f"mirrorlist={repository.mirrorlist}")
    else:
        lines.append(f"baseurl={' '.join(repository.baseurl)}")
    keys = [key if "://" in key else Path(key).absolute().as_uri() for key in repository.gpg_keys]
    lines.append(f"gpgcheck={int(plan.gpgcheck and bool(keys))}")
    if keys:
        lines.append(f"gpgkey={' '.join(keys)}")
    for name, value in (
        ("cost", repository.cost),
        ("includepkgs", " ".join(repository.includes)),
        ("excludepkgs", " ".join(repository.excludes)),
        ("proxy", repository.proxy),
    ):
        if value:
            lines.append(f"{name}={value}")
    if not repository.verify_tls:
        lines.append("sslverify=0")
    return "\n".join(lines) + "\n"


def _readme(plan: ImagePlan, losses: tuple[str, ...]) -> str:
    lost = "".join(f"- {loss}\n" for loss in losses)
    return (
        f"# {plan.name} for diskimage-builder\n\n"
        f"Made of {', '.join(plan.kickstarts)} for {plan.target} by `openstack-builder export dib`.\n\n"
        "    ./build          # needs diskimage-builder, root and loop devices\n\n"
        f"The element is `elements/{plan.name}`, the image is defined in `image.yaml`, and `repos/` are the\n"
        "repositories that its packages come from.\n\n"
        f"## What differs from `openstack-builder image`\n\n{lost}"
    )


def _dump(value: object) -> str:
    return yaml.safe_dump(value, sort_keys=False, default_flow_style=False, width=100)


_BUILD = """\
#!/bin/bash
# Build the image in this folder. Arguments go to diskimage-builder.
set -euo pipefail
cd "$(dirname "$0")"
export ELEMENTS_PATH="$PWD/elements${ELEMENTS_PATH:+:$ELEMENTS_PATH}"
export DIB_YUM_MINIMAL_BOOTSTRAP_REPOS="$PWD/repos"
exec diskimage-builder "$@" image.yaml
"""
