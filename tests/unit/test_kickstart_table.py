# SPDX-License-Identifier: MIT
"""Nothing is silently ignored: every word of every kickstart syntax has a row, and the rows are true."""

from __future__ import annotations

import dataclasses
import importlib
from pathlib import Path

import pytest

from builder.dib.export import Export, ExportedFile, export_plan
from builder.errors import InputError
from builder.kickstart.commands import COMMANDS, SECTIONS, SETTINGS
from builder.kickstart.findings import Findings
from builder.kickstart.parsed import Kickstart
from builder.kickstart.place import is_place
from builder.kickstart.plan import ImagePlan, Setting
from builder.kickstart.policy import Treatment
from builder.kickstart.read import read_kickstart
from builder.kickstart.syntax import commands_of, options_of
from builder.kickstart.versions import known_versions
from builder.targets import find_target
from tests.support.kickstart_text import DISK, GOOD, plan_text, reported

VERSIONS = known_versions()

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f"

HONOURED = [name for name, row in COMMANDS.items() if row.verdict is Treatment.HONOURED]

ROWS = {**COMMANDS, **SECTIONS}

# The words of the syntax itself: arguments of argparse without a meaning of their own.
URL = "url --url=https://m.example/os/\n"
NET = "network --device=eth0 "
PART = "part /srv --fstype=ext4 --size=10 "
REPO = "repo --name=r --baseurl=https://m.example/r/ "
USER = "user --name=u "
HASH = "$6$a$" + "b" * 86
STATIC = NET + "--bootproto=static --ip=192.0.2.2 "
BOND = "network --device=bond0 --bondslaves=eth0 "
BRIDGE = "network --device=br0 --bridgeslaves=eth0 "
TEAM = "network --device=team0 --teamslaves=eth0 "
CERTIFICATE = "%certificate --filename=a.pem "

GROUP = (
    "part pv.1 --size=5001\nvolgroup vg pv.1\nlogvol /a --vgname=vg --name=a --size=1 --fstype=ext4 --grow"
)
VOLUME = "part pv.1 --size=5001\nvolgroup vg pv.1\nlogvol /a --vgname=vg --name=a --fstype=ext4 --size=40 "
SWAP = "part pv.1 --size=5001\nvolgroup vg pv.1\nlogvol swap --vgname=vg --name=a --size=40 "
BTRFS = "part btrfs.1 --size=900\nbtrfs none --label=a btrfs.1\n"
SECOND_BTRFS = "part btrfs.2 --size=900\nbtrfs none --label=b btrfs.2\n"

# (command, option) -> a line without the option, a line with it, the syntax where that is not F45.
# A plan must distinguish the two: that is what honoured means.
EFFECTS: dict[tuple[str, str], tuple[str, ...]] = {
    ("lang", "--addsupport"): ("lang en_US", "lang en_US --addsupport=de_DE.UTF-8"),
    ("keyboard", "--vckeymap"): ("", "keyboard --vckeymap=de"),
    ("keyboard", "--xlayouts"): ("keyboard us", "keyboard us --xlayouts=de"),
    ("keyboard", "--switch"): ("keyboard us", "keyboard us --switch=grp:alt_shift_toggle"),
    ("timezone", "--utc"): ("timezone Etc/UTC", "timezone Etc/UTC --utc"),
    ("timezone", "--isUtc"): ("timezone Etc/UTC", "timezone Etc/UTC --isUtc"),
    ("timezone", "--nontp"): ("timezone Etc/UTC --utc", "timezone Etc/UTC --utc --nontp"),
    ("timezone", "--ntpservers"): ("timezone Etc/UTC --utc", "timezone Etc/UTC --utc --ntpservers=a.example"),
    ("timesource", "--ntp-server"): ("", "timesource --ntp-server=a.example"),
    ("timesource", "--ntp-pool"): ("", "timesource --ntp-pool=a.example"),
    ("timesource", "--nts"): ("timesource --ntp-server=a.example", "timesource --ntp-server=a.example --nts"),
    ("timesource", "--ntp-disable"): ("", "timesource --ntp-disable"),
    ("rootpw", "--iscrypted"): (f"rootpw {HASH}", f"rootpw --iscrypted {HASH}"),
    ("rootpw", "--plaintext"): ("rootpw --lock", "rootpw --plaintext secret"),
    ("rootpw", "--lock"): ("rootpw secret", "rootpw --lock secret"),
    ("rootpw", "--allow-ssh"): ("rootpw secret", "rootpw --allow-ssh secret"),
    ("user", "--name"): ("", USER),
    ("user", "--password"): (USER, USER + "--password=secret"),
    ("user", "--iscrypted"): (USER + f"--password={HASH}", USER + f"--password={HASH} --iscrypted"),
    ("user", "--plaintext"): (USER, USER + "--password=secret --plaintext"),
    ("user", "--lock"): (USER + "--password=secret", USER + "--password=secret --lock"),
    ("user", "--groups"): (USER, USER + "--groups=wheel,extra(4242)"),
    ("user", "--homedir"): (USER, USER + "--homedir=/srv/u"),
    ("user", "--shell"): (USER, USER + "--shell=/bin/zsh"),
    ("user", "--uid"): (USER, USER + "--uid=4242"),
    ("user", "--gid"): (USER, USER + "--gid=4242"),
    ("user", "--gecos"): (USER, USER + "--gecos='A B'"),
    ("group", "--name"): ("", "group --name=g"),
    ("group", "--gid"): ("group --name=g", "group --name=g --gid=4242"),
    ("sshkey", "--username"): (
        f"sshkey --username=root '{KEY}'",
        f"sshkey --username=u '{KEY}'",
    ),
    ("selinux", "--enforcing"): ("", "selinux --enforcing"),
    ("selinux", "--permissive"): ("selinux", "selinux --permissive"),
    ("selinux", "--disabled"): ("selinux", "selinux --disabled"),
    ("firewall", "--enabled"): ("", "firewall --enabled"),
    ("firewall", "--enable"): ("", "firewall --enable"),
    ("firewall", "--disabled"): ("firewall", "firewall --disabled"),
    ("firewall", "--disable"): ("firewall", "firewall --disable"),
    ("firewall", "--service"): ("firewall", "firewall --service=ssh"),
    ("firewall", "--remove-service"): ("firewall", "firewall --remove-service=ssh"),
    ("firewall", "--port"): ("firewall", "firewall --port=8080:tcp,53:udp"),
    ("firewall", "--trust"): ("firewall", "firewall --trust=eth1"),
    ("firewall", "--ssh"): ("firewall", "firewall --ssh"),
    ("firewall", "--http"): ("firewall", "firewall --http"),
    ("firewall", "--ftp"): ("firewall", "firewall --ftp"),
    ("firewall", "--smtp"): ("firewall", "firewall --smtp"),
    ("firewall", "--use-system-defaults"): ("firewall", "firewall --use-system-defaults"),
    ("services", "--enabled"): ("", "services --enabled=a,b"),
    ("services", "--disabled"): ("", "services --disabled=a"),
    ("firstboot", "--disable"): ("", "firstboot --disable"),
    ("firstboot", "--disabled"): ("", "firstboot --disabled"),
    ("firstboot", "--enable"): ("", "firstboot --enable"),
    ("firstboot", "--enabled"): ("", "firstboot --enabled"),
    ("firstboot", "--reconfig"): ("firstboot --enable", "firstboot --reconfig"),
    ("xconfig", "--defaultdesktop"): ("xconfig", "xconfig --defaultdesktop=GNOME"),
    ("xconfig", "--startxonboot"): ("", "xconfig --startxonboot"),
    ("network", "--hostname"): ("", "network --hostname=a.example"),
    ("network", "--bootproto"): (NET + "--ip=192.0.2.2", NET + "--ip=192.0.2.2 --bootproto=static"),
    ("network", "--device"): ("network --bootproto=dhcp", "network --bootproto=dhcp --device=eth1"),
    ("network", "--interfacename"): (NET + "--vlanid=7", NET + "--vlanid=7 --interfacename=lan"),
    ("network", "--ip"): (STATIC, STATIC.replace("2.2", "2.3")),
    ("network", "--netmask"): (STATIC, STATIC + "--netmask=255.255.0.0"),
    ("network", "--gateway"): (STATIC, STATIC + "--gateway=192.0.2.1"),
    ("network", "--nameserver"): (NET, NET + "--nameserver=192.0.2.1,192.0.2.3"),
    ("network", "--ipv6"): (NET, NET + "--ipv6=auto"),
    ("network", "--ipv6gateway"): (NET, NET + "--ipv6gateway=2001:db8::1"),
    ("network", "--noipv4"): (NET, NET + "--noipv4"),
    ("network", "--noipv6"): (NET, NET + "--noipv6"),
    ("network", "--onboot"): (NET, NET + "--onboot=no"),
    ("network", "--mtu"): (NET, NET + "--mtu=1400"),
    ("network", "--ethtool"): (NET, NET + "--ethtool='autoneg off'"),
    ("network", "--dhcpclass"): (NET, NET + "--dhcpclass=x"),
    ("network", "--nodefroute"): (NET, NET + "--nodefroute"),
    ("network", "--nodns"): (NET, NET + "--nodns"),
    ("network", "--ipv4-dns-search"): (NET, NET + "--ipv4-dns-search=a.example"),
    ("network", "--ipv6-dns-search"): (NET, NET + "--ipv6-dns-search=a.example"),
    ("network", "--ipv4-ignore-auto-dns"): (NET, NET + "--ipv4-ignore-auto-dns"),
    ("network", "--ipv6-ignore-auto-dns"): (NET, NET + "--ipv6-ignore-auto-dns"),
    ("network", "--bondslaves"): (BOND, BOND.replace("eth0", "eth1")),
    ("network", "--bondopts"): (BOND, BOND + "--bondopts=mode=1"),
    ("network", "--bridgeslaves"): (BRIDGE, BRIDGE.replace("eth0", "eth1")),
    ("network", "--bridgeopts"): (BRIDGE, BRIDGE + "--bridgeopts=stp=no"),
    ("network", "--teamslaves"): (TEAM, TEAM.replace("eth0", "eth1")),
    ("network", "--teamconfig"): (TEAM, TEAM + "--teamconfig={}"),
    ("network", "--vlanid"): (NET + "--vlanid=7", NET + "--vlanid=8"),
    ("bootloader", "--append"): ("bootloader", "bootloader --append='a=b c'"),
    ("bootloader", "--timeout"): ("bootloader", "bootloader --timeout=3"),
    ("bootloader", "--location"): ("bootloader", "bootloader --location=none"),
    ("bootloader", "--password"): ("bootloader", "bootloader --password=x"),
    ("bootloader", "--iscrypted"): (
        "bootloader --password=grub.pbkdf2.sha512.1.0a.0b",
        "bootloader --password=grub.pbkdf2.sha512.1.0a.0b --iscrypted",
    ),
    ("bootloader", "--disabled"): ("bootloader", "bootloader --disabled"),
    ("clearpart", "--disklabel"): (
        "part / --fstype=ext4 --size=900\nbootloader --location=none",
        "part / --fstype=ext4 --size=900\nbootloader --location=none\nclearpart --disklabel=gpt",
    ),
    ("part", "--fstype"): (PART, PART.replace("ext4", "ext3")),
    ("part", "--type"): (PART, PART.replace("--fstype=ext4", "--type=ext3")),
    ("part", "--size"): (PART, PART.replace("=10", "=11")),
    ("part", "--grow"): (PART, PART + "--grow"),
    ("part", "--maxsize"): (PART, PART + "--maxsize=20"),
    ("part", "--label"): (PART, PART + "--label=srv"),
    ("part", "--fsoptions"): (PART, PART + "--fsoptions=noatime"),
    ("part", "--mkfsoptions"): (PART, PART + "--mkfsoptions='-m 0'"),
    ("part", "--recommended"): ("part swap --size=10", "part swap --recommended"),
    ("part", "--hibernation"): ("part swap --size=10", "part swap --hibernation"),
    ("part", "--onpart"): ("", "part / --fstype=ext4 --onpart=vda1\n%pre\n%end"),
    ("part", "--usepart"): ("", "part / --fstype=ext4 --usepart=vda1\n%pre\n%end"),
    ("reqpart", "--add-boot"): ("reqpart", "reqpart --add-boot"),
    ("autopart", "--type"): ("", "autopart --type=plain"),
    ("autopart", "--nolvm"): ("", "autopart --nolvm"),
    ("autopart", "--fstype"): ("autopart --type=plain", "autopart --type=plain --fstype=xfs"),
    ("autopart", "--noboot"): ("autopart --type=plain", "autopart --type=plain --noboot"),
    ("autopart", "--noswap"): ("autopart --type=plain", "autopart --type=plain --noswap", "RHEL9"),
    ("autopart", "--nohome"): ("autopart", "autopart --nohome"),
    ("autopart", "--hibernation"): ("autopart", "autopart --hibernation"),
    ("volgroup", "--pesize"): (GROUP, GROUP.replace("vg pv.1", "vg pv.1 --pesize=8192")),
    ("volgroup", "--reserved-space"): (GROUP, GROUP.replace("vg pv.1", "vg pv.1 --reserved-space=8")),
    ("volgroup", "--reserved-percent"): (GROUP, GROUP.replace("vg pv.1", "vg pv.1 --reserved-percent=8")),
    ("logvol", "--vgname"): ("", VOLUME),
    ("logvol", "--name"): (VOLUME, VOLUME.replace("--name=a", "--name=b")),
    ("logvol", "--size"): (VOLUME, VOLUME.replace("--size=40", "--size=80")),
    ("logvol", "--grow"): (VOLUME, VOLUME + "--grow"),
    ("logvol", "--maxsize"): (VOLUME + "--grow", VOLUME + "--grow --maxsize=60"),
    ("logvol", "--percent"): (VOLUME, VOLUME.replace("--size=40", "--percent=50")),
    ("logvol", "--recommended"): (SWAP, SWAP.replace("--size=40", "--recommended")),
    ("logvol", "--hibernation"): (SWAP, SWAP.replace("--size=40", "--hibernation")),
    ("logvol", "--label"): (VOLUME, VOLUME + "--label=l"),
    ("logvol", "--fstype"): (VOLUME, VOLUME.replace("ext4", "ext3")),
    ("logvol", "--fsoptions"): (VOLUME, VOLUME + "--fsoptions=noatime"),
    ("logvol", "--mkfsoptions"): (VOLUME, VOLUME + "--mkfsoptions='-m 0'"),
    ("btrfs", "--label"): (BTRFS, BTRFS.replace("--label=a", "--label=b")),
    ("btrfs", "--metadata"): (BTRFS, BTRFS.replace("--label=a", "--label=a --metadata=single")),
    ("btrfs", "--mkfsoptions"): (BTRFS, BTRFS.replace("--label=a", "--label=a --mkfsoptions='-m single'")),
    ("btrfs", "--subvol"): (BTRFS, BTRFS + "btrfs /srv --subvol --name=s LABEL=a"),
    ("btrfs", "--name"): (
        BTRFS + "btrfs /srv --subvol --name=s LABEL=a",
        BTRFS + "btrfs /srv --subvol --name=t LABEL=a",
    ),
    ("btrfs", "--parent"): (
        BTRFS + SECOND_BTRFS + "btrfs /srv --subvol --name=s LABEL=a",
        BTRFS + SECOND_BTRFS + "btrfs /srv --subvol --name=s --parent=LABEL=b LABEL=a",
    ),
    ("url", "--url"): ("", URL),
    ("url", "--mirrorlist"): ("", "url --mirrorlist=https://m.example/list"),
    ("url", "--metalink"): ("", "url --metalink=https://m.example/link"),
    ("url", "--proxy"): (URL, URL[:-1] + " --proxy=http://p.example"),
    ("url", "--noverifyssl"): (URL, URL[:-1] + " --noverifyssl"),
    ("repo", "--name"): (REPO, REPO.replace("=r ", "=s ")),
    ("repo", "--baseurl"): ("", REPO),
    ("repo", "--mirrorlist"): ("", "repo --name=r --mirrorlist=https://m.example/list"),
    ("repo", "--metalink"): ("", "repo --name=r --metalink=https://m.example/link"),
    ("repo", "--cost"): (REPO, REPO + "--cost=5"),
    ("repo", "--includepkgs"): (REPO, REPO + "--includepkgs=a,b*"),
    ("repo", "--excludepkgs"): (REPO, REPO + "--excludepkgs=a"),
    ("repo", "--proxy"): (REPO, REPO + "--proxy=http://p.example"),
    ("repo", "--noverifyssl"): (REPO, REPO + "--noverifyssl"),
    ("repo", "--install"): (REPO, REPO + "--install"),
    ("repo", "--ignoregroups"): (REPO, REPO + "--ignoregroups=true"),
    ("%packages", "--excludedocs"): ("%packages", "%packages --excludedocs"),
    ("%packages", "--ignoremissing"): ("%packages", "%packages --ignoremissing"),
    ("%packages", "--nocore"): ("%packages", "%packages --nocore"),
    ("%packages", "--inst-langs"): ("%packages", "%packages --inst-langs=en:de"),
    ("%packages", "--instLangs"): ("%packages", "%packages --instLangs=en"),
    ("%packages", "--exclude-weakdeps"): ("%packages", "%packages --exclude-weakdeps"),
    ("%packages", "--excludeWeakdeps"): ("%packages", "%packages --excludeWeakdeps"),
    **{
        (name, option): (name, f"{name} {line}")
        for name in ("%pre", "%pre-install", "%post")
        for option, line in {
            "--interpreter": "--interpreter=/bin/bash",
            "--erroronfail": "--erroronfail",
            "--log": "--log=/root/log",
            "--logfile": "--logfile=/root/log",
        }.items()
    },
    ("%certificate", "--filename"): (
        CERTIFICATE + "--dir=/etc/pki",
        "%certificate --filename=b.pem --dir=/etc/pki",
    ),
    ("%certificate", "--dir"): (CERTIFICATE + "--dir=/etc/pki", CERTIFICATE + "--dir=/srv"),
    ("%certificate", "--type"): (
        CERTIFICATE + "--dir=/etc/pki",
        CERTIFICATE + "--dir=/etc/pki --type=anchor",
    ),
    ("%post", "--nochroot"): ("%post", "%post --nochroot"),
}

# Honoured without an option: each line changes the plan.
WORDS = {
    "lang": "lang de_DE.UTF-8",
    "keyboard": "keyboard de",
    "timezone": "timezone Europe/Vienna",
    "authselect": "authselect select minimal",
    "skipx": "skipx",
    "text": "text",
    "cmdline": "cmdline",
    "selinux": "selinux",
    "firewall": "firewall",
    "reqpart": "reqpart --add-boot",
}


def test_every_command_of_every_syntax_has_a_row() -> None:
    known = {name for version in VERSIONS for name in commands_of(version)}

    assert known - set(COMMANDS) == set()
    assert set(COMMANDS) - known == set()


def test_every_option_of_every_honoured_command_has_a_row() -> None:
    known = {
        (name, option)
        for version in VERSIONS
        for name, row in ROWS.items()
        if row.verdict is Treatment.HONOURED
        for option in options_of(version, name)
    }
    written = {(name, option) for name, row in ROWS.items() for option in row.options}

    assert known - written == set()
    assert written - known == set()


def test_every_row_that_is_not_honoured_says_why() -> None:
    for name, row in ROWS.items():
        if row.verdict is not Treatment.HONOURED:
            assert row.reason, name
        if row.verdict is Treatment.REFUSED:
            assert row.hint, name
        for option, entry in row.options.items():
            if entry.verdict is not Treatment.HONOURED:
                assert entry.reason, (name, option)
            if entry.verdict is Treatment.REFUSED:
                assert entry.hint, (name, option)


def test_every_honoured_option_has_an_effect_to_show() -> None:
    honoured = {
        (name, option)
        for name, row in ROWS.items()
        for option, entry in row.options.items()
        if entry.verdict is Treatment.HONOURED
    }
    # The same command under its long name.
    honoured -= {(name, option) for name, option in honoured if name == "partition"}

    assert sorted(honoured - set(EFFECTS)) == [], "honoured, and EFFECTS has no row"
    assert sorted(set(EFFECTS) - honoured) == [], "in EFFECTS, and not honoured"


def _plan(folder: Path, line: str, ksversion: str) -> ImagePlan:
    name = line.split(maxsplit=1)[0] if line else ""
    disk = "" if name == "autopart" or line.startswith("part / ") else DISK
    rest = "%packages\ninitial-setup\n%end\n"
    if name == "%packages":
        line, rest = f"{line}\nbash\n%end", ""
    elif name.startswith("%"):
        line = f"{line}\necho\n%end"
    target = "epel-9" if ksversion.startswith("RHEL") else "fedora-45"
    plan, findings = plan_text(folder, f"{disk}{line}\n{rest}", ksversion=ksversion, target=target)
    assert not findings.errors, reported(findings, folder)
    return _comparable(plan)


def _comparable(plan: ImagePlan) -> ImagePlan:
    """Return the plan without what differs by the text alone: places, digests, findings."""
    plan = dataclasses.replace(
        plan,
        kickstart_digests=(),
        warnings=(),
        notes=(),
        packages=dataclasses.replace(plan.packages, places={}),
    )
    clean = _without_places(plan)
    assert isinstance(clean, ImagePlan)
    return clean


def _without_places(value: object) -> object:
    if isinstance(value, tuple):
        return tuple(_without_places(one) for one in value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
        changed = {name: None if is_place(name) else _without_places(inner) for name, inner in fields.items()}
        return dataclasses.replace(value, **changed)
    return value


@pytest.mark.parametrize(("word", "lines"), EFFECTS.items(), ids=[" ".join(word) for word in EFFECTS])
def test_honoured_option_changes_the_plan(
    tmp_path: Path, word: tuple[str, str], lines: tuple[str, ...]
) -> None:
    version = lines[2] if len(lines) > 2 else "F45"

    without, with_option = (_plan(tmp_path, line, version) for line in lines[:2])

    assert without != with_option, f"{lines[1]!r} makes the plan that {lines[0]!r} makes"
    assert without == _plan(tmp_path, lines[0], version)


# Decided when the plan is made: the export has its outcome.
DECIDED = {("part", "--maxsize")}


@pytest.mark.parametrize(
    ("word", "lines"),
    [pytest.param(word, lines, id=" ".join(word)) for word, lines in EFFECTS.items() if word not in DECIDED],
)
def test_honoured_option_is_exported_to_diskimage_builder_or_refused_or_listed_as_lost(
    tmp_path: Path, word: tuple[str, str], lines: tuple[str, ...]
) -> None:
    version = lines[2] if len(lines) > 2 else "F45"
    without, with_option = (_export(_plan(tmp_path, line, version)) for line in lines[:2])

    if isinstance(without, Export) and isinstance(with_option, Export):
        command = lines[1].splitlines()[-1].split()[0]
        lost = [line for line in with_option.losses if line.startswith((word[0], command))]
        assert lost or without.losses != with_option.losses or _made(without) != _made(with_option)


def _made(export: Export) -> list[ExportedFile]:
    """Return the files that make the image."""
    return [file for file in export.files if file.path != "README.md"]


def _export(plan: ImagePlan) -> Export | None:
    """Return the export of a plan; None where it is refused."""
    try:
        return export_plan(_comparable(plan), find_target("fedora-45"))
    except InputError:
        return None


@pytest.mark.parametrize("line", WORDS.values(), ids=WORDS)
def test_honoured_command_changes_the_plan(tmp_path: Path, line: str) -> None:
    assert _plan(tmp_path, line, "F45") != _plan(tmp_path, "", "F45")


REFUSED = [(name, row) for name, row in COMMANDS.items() if row.verdict is Treatment.REFUSED]


@pytest.mark.parametrize("name", [name for name, _ in REFUSED])
def test_refused_command_names_itself_line_and_way_out(tmp_path: Path, name: str) -> None:
    _, findings = plan_text(tmp_path, f"{GOOD}{name} something\n")

    assert [problem.where for problem in findings.errors] == [f"{tmp_path}/test.ks:9"]
    assert findings.errors[0].message.startswith(f"{name}: ")
    assert findings.errors[0].hint


REFUSED_OPTIONS = sorted(
    (name, option)
    for name, row in ROWS.items()
    for option, entry in row.options.items()
    if entry.verdict is Treatment.REFUSED and name != "partition"
)


@pytest.mark.parametrize(
    ("name", "option"), REFUSED_OPTIONS, ids=[" ".join(pair) for pair in REFUSED_OPTIONS]
)
def test_refused_option_names_itself_line_and_way_out(tmp_path: Path, name: str, option: str) -> None:
    """In the newest syntax too, whether or not it still has the option."""
    end = "\n%end" if name.startswith("%") else ""

    _, findings = plan_text(tmp_path, f"{GOOD}{name} {option}=1{end}\n")

    problem = findings.errors[0]
    assert problem.where == f"{tmp_path}/test.ks:9"
    assert problem.message.startswith(f"{name} {option}: ")
    assert problem.hint


HARMLESS = [name for name, row in COMMANDS.items() if row.verdict is Treatment.HARMLESS]
# Of these it matters that they are there.
NOTED = [name for name in HARMLESS if COMMANDS[name].sets is not None]

# Harmless commands that take arguments.
ARGUMENTS = {
    "device": "device eth 3c501",
    "driverdisk": "driverdisk sda1",
    "eula": "eula --agreed",
    "rdp": "rdp --username=u --password=p",
    "sshpw": "sshpw --username=u secret",
    "updates": "updates https://u.example/img",
    "zfcp": "zfcp --devnum=1 --wwpn=2 --fcplun=3",
    "autostep": "autostep",
    "ignoredisk": "ignoredisk --only-use=vda",
    "logging": "logging --host=l.example",
}


@pytest.mark.parametrize("name", sorted({*HARMLESS} - {*NOTED}))
def test_harmless_command_is_said_and_changes_nothing(tmp_path: Path, name: str) -> None:
    plan, findings = plan_text(tmp_path, f"{GOOD}{ARGUMENTS.get(name, name)}\n")

    assert not findings.errors, reported(findings, tmp_path)
    said = [problem.message for problem in (*findings.notes, *findings.warnings)]
    assert any(message.startswith(f"{name} ") and "no effect" in message for message in said)
    assert _comparable(plan) == _comparable(plan_text(tmp_path, GOOD)[0])


@pytest.mark.parametrize("kind", SETTINGS)
def test_settings_are_read_from_the_commands_whose_rows_name_them(
    tmp_path: Path, kind: type[Setting]
) -> None:
    path = tmp_path / "test.ks"
    path.write_text(GOOD)
    kickstart = read_kickstart(path, Findings())

    kind.read(kickstart)

    assert kickstart.asked == {name for name, row in ROWS.items() if row.sets is kind}


@pytest.mark.parametrize("kind", SETTINGS)
def test_settings_have_a_module_that_acts_on_them(kind: type[Setting]) -> None:
    name = kind.__module__.rpartition(".")[2]

    assert callable(importlib.import_module(f"builder.image.tree.settings.{name}").apply)


def test_settings_have_different_names_in_the_json_of_a_plan() -> None:
    names = [name for kind in (*SETTINGS, ImagePlan) for name in kind.__dataclass_fields__]

    assert sorted(names) == sorted(set(names))


def test_planner_looks_for_every_honoured_word(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: set[str] = set()
    for method in ("all", "all_sections"):
        original = getattr(Kickstart, method)

        def spy(self: Kickstart, *names: str, original: object = original) -> object:
            asked.update(names)
            return original(self, *names)  # type: ignore[operator]

        monkeypatch.setattr(Kickstart, method, spy)

    plan_text(tmp_path, GOOD)

    sections = [name for name, row in SECTIONS.items() if row.verdict is Treatment.HONOURED]
    words = {*HONOURED, *NOTED, *sections}
    assert sorted(words - asked) == [], "honoured, and no function that makes the plan looks for it"
    assert sorted(asked - words) == [], "looked for, and commands.py does not say honoured"
