# SPDX-License-Identifier: MIT
"""What the author wrote stays; what the build and packages leave goes; the manifest lists both."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from builder.guest.checks import content, disk, identity
from builder.guest.evidence import ImageEvidence
from builder.guest.outcome import CheckState
from builder.manifest import find_manifest
from builder.report import Report
from builder.runner import Runner
from tests.support.imaging import Bench, Look, kickstart

SCRIPT = """\
%pre-install
mkdir -p /mnt/sysimage/etc && echo early.example >/mnt/sysimage/etc/hostname
%end
%post --log=/root/post.log --erroronfail
echo nameserver 192.0.2.53 >/etc/resolv.conf
mkdir -p /var/lib/cloud/seed/nocloud /var/lib/cloud/instances/i /etc/udev/rules.d /etc/lvm/devices
echo 'instance-id: one' >/var/lib/cloud/seed/nocloud/meta-data
echo x >/var/lib/cloud/instances/i/x
ln -s /dev/null /etc/udev/rules.d/75-persistent-net-generator.rules
echo vda >/etc/lvm/devices/system.devices
mkdir -p /var/log/site /var/tmp/site /etc/ssh /root/.ssh
echo built >/var/log/site/build.log
echo noise >/var/log/dnf.log
echo data >/var/tmp/site/data
echo junk >/tmp/junk
echo key >/etc/ssh/ssh_host_rsa_key
echo 12345678901234567890123456789012 >/etc/machine-id
echo 'rm -rf /' >/root/.bash_history
echo 'ssh-ed25519 AAAA' >/root/.ssh/authorized_keys
echo kept >/root/notes
mkdir -p /etc/NetworkManager/system-connections
echo '[connection]' >/etc/NetworkManager/system-connections/site.nmconnection
%end
"""


@pytest.fixture(scope="module")
def built(bench: Bench) -> tuple[Look, str]:
    """An image whose script leaves things in the places that are cleaned, and what the build said."""
    done = bench.build(kickstart(tail=SCRIPT, packages="documented"), "-v")
    return bench.look(), done.stderr


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        pytest.param("/etc/hostname", "early.example\n", id="hostname of %pre-install"),
        pytest.param("/etc/resolv.conf", "nameserver 192.0.2.53\n", id="resolver"),
        pytest.param("/var/lib/cloud/seed/nocloud/meta-data", "instance-id: one\n", id="NoCloud seed"),
        pytest.param("/etc/lvm/devices/system.devices", "vda\n", id="LVM's devices file"),
        pytest.param("/var/log/site/build.log", "built\n", id="log of a script"),
        pytest.param("/var/tmp/site/data", "data\n", id="/var/tmp"),
        pytest.param("/root/notes", "kept\n", id="/root"),
        pytest.param(
            "/etc/NetworkManager/system-connections/site.nmconnection", "[connection]\n", id="connection"
        ),
        pytest.param("/etc/machine-id", "", id="machine-id is emptied"),
    ],
)
def test_what_a_script_wrote_on_purpose_stays(built: tuple[Look, str], path: str, expected: str) -> None:
    assert built[0].text(path) == expected


@pytest.mark.parametrize(
    ("path", "there"),
    [
        pytest.param("/etc/udev/rules.d/75-persistent-net-generator.rules", True, id="udev mask"),
        pytest.param("/root/post.log", True, id="post --log"),
        pytest.param("/tmp/junk", False, id="/tmp"),
        pytest.param("/etc/ssh/ssh_host_rsa_key", False, id="host key"),
        pytest.param("/root/.bash_history", False, id="shell history"),
        pytest.param("/var/lib/cloud/instances", False, id="cloud-init's instances"),
    ],
)
def test_what_is_there_and_what_is_not(built: tuple[Look, str], path: str, there: bool) -> None:
    assert built[0].exists(path) is there


def test_log_of_a_program_is_emptied_though_a_script_ran_it(built: tuple[Look, str]) -> None:
    assert not built[0].exists("/var/log/dnf.log")


@pytest.mark.parametrize(
    "path",
    ["/etc/machine-id", "/etc/ssh/ssh_host_rsa_key", "/root/.bash_history", "/var/lib/cloud/instances"],
)
def test_what_would_harm_is_said_with_its_line_and_the_way_to_insist(
    built: tuple[Look, str], path: str
) -> None:
    line = next(line for line in built[1].splitlines() if f" made {path}, which is removed" in line)

    assert "%post of " in line
    assert re.search(r"test\.ks:\d+ made", line)
    assert f"--keep-file {path}" in line


def test_verbose_lists_both(built: tuple[Look, str]) -> None:
    lines = built[1].splitlines()

    assert any("left over from the build, removed: /tmp/junk" in line for line in lines)
    assert any("kept, made by %post of " in line and line.endswith("/root/notes") for line in lines)


def test_checks_from_outside_take_nothing_of_it_for_junk(
    built: tuple[Look, str], bench: Bench, tmp_path: Path
) -> None:
    runner = Runner(Report(quiet=True))
    evidence = ImageEvidence(runner, bench.image, find_manifest(bench.image), tmp_path)
    by_id = {check.id: check for check in (*identity.CHECKS, *disk.CHECKS)}

    for name in ("no-junk", "machine-id-empty", "no-host-keys", "resolv-conf", "no-fixed-network",
                 "hostname-unset", "no-lvm-devices", "volumes", "no-authorized-keys"):  # fmt: skip
        outcome = by_id[name].judge(evidence)
        assert outcome.state is CheckState.PASS, (name, outcome)


def test_an_author_can_insist(bench: Bench) -> None:
    text = kickstart(tail="%post\necho 12345678901234567890123456789012 >/etc/machine-id\n%end\n")

    done = bench.build(text, "--keep-file", "/etc/machine-id")

    assert "which is removed" not in done.stderr
    assert bench.look().text("/etc/machine-id") == "12345678901234567890123456789012\n"
    assert bench.manifest()["settings"]["kept"] == ["/etc/machine-id"]


def test_first_boot_of_the_authors_choice_stays(bench: Bench) -> None:
    bench.build(kickstart(tail="%post\necho uninitialized >/etc/machine-id\n%end\n"))

    assert bench.look().text("/etc/machine-id") == "uninitialized\n"


def test_manifest_has_the_packages_of_the_finished_image(bench: Bench) -> None:
    # The synthetic image has no rpm of its own.
    remove = "rpm --root /mnt/sysimage --define '_dbpath /usr/lib/sysimage/rpm' -e documented"
    tail = f"%post --nochroot --erroronfail\n{remove}\n%end\n"
    bench.build(kickstart(packages="documented\ncapable", tail=tail))

    names = {package["name"] for package in bench.manifest()["packages"]}
    assert "capable" in names
    assert "documented" not in names
    assert bench.manifest()["settings"]["removed"] == ["documented"]


ON_PURPOSE = """\
%post --erroronfail
echo '/swapfile none swap sw 0 0' >>/etc/fstab
echo 'LABEL=data /srv ext4 nofail 0 2' >>/etc/fstab
echo 'toor:x:0:0::/root:/bin/sh' >>/etc/passwd
echo 'toor::1::::::' >>/etc/shadow
sed -i 's/^set timeout=.*/set timeout=30/; s/console=ttyS0/console=tty0/' /boot/grub2/grub.cfg
mkdir -p /etc/systemd/network
printf '[Match]\\nMACAddress=52:54:00:44:55:66\\n' >/etc/systemd/network/10-mine.network
%end
"""


def test_checks_hold_an_image_to_what_its_author_did(bench: Bench, tmp_path: Path) -> None:
    bench.build(kickstart(tail=ON_PURPOSE))
    runner = Runner(Report(quiet=True))
    evidence = ImageEvidence(runner, bench.image, find_manifest(bench.image), tmp_path)
    by_id = {check.id: check for check in (*identity.CHECKS, *disk.CHECKS, *content.CHECKS)}

    for name in ("no-swap", "fstab", "no-passwords", "no-fixed-network", "console-arguments"):
        outcome = by_id[name].judge(evidence)
        assert outcome.state is CheckState.PASS, (name, outcome)


RESOLVERS = {
    "left alone": ("true", False, ""),
    "written": ("echo nameserver 192.0.2.53 >/etc/resolv.conf", True, "nameserver 192.0.2.53\n"),
}


@pytest.mark.parametrize(("body", "there", "text"), RESOLVERS.values(), ids=RESOLVERS)
def test_resolver_of_the_host_serves_a_script_and_does_not_stay(
    bench: Bench, body: str, there: bool, text: str
) -> None:
    ours = Path("/etc/resolv.conf").read_text()
    tail = f"%post --erroronfail\nset -e\ncat /etc/resolv.conf >/root/seen\n{body}\n%end\n"

    bench.build(kickstart(tail=tail), "--network")

    look = bench.look()
    assert look.text("/root/seen") == ours
    assert look.exists("/etc/resolv.conf") is there
    assert look.text("/etc/resolv.conf") == text


LINKS = {
    "relative": "../run/systemd/resolve/stub-resolv.conf",
    "absolute": "/run/NetworkManager/resolv.conf",
    "by the old place of run": "/var/run/NetworkManager/resolv.conf",
}
WRITING = "echo nameserver 192.0.2.53 >>/etc/resolv.conf"


def linked(target: str, body: str) -> str:
    """Return scripts: one that makes the resolver a link into /run, and one that does `body`."""
    return (
        f"%post --erroronfail\nln -sfn ../run /var/run; ln -sfn {target} /etc/resolv.conf\n%end\n"
        f"%post --erroronfail\nset -e\ncat /etc/resolv.conf >/root/seen\n{body}\n%end\n"
    )


@pytest.mark.parametrize("network", [[], ["--network"]], ids=["without the network", "with the network"])
@pytest.mark.parametrize("target", LINKS.values(), ids=LINKS)
def test_what_a_script_writes_through_a_link_to_a_resolver_stays(
    bench: Bench, target: str, network: list[str]
) -> None:
    bench.build(kickstart(tail=linked(target, WRITING)), *network)

    look = bench.look()
    assert look.text("/etc/resolv.conf") == "nameserver 192.0.2.53\n"
    assert look.text("/root/seen") == (Path("/etc/resolv.conf").read_text() if network else "")
    assert "/etc/resolv.conf" in bench.manifest()["settings"]["kept"]


NOTHING = {
    "left alone": "true",
    "emptied": "truncate -s 0 /etc/resolv.conf",
    "an empty line": "echo >/etc/resolv.conf",
    "a comment": "echo '# placeholder' >/etc/resolv.conf",
}


@pytest.mark.parametrize("body", NOTHING.values(), ids=NOTHING)
def test_a_link_to_a_resolver_into_which_a_script_says_nothing_stays_a_link(bench: Bench, body: str) -> None:
    bench.build(kickstart(tail=linked(LINKS["relative"], body)), "--network")

    assert f'Fast link dest: "{LINKS["relative"]}"' in bench.look().ask("stat /etc/resolv.conf")


def test_what_a_script_adds_to_the_hosts_resolver_stays_without_it(bench: Bench) -> None:
    bench.build(kickstart(tail=f"%post --erroronfail\n{WRITING}\n%end\n"), "--network")

    assert bench.look().text("/etc/resolv.conf") == "nameserver 192.0.2.53\n"


OUTSIDE = {
    "written through a link": (LINKS["relative"], "echo nameserver 192.0.2.53 >", "nameserver 192.0.2.53\n"),
    "written through an absolute link": (
        LINKS["absolute"], "echo nameserver 192.0.2.53 >", "nameserver 192.0.2.53\n",
    ),
    "written": ("", "echo nameserver 192.0.2.53 >", "nameserver 192.0.2.53\n"),
    "the host's through a link": (LINKS["relative"], "cp /etc/resolv.conf ", ""),
    "the host's": ("", "cp /etc/resolv.conf ", ""),
}  # fmt: skip


@pytest.mark.parametrize(("link", "write", "text"), OUTSIDE.values(), ids=OUTSIDE)
def test_a_resolver_that_a_script_outside_the_image_writes_stays_without_the_hosts_servers(
    bench: Bench, link: str, write: str, text: str
) -> None:
    before = f"%post --erroronfail\nln -sfn {link} /etc/resolv.conf\n%end\n" if link else ""
    script = f"%post --nochroot --erroronfail\n{write}/mnt/sysimage/etc/resolv.conf\n%end\n"

    bench.build(kickstart(tail=before + script), "--network")

    look = bench.look()
    if text:
        assert look.text("/etc/resolv.conf") == text
    elif link:
        assert f'Fast link dest: "{link}"' in look.ask("stat /etc/resolv.conf")
    else:
        assert not look.exists("/etc/resolv.conf")


def test_the_manifest_names_what_scripts_changed_of_packages(bench: Bench, tmp_path: Path) -> None:
    script = "%post --erroronfail\necho more >>/usr/share/doc/documented/README\nrm /usr/share/wanted\n%end\n"

    bench.build(kickstart(tail=script, packages="documented\nwanted"))

    changed = bench.manifest()["settings"]["changed"]
    assert "/usr/share/doc/documented/README" in changed
    assert "/usr/share" in changed
    assert not [path for path in changed if path.startswith("/usr/lib/modules")]
    evidence = ImageEvidence(Runner(Report(quiet=True)), bench.image, find_manifest(bench.image), tmp_path)
    judge = next(one.judge for one in content.CHECKS if one.id == "package-files")
    found = judge(evidence)
    assert found.state is CheckState.PASS, found.reason
