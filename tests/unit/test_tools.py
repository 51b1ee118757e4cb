# SPDX-License-Identifier: MIT
"""Programs by their names and places on each family of hosts, and the packages that bring them."""

from __future__ import annotations

from pathlib import Path

import pytest

from builder import tools
from builder.errors import ToolMissing

ROOT = Path(__file__).resolve().parents[2]


def program(folder: Path, name: str) -> Path:
    """Put an empty program into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return path


@pytest.mark.parametrize(
    ("name", "there", "chosen"),
    [
        pytest.param("grub-mkimage", ["grub-mkimage"], "grub-mkimage", id="GRUB of Debian"),
        pytest.param("grub-mkimage", ["grub2-mkimage"], "grub2-mkimage", id="GRUB of Fedora and EL"),
        pytest.param("mkisofs", ["xorrisofs"], "xorrisofs", id="only xorriso"),
        pytest.param("mkisofs", ["genisoimage", "xorrisofs"], "genisoimage", id="both writers"),
        pytest.param("mkfs.vfat", ["mkfs.fat"], "mkfs.fat", id="mkfs.fat"),
        pytest.param("qemu-system-x86_64", ["qemu-kvm"], "qemu-kvm", id="qemu-kvm"),
        pytest.param("a-tool", ["a-tool"], "a-tool", id="not in the table"),
    ],
)
def test_a_program_is_found_by_any_of_its_names(
    name: str, there: list[str], chosen: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for one in there:
        program(tmp_path, one)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(tools, "SBIN", "")

    assert Path(tools.find(name)) == tmp_path / chosen


def test_a_program_is_found_out_of_the_way_of_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = program(tmp_path / "libexec", "qemu-kvm")
    row = tools.Tool(name="qemu", names=("qemu-system-x86_64", str(place)), debian="q", fedora="q")
    monkeypatch.setattr(tools, "table", lambda: {"qemu": row})
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))

    assert tools.find("qemu") == str(place)


@pytest.mark.parametrize(
    ("release", "family"),
    [
        pytest.param({"ID": "debian"}, "debian", id="Debian"),
        pytest.param({"ID": "ubuntu", "ID_LIKE": "debian"}, "debian", id="Ubuntu"),
        pytest.param({"ID": "fedora"}, "fedora", id="Fedora"),
        pytest.param({"ID": "rhel", "ID_LIKE": "fedora"}, "el", id="RHEL"),
        pytest.param({"ID": "almalinux", "ID_LIKE": "rhel centos fedora"}, "el", id="AlmaLinux"),
        pytest.param({"ID": "centos", "ID_LIKE": "rhel fedora"}, "el", id="CentOS Stream"),
        pytest.param({"ID": "opensuse-leap", "ID_LIKE": "suse opensuse"}, None, id="another"),
        pytest.param({}, None, id="nothing said"),
    ],
)
def test_the_family_of_a_host(release: dict[str, str], family: str | None) -> None:
    assert tools.host_family(release) == family


@pytest.mark.parametrize(
    ("family", "hint"),
    [
        pytest.param("debian", "apt-get install qemu-system-x86", id="debian"),
        pytest.param("fedora", "dnf install qemu-system-x86-core", id="fedora"),
        pytest.param("el", "dnf install qemu-kvm-core", id="el"),
        pytest.param(
            None,
            "apt-get install qemu-system-x86 on Debian, dnf install qemu-system-x86-core on Fedora, "
            "dnf install qemu-kvm-core on EL",
            id="unknown",
        ),
    ],
)
def test_the_hint_is_the_command_of_this_host(
    family: str | None, hint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tools, "host_family", lambda: family)

    assert tools.install_hint("qemu-system-x86_64") == hint


def test_what_is_missing_is_named_by_all_its_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(tools, "SBIN", "")

    with pytest.raises(ToolMissing) as caught:
        tools.find("mkisofs")

    assert caught.value.message == "genisoimage, mkisofs or xorrisofs is not installed"


def test_what_is_missing_may_be_no_program() -> None:
    assert tools.missing("python3-dnf").message == "dnf's Python module is not installed"


# Part of every system, or of what another package of the lists needs.
# What takes the place of another where that is not: python3-libdnf5 for python3-dnf.
INSTEAD = {"python3-libdnf5"}
# EL's kernel has no btrfs, and EL no tool for it.
ABSENT = {"el": {"btrfs-progs"}}
BASE = {"openssh", "policycoreutils", "rpm", "rpm2cpio", "systemd", "util-linux"}
LISTS = {
    "debian": ("builder/requirements/debian*.txt", "tests/rig/*/debian.txt"),
    "fedora": (
        "builder/requirements/redhat*.txt",
        "builder/requirements/fedora*.txt",
        "tests/rig/*/redhat.txt",
    ),
    "el": ("builder/requirements/redhat*.txt", "builder/requirements/el*.txt", "tests/rig/*/redhat.txt"),
}


@pytest.mark.parametrize("family", LISTS)
def test_make_setup_installs_what_the_table_names(family: str) -> None:
    listed = {
        name for pattern in LISTS[family] for path in ROOT.glob(pattern) for name in path.read_text().split()
    }
    named = {
        (tool.el or tool.fedora) if family == "el" else getattr(tool, family)
        for tool in tools.table().values()
    }

    assert named - listed - BASE - INSTEAD - ABSENT.get(family, set()) == set()
