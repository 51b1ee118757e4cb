# SPDX-License-Identifier: MIT
"""The system inside the image: locale, accounts, security, services, network."""

from __future__ import annotations

from pathlib import Path

import pytest

from builder.kickstart.plan import Group, Keyboard, NetworkInterface, Password, Timezone
from tests.support.kickstart_text import DISK, plan_text, told

END = "%packages\n%end\n"
HASH = "$6$salt$" + "x" * 86

PASSWORDS = {
    "locked": ("--lock", Password(locked=True), None),
    "hash": (f"--iscrypted {HASH}", Password(hash=HASH), None),
    "old hash": ("--iscrypted abJnggxhB/yWI", Password(hash="abJnggxhB/yWI"), None),
    "hash and locked": (f"--lock --iscrypted {HASH}", Password(hash=HASH, locked=True), None),
    "plain": ("--plaintext secret", Password(plain="secret"), None),
    "plain by default": ("secret", Password(plain="secret"), None),
    "the word locked": ("--iscrypted locked", Password(locked=True), "not a crypt(5) hash"),
    "the word nothing": ("--iscrypted nothing", Password(locked=True), "not a crypt(5) hash"),
    "a long sentence": ("--iscrypted thereisnopasswordanditslocked", Password(locked=True), "not a crypt(5)"),
    "!!": ("--iscrypted !!", Password(locked=True), None),
    "*": ("--iscrypted *", Password(locked=True), None),
}


@pytest.mark.parametrize(("options", "expected", "warned"), PASSWORDS.values(), ids=PASSWORDS)
def test_password_of_root(tmp_path: Path, options: str, expected: Password, warned: str | None) -> None:
    plan, findings = plan_text(tmp_path, f"{DISK}rootpw {options}\n{END}")

    assert plan.root_password == expected
    assert [warned in problem.message for problem in findings.warnings if warned] == (
        [True] if warned else []
    )
    assert bool(findings.warnings) is bool(warned)


def test_root_is_locked_without_a_word(tmp_path: Path) -> None:
    plan, findings = plan_text(tmp_path, DISK + END)

    assert plan.root_password == Password(locked=True)
    assert findings.notes[0].message == "no rootpw line: root is locked"


def test_password_is_not_shown(tmp_path: Path) -> None:
    plan, _ = plan_text(tmp_path, f"{DISK}rootpw hunter2\nuser --name=u --password=hunter2\n{END}")

    assert plan.root_password.plain == "hunter2"
    assert "hunter2" not in repr(plan)


def test_users_and_groups(tmp_path: Path) -> None:
    plan, findings = plan_text(
        tmp_path,
        f"{DISK}group --name=staff --gid=700\nuser --name=a --groups=wheel,new(701) --uid=5 "
        "--homedir=/srv/a\n"
        f"user --name=b --password={HASH} --iscrypted --shell=/bin/sh --gecos='B, of C'\n{END}",
    )

    assert not findings.errors
    first, second = plan.users
    assert (first.groups, first.uid, first.home) == (("wheel", "new"), 5, "/srv/a")
    assert first.password == Password(locked=True)
    assert (second.password, second.shell, second.gecos) == (Password(hash=HASH), "/bin/sh", "B, of C")
    assert plan.groups == (Group(name="staff", gid=700), Group(name="new", gid=701))


ZONES = {
    "utc": ("timezone Etc/UTC --utc\n", Timezone(name="Etc/UTC", utc=True)),
    "local": ("timezone Europe/Vienna\n", Timezone(name="Europe/Vienna", utc=False)),
    "none": ("", Timezone()),
    "sources": (
        "timesource --ntp-server=192.0.2.1\ntimesource --ntp-pool=pool.example\n",
        Timezone(servers=("192.0.2.1",), pools=("pool.example",)),
    ),
    "no ntp": ("timesource --ntp-disable\n", Timezone(ntp=False)),
}


@pytest.mark.parametrize(("lines", "expected"), ZONES.values(), ids=ZONES)
def test_time(tmp_path: Path, lines: str, expected: Timezone) -> None:
    plan, findings = plan_text(tmp_path, DISK + lines + END)

    assert not findings.errors, told(findings, tmp_path)
    assert plan.timezone == expected


KEYBOARDS = {
    "positional": ("keyboard de", Keyboard(keymap="de")),
    "console only": ("keyboard --vckeymap=de-latin1", Keyboard(keymap="de-latin1")),
    "X only": (
        "keyboard --xlayouts='de (nodeadkeys)','us'",
        Keyboard(keymap="de", layouts=("de (nodeadkeys)", "us")),
    ),
    "all": (
        "keyboard --vckeymap=us --xlayouts=us,cz --switch=grp:alt_shift_toggle",
        Keyboard(keymap="us", layouts=("us", "cz"), switch=("grp:alt_shift_toggle",)),
    ),
}


@pytest.mark.parametrize(("line", "expected"), KEYBOARDS.values(), ids=KEYBOARDS)
def test_keyboard(tmp_path: Path, line: str, expected: Keyboard) -> None:
    plan, findings = plan_text(tmp_path, f"{DISK}{line}\n{END}")

    assert not findings.errors, told(findings, tmp_path)
    assert plan.keyboard == expected


INTERFACES = {
    "any device": ("--bootproto=dhcp --device=link", NetworkInterface()),
    "the booted one": ("--bootproto=dhcp --device=bootif", NetworkInterface()),
    "bootp": ("--bootproto=bootp --device=eth0", NetworkInterface(device="eth0")),
    "static": (
        "--device=eth0 --bootproto=static --ip=192.0.2.2 --netmask=255.255.255.0 --gateway=192.0.2.1 "
        "--nameserver=192.0.2.53,192.0.2.54 --noipv6 --mtu=9000 --onboot=off",
        NetworkInterface(
            device="eth0",
            bootproto="static",
            ip="192.0.2.2",
            netmask="255.255.255.0",
            gateway="192.0.2.1",
            nameservers=("192.0.2.53", "192.0.2.54"),
            noipv6=True,
            mtu=9000,
            onboot=False,
        ),
    ),
    "host name only": ("--hostname=a.example --activate", None),
}


@pytest.mark.parametrize(("options", "expected"), INTERFACES.values(), ids=INTERFACES)
def test_interface(tmp_path: Path, options: str, expected: NetworkInterface | None) -> None:
    plan, findings = plan_text(tmp_path, f"{DISK}network {options}\n{END}")

    assert not findings.errors, told(findings, tmp_path)
    assert plan.interfaces == ((expected,) if expected else ())


AUTH = {
    "F45": ("authselect select sssd with-mkhomedir --force", ("select", "sssd", "with-mkhomedir", "--force")),
    "RHEL9": ("authconfig --enableshadow --passalgo=sha512", None),
    "RHEL6": ("auth --useshadow --passalgo=sha512", None),
}


@pytest.mark.parametrize(("version", "case"), AUTH.items(), ids=AUTH)
def test_authselect_and_its_forerunners(
    tmp_path: Path, version: str, case: tuple[str, tuple[str, ...] | None]
) -> None:
    plan, findings = plan_text(tmp_path, f"{DISK}rootpw x\n{case[0]}\n{END}", ksversion=version)

    assert not findings.errors, told(findings, tmp_path)
    assert plan.authselect == case[1]


def test_weak_hashes_of_authconfig_are_not_followed(tmp_path: Path) -> None:
    line = "authconfig --enableshadow --enablemd5"

    _, findings = plan_text(tmp_path, f"{DISK}rootpw x\n{line}\n{END}", ksversion="F17")

    assert told(findings, tmp_path) == [
        "warning: test.ks:5: authconfig --enablemd5: new passwords are hashed as the target does it"
    ]


def test_services_disabled_and_enabled_are_kept_apart(tmp_path: Path) -> None:
    plan, _ = plan_text(tmp_path, f"{DISK}services --disabled=a,b.timer --enabled=sshd,a\n{END}")

    assert (plan.services_disabled, plan.services_enabled) == (("a", "b.timer"), ("sshd", "a"))


def test_set_up_program_that_is_named_is_disabled(tmp_path: Path) -> None:
    plan, _ = plan_text(tmp_path, f"{DISK}firstboot --disable\n%packages\ninitial-setup\n%end\n")

    assert plan.services_disabled == ("initial-setup.service",)


MISTAKES = {
    "lang": ("lang '../../etc'", "lang"),
    "keymap": ("keyboard ../us", "keyboard"),
    "zone": ("timezone ../../etc/passwd", "timezone"),
    "time server": ("timesource --ntp-server='a b'", "timesource"),
    "host name": ("network --hostname=a_b", "network"),
    "MAC address": ("network --device=00:11:22:33:44:55", "network --device=00:11:22:33:44:55"),
    "bootproto": ("network --device=eth0 --bootproto=query", "network --bootproto=query"),
    "static without address": ("network --bootproto=static --device=eth0", "network --bootproto=static"),
    "mtu": ("network --device=eth0 --mtu=big", "network --mtu=big"),
    "user name": ("user --name=a:b", "user"),
    "root again": ("user --name=root", "user --name=root"),
    "home": ("user --name=a --homedir=srv", "user"),
    "gecos": ("user --name=a --gecos=a:b", "user --gecos"),
    "group": ("group --name='a b'", "group"),
    "unit": ("services --enabled='a;b'", "services"),
    "port": ("firewall --port=high", "firewall"),
    "authselect": ("authselect list", "authselect"),
    "authconfig": ("authconfig --enablenis", "authconfig --enablenis"),
    "firstboot": ("firstboot --enable", "firstboot --enable"),
    "boot loader's password": ("bootloader --password=x", "bootloader --password"),
}


@pytest.mark.parametrize(("line", "expected"), MISTAKES.values(), ids=MISTAKES)
def test_value_that_its_file_could_not_hold_is_an_error(tmp_path: Path, line: str, expected: str) -> None:
    version = "RHEL9" if line.startswith("authconfig") else "F45"

    _, findings = plan_text(tmp_path, f"{DISK}{line}\n{END}", ksversion=version)

    assert [problem.where for problem in findings.errors] == [f"{tmp_path}/test.ks:4"]
    assert findings.errors[0].message.startswith(f"{expected}:")
