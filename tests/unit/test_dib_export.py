# SPDX-License-Identifier: MIT
"""A plan said in diskimage-builder's elements: nothing silently lost."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from builder.dib.export import Export, export_plan
from builder.errors import InputError
from builder.kickstart.choices import Choices
from builder.kickstart.parsed import Kickstart
from builder.kickstart.plan import Setting
from builder.kickstart.planner import load_plan
from builder.targets import find_target

HASH = "$6$salt$wZU8LXJfJJqoagopbB7RuK6JEotEMZ0CQDy0phpPAuLMYQFcmf6L6BdAbs/Q7w7o1qsZ9pFqFVY4yuUSWgaYt1"
HEAD = """\
lang de_DE.UTF-8
keyboard de
timezone Europe/Berlin --utc
rootpw --lock
bootloader --append="console=ttyS0,115200n8" --timeout=3
clearpart --all --initlabel
part biosboot --fstype=biosboot --size=1
part /boot/efi --fstype=efi --size=64
part / --fstype=xfs --size=1000 --grow --label=root
url --url=https://mirror.example/os
%packages
@core
vim-minimal
-plymouth
%end
"""


def export(folder: Path, text: str, target: str = "fedora-45") -> Export:
    path = folder / "guest.ks"
    path.write_text(text)
    found = find_target(target)
    return export_plan(load_plan(path, target=found, choices=Choices(name="guest")), found)


def text_of(exported: Export, end: str) -> str:
    (found,) = [file.text for file in exported.files if file.path.endswith(end)]
    return found


def data_of(exported: Export, end: str) -> Any:
    return yaml.safe_load(text_of(exported, end))


def test_the_image_is_defined_with_the_arguments_of_the_kickstart_and_no_more(tmp_path: Path) -> None:
    (image,) = data_of(export(tmp_path, HEAD), "image.yaml")

    assert image["elements"] == ["fedora-minimal", "guest"]
    assert image["environment"]["DIB_RELEASE"] == "45"
    assert image["environment"]["DIB_BOOTLOADER_DEFAULT_CMDLINE"].endswith("console=ttyS0,115200n8")
    assert image["environment"]["DIB_GRUB_TIMEOUT"] == "3"
    assert image["environment"]["DIB_BOOTLOADER_USE_SERIAL_CONSOLE"] == "False"


def test_languages_that_an_image_lacks_are_said_and_added_groups_may_be_missing(tmp_path: Path) -> None:
    exported = export(tmp_path, HEAD.replace("lang de_DE.UTF-8", "lang C.UTF-8 --addsupport=zu_ZA.UTF-8"))
    settings = text_of(exported, "-settings").splitlines()
    lines = [line for line in settings if " locale " in line]

    assert not [line for line in exported.losses if "lang" in line]
    script = "set -euo pipefail\n" + "\n".join(lines)
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True)
    assert done.stderr == "warning: lang zu_ZA.UTF-8: the image has no such locale\n"
    assert "@platform-kvm || echo" in text_of(exported, "-added-groups")


def test_packages_groups_and_removals_are_named(tmp_path: Path) -> None:
    exported = export(tmp_path, HEAD)
    packages = data_of(exported, "package-installs.yaml")

    # install-packages marks what it installs, which a group cannot be.
    assert "dnf -y install @core\n" in text_of(exported, "install.d/00-guest-groups")
    assert not [name for name in packages if name.startswith("@")]
    assert packages["vim-minimal"] is None
    assert packages["plymouth"] == {"uninstall": True}


@pytest.mark.parametrize(
    ("lines", "kind"),
    [
        pytest.param("", "efi", id="with an EFI partition"),
        pytest.param("part /boot/efi --fstype=efi --size=64\n", "gpt", id="without"),
    ],
)
def test_the_boot_loader_is_for_the_firmware_of_the_disk(tmp_path: Path, lines: str, kind: str) -> None:
    exported = export(tmp_path, HEAD.replace(lines, "") if lines else HEAD)

    assert text_of(exported, "15-guest-block-device.bash") == f"export DIB_BLOCK_DEVICE={kind}\n"
    assert data_of(exported, "image.yaml")[0]["skip-base"] is True


def test_partitions_are_those_of_the_plan_and_the_last_one_grows(tmp_path: Path) -> None:
    device = data_of(export(tmp_path, HEAD), "block-device-default.yaml")

    partitions = device[1]["partitioning"]["partitions"]
    assert [(one["name"], one["type"], one["size"]) for one in partitions] == [
        ("BSP", "EF02", "1MiB"), ("ESP", "EF00", "64MiB"), ("root", "8300", "100%"),
    ]  # fmt: skip
    assert partitions[2]["mkfs"]["type"] == "xfs"
    assert partitions[2]["mkfs"]["label"] == "root"
    assert partitions[2]["mkfs"]["mount"]["mount_point"] == "/"


def test_logical_volumes_are_made(tmp_path: Path) -> None:
    text = HEAD.replace(
        "part / --fstype=xfs --size=1000 --grow --label=root",
        "part /boot --fstype=xfs --size=500\npart pv.01 --size=3000 --grow\nvolgroup vg0 pv.01\n"
        "logvol / --vgname=vg0 --name=root --fstype=xfs --size=2000",
    ).replace("%packages\n", "%packages\nlvm2\n")

    device = data_of(export(tmp_path, text), "block-device-default.yaml")

    lvm = next(entry["lvm"] for entry in device if "lvm" in entry)
    assert [one["name"] for one in lvm["vgs"]] == ["vg0"]
    assert [(one["name"], one["size"]) for one in lvm["lvs"]] == [("root", "2000MiB")]
    mkfs = next(entry["mkfs"] for entry in device if "mkfs" in entry)
    assert (mkfs["base"], mkfs["mount"]["mount_point"]) == ("root", "/")


def test_post_scripts_keep_their_order_and_what_their_failure_means(tmp_path: Path) -> None:
    exported = export(
        tmp_path,
        HEAD + "%post --erroronfail\necho one\n%end\n"
        "%post --interpreter=/usr/bin/python3\nprint(2)\n%end\n",
    )  # fmt: skip

    scripts = sorted((file.path, file.text) for file in exported.files if "finalise.d/6" in file.path)
    assert ["echo one" in scripts[0][1], "print(2)" in scripts[1][1]] == [True, True]
    assert 'exit "$status"' in scripts[0][1]
    assert '/usr/bin/python3 "$body"' in scripts[1][1]
    assert "exit 0 #" in scripts[1][1]


def test_a_hash_is_given_by_stdin(tmp_path: Path) -> None:
    text = HEAD + f"user --name=joe --iscrypted --password={HASH} --groups=wheel\n"

    settings = text_of(export(tmp_path, text), "-settings")

    assert f"joe:{HASH}" in settings
    assert not any("useradd" in line and HASH in line for line in settings.splitlines())


def test_every_script_is_valid_shell(tmp_path: Path) -> None:
    exported = export(tmp_path, HEAD + "%post\necho 'it'\"'\"'s'\n%end\n")

    for file in exported.files:
        if file.executable:
            done = subprocess.run(
                ["bash", "-n"], input=file.text, text=True, capture_output=True, check=False
            )
            assert done.returncode == 0, (file.path, done.stderr)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        pytest.param("%post --nochroot\ntrue\n%end\n", "guest.ks:16: %post --nochroot", id="nochroot"),
        pytest.param("%pre-install\ntrue\n%end\n", "guest.ks:16: %pre-install", id="pre-install"),
        pytest.param(
            "user --name=joe --password=secret\n",
            "user joe: the element would hold a plain password",
            id="plain password",
        ),
        pytest.param(
            "network --device=eth0 --bootproto=static --ip=10.0.0.2 --netmask=255.255.255.0\n",
            "only DHCP on Ethernet",
            id="a fixed address",
        ),
    ],
)
def test_what_elements_cannot_say_is_refused_by_name(tmp_path: Path, more: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        export(tmp_path, HEAD + more)

    lines = "\n".join(caught.value.lines())
    assert message in lines
    assert "secret" not in lines


def test_btrfs_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="makes no btrfs"):
        export(tmp_path, HEAD.replace("--fstype=xfs", "--fstype=btrfs"))


def test_a_target_without_an_element_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="epel-7: diskimage-builder has no element"):
        export(tmp_path, HEAD, "epel-7")


TARGET = ("--target", "fedora-45")


@pytest.mark.parametrize("kind", ["file", "fifo", "full folder"])
def test_only_a_new_or_an_empty_folder_is_filled(tmp_path: Path, kind: str) -> None:
    place = tmp_path / "place"
    if kind == "file":
        place.touch()
    elif kind == "fifo":
        os.mkfifo(place)
    else:
        (place / "mine").mkdir(parents=True)
    (tmp_path / "guest.ks").write_text("lang C.UTF-8\n")
    before = place.lstat()

    done = subprocess.run(
        [sys.executable, "-m", "builder", "export", "dib", tmp_path / "guest.ks", place, *TARGET],
        cwd=Path(__file__).parents[2], capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert (done.returncode, "is not an empty folder" in done.stderr) == (2, True)
    assert (place.lstat().st_mode, place.lstat().st_ino) == (before.st_mode, before.st_ino)


@dataclass(frozen=True, kw_only=True)
class Fonts(Setting):
    """A setting that the export does not know."""

    names: tuple[str, ...] = ()

    @classmethod
    def read(cls, ks: Kickstart) -> Fonts:
        raise NotImplementedError

    def rows(self) -> Iterator[tuple[str, str]]:
        raise NotImplementedError


def test_a_setting_that_no_script_sets_is_reported_without_being_listed_anywhere(tmp_path: Path) -> None:
    path = tmp_path / "guest.ks"
    path.write_text(HEAD)
    target = find_target("fedora-45")
    plan = load_plan(path, target=target)

    def losses(*more: Setting) -> set[str]:
        return set(export_plan(replace(plan, settings=plan.settings + more), target).losses)

    assert losses(Fonts()) == losses()
    assert losses(Fonts(names=("a",))) - losses() == {"fonts (names): is not set in the image."}


def test_a_group_of_the_users_own_name_is_the_users_own(tmp_path: Path) -> None:
    """Else useradd(8) refuses: the group exists."""
    settings = text_of(export(tmp_path, HEAD + "group --name=op --gid=4242\nuser --name=op\n"), "-settings")

    assert "useradd --create-home --gid op op" in settings


def test_a_group_that_is_left_out_is_reported(tmp_path: Path) -> None:
    exported = export(tmp_path, HEAD.replace("-plymouth", "-@fonts"))

    assert "%packages -@GROUP: is not set in the image." in exported.losses
