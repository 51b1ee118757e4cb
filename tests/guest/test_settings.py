# SPDX-License-Identifier: MIT
"""Commands that need real programs in the image: SELinux labels, firewall rules, time servers, accounts."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from builder.guest.checks import labels
from builder.guest.evidence import ImageEvidence
from builder.guest.outcome import CheckState
from builder.manifest import find_manifest
from builder.report import Report
from builder.runner import Runner
from tests.guest.conftest import OUT, ROOT, repository_options
from tests.support.imaging import Look

KICKSTART = """\
lang C.UTF-8
keyboard --vckeymap=us
timezone Europe/Berlin --utc
timesource --ntp-server=ntp.example.net
timesource --ntp-pool=pool.example.net
rootpw --plaintext rootsecret
group --name=crew --gid=4300
group --name=vagrant
user --name=vagrant --groups=vagrant,wheel
user --name=op --groups=wheel,crew,op --uid=4200 --password=opsecret --plaintext --gecos="The Operator"
sshkey --username=op "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f me@it"
selinux --permissive
firewall --enabled --ssh --port=8080:tcp,imap:tcp --service=http --remove-service=dhcpv6-client
services --disabled=chrony --enabled=sshd
network --bootproto=static --ip=192.0.2.10 --netmask=255.255.255.0 --gateway=192.0.2.1 \
--nameserver=192.0.2.2 --device=eth0 --hostname=guest.example
bootloader --location=mbr --append="console=ttyS0" --timeout=1
zerombr
clearpart --all --initlabel --disklabel=gpt
part biosboot --fstype=biosboot --size=1
part swap --fstype=swap --size=64
part /boot --fstype=ext4 --size=256 --label=boot
part / --fstype=ext4 --size=1500 --label=root --grow
%packages --excludedocs --exclude-weakdeps
@core
kernel
grub2-pc-modules
zstd
chrony
firewalld
selinux-policy-targeted
policycoreutils
%end
"""


@pytest.fixture(scope="module")
def look(tmp_path_factory: pytest.TempPathFactory) -> Look:
    """A look into the image of KICKSTART."""
    folder = tmp_path_factory.mktemp("settings")
    kickstart = folder / "settings.ks"
    kickstart.write_text(KICKSTART)
    argv = repository_options("image", kickstart, "--target", "fixture-12")
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for secret in ("rootsecret", "opsecret"):
        assert secret not in done.stderr + (OUT / "settings.log").read_text()
        assert secret not in (OUT / "settings" / "settings.manifest.json").read_text()
    raw = folder / "disk.raw"
    image = OUT / "settings" / "settings.qcow2"
    subprocess.run(["qemu-img", "convert", "-O", "raw", image, raw], check=True)
    return Look(f"{raw}?offset={_offset(raw)}")


def _offset(raw: Path) -> int:
    """Return where the last partition begins."""
    shown = subprocess.run(["sfdisk", "--dump", raw], capture_output=True, text=True, check=True).stdout
    return int(re.findall(r"start=\s*(\d+)", shown)[-1]) * 512


def _row(text: str, name: str) -> list[str]:
    return next(line.split(":") for line in text.splitlines() if line.startswith(f"{name}:"))


@pytest.mark.parametrize(
    ("path", "label"),
    [
        pytest.param("/etc/shadow", "shadow_t", id="file of a package"),
        pytest.param("/etc/fstab", "etc_t", id="file that the build wrote"),
        pytest.param("/home/op", "user_home_dir_t", id="home that useradd made"),
        pytest.param("/usr/sbin/sshd", "sshd_exec_t", id="program"),
        pytest.param("/boot", "boot_t", id="folder below a mount point"),
        pytest.param("/dev", "device_t", id="folder of the kernel"),
        pytest.param("/lost+found", "lost_found_t", id="lost+found"),
    ],
)
def test_files_have_the_labels_of_the_images_policy(look: Look, path: str, label: str) -> None:
    assert label in look.ask(f"ea_get {path} security.selinux")


def test_every_label_is_the_policys_seen_from_outside(look: Look, tmp_path: Path) -> None:
    image = OUT / "settings" / "settings.qcow2"
    evidence = ImageEvidence(Runner(Report(quiet=True)), image, find_manifest(image), tmp_path)

    outcome = labels.CHECKS[0].judge(evidence)

    assert outcome.state is CheckState.PASS, outcome
    assert int(outcome.reason.split()[0]) > 1000


def test_selinux_mode_is_the_kickstarts(look: Look) -> None:
    assert "\nSELINUX=permissive\n" in look.text("/etc/selinux/config")


def test_the_firewall_opens_what_the_kickstart_says(look: Look) -> None:
    zone = look.text("/etc/firewalld/zones/public.xml")

    assert '<service name="ssh"/>' in zone
    assert '<service name="http"/>' in zone
    assert '<port port="8080" protocol="tcp"/>' in zone
    assert '<port port="143" protocol="tcp"/>' in zone
    assert "dhcpv6-client" not in zone


def test_time_is_set_and_its_service_off(look: Look) -> None:
    servers = look.text("/etc/chrony/chrony.conf") or look.text("/etc/chrony.conf")

    assert servers.startswith("server ntp.example.net iburst\npool pool.example.net iburst\n")
    assert "zoneinfo/Europe/Berlin" in look.ask("stat /etc/localtime")
    assert not look.exists("/etc/systemd/system/multi-user.target.wants/chrony.service")
    assert look.exists("/etc/systemd/system/multi-user.target.wants/sshd.service")


def test_accounts_are_made_with_hashed_passwords_groups_and_keys(look: Look) -> None:
    passwd, shadow, group = (look.text(f"/etc/{name}") for name in ("passwd", "shadow", "group"))

    assert _row(passwd, "op")[2:6] == ["4200", "4200", "The Operator", "/home/op"]
    assert _row(group, "wheel")[3].split(",") == ["vagrant", "op"]
    assert _row(passwd, "vagrant")[3] == _row(group, "vagrant")[2]
    assert _row(group, "crew")[2:] == ["4300", "op"]
    assert all(_row(shadow, name)[1].startswith("$") for name in ("root", "op"))
    assert "AABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f me@it" in look.text("/home/op/.ssh/authorized_keys")
    assert look.owner("/home/op/.ssh/authorized_keys") == (0o600, 4200, 4200)


def test_the_interface_has_its_address_and_no_mac(look: Look) -> None:
    text = look.text("/etc/systemd/network/50-eth0.network")

    assert "Address=192.0.2.10/24" in text
    assert "Gateway=192.0.2.1" in text
    assert "MAC" not in text


def test_fstab_has_boot_and_swap_and_boot_is_a_file_system_of_its_own(look: Look) -> None:
    fields = [line.split() for line in look.text("/etc/fstab").splitlines() if line.startswith("UUID=")]

    assert {(row[1], row[2]) for row in fields} == {("/", "ext4"), ("/boot", "ext4"), ("none", "swap")}
    assert not look.exists("/boot/grub2")


MISTAKES = {
    "a service that firewalld does not know": (
        "firewall --enabled --service=htpp",
        "firewall --service=htpp: the image's firewalld has no such service",
        "hint:  did you mean http?",
    ),
    "a port whose name nobody knows": (
        "firewall --enabled --port=nosuch:tcp",
        "firewall --port=nosuch:tcp: the image's /etc/services has no such name",
        "hint:  write the number: --port=8080:tcp",
    ),
}


@pytest.mark.parametrize(("line", "error", "hint"), MISTAKES.values(), ids=MISTAKES)
def test_what_the_images_programs_would_refuse_is_said_with_its_line(
    tmp_path: Path, line: str, error: str, hint: str
) -> None:
    done = _build(tmp_path, KICKSTART.replace("firewall --enabled --ssh", f"{line}\n#"))

    assert done.returncode == 2
    assert f"error: {tmp_path}/image.ks:13: {error}\n{hint}" in done.stderr


REMOVING = """\
%packages
dnf
lsof
rsync
%end
%post --erroronfail
rpm -e lsof
dnf -C -y remove rsync
! rpm -q lsof && ! rpm -q rsync
%end
"""


def test_a_script_removes_packages_without_the_network(tmp_path: Path) -> None:
    done = _build(tmp_path, KICKSTART + REMOVING)

    assert done.returncode == 0, done.stderr
    names = {one["name"] for one in _manifest(tmp_path)["packages"]}
    assert "dnf" in names
    assert not {"lsof", "rsync"} & names


def _build(folder: Path, text: str) -> subprocess.CompletedProcess[str]:
    (folder / "image.ks").write_text(text)
    words = repository_options("image", folder / "image.ks", "--target", "fixture-12")
    return subprocess.run([*words, "--out", folder], cwd=ROOT, capture_output=True, text=True, check=False)


def _manifest(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "image/image.manifest.json").read_text())
    return found
