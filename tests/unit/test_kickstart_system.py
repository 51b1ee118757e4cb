# SPDX-License-Identifier: MIT
"""The system inside the image: locale, accounts, security, services, network."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest

from builder.image.tree.files import open_tree
from builder.image.tree.settings import keymaps
from builder.image.tree.settings.keymaps import find_console_font, layouts_of
from builder.image.tree.settings.locale import xorg_keyboard
from builder.kickstart.plan import Password
from builder.kickstart.settings.accounts import Accounts
from builder.kickstart.settings.locale import Keyboard, Locale, Timezone
from builder.kickstart.settings.security import Security
from builder.kickstart.settings.services import Services, SetUp
from tests.support.kickstart_text import DISK, plan_text, reported

END = "%packages\n%end\n"
HASH = "$6$salt$" + "x" * 86
YESCRYPT = "$y$j9T$1xeS9bGGeJBFcZyVEHcWK.$x6zdR1zBDNLNzHzXvdHKyl1UYrZzhbkvVnxZ5Sb5Bn1"

PASSWORDS = {
    "locked": ("--lock", Password(locked=True), None),
    "hash": (f"--iscrypted {HASH}", Password(hash=HASH), None),
    "old hash": ("--iscrypted abJnggxhB/yWI", Password(hash="abJnggxhB/yWI"), None),
    "yescrypt": (f"--iscrypted {YESCRYPT}", Password(hash=YESCRYPT), None),
    "bcrypt": (f"--iscrypted $2b$05${'a' * 53}", Password(hash=f"$2b$05${'a' * 53}"), None),
    "hash and locked": (f"--lock --iscrypted {HASH}", Password(hash=HASH, locked=True), None),
    "plain": ("--plaintext secret", Password(plain="secret"), None),
    "plain by default": ("secret", Password(plain="secret"), None),
    "the word locked": ("--iscrypted locked", Password(locked=True), "not a crypt(5) hash"),
    "the word locked, and --lock": ("--lock --iscrypted locked", Password(locked=True), None),
    "the word nothing": ("--iscrypted nothing", Password(locked=True), "not a crypt(5) hash"),
    "a long sentence": ("--iscrypted thereisnopasswordanditslocked", Password(locked=True), "not a crypt(5)"),
    "!!": ("--iscrypted !!", Password(locked=True), None),
    "*": ("--iscrypted *", Password(locked=True), None),
}


@pytest.mark.parametrize(("options", "expected", "warned"), PASSWORDS.values(), ids=PASSWORDS)
def test_password_of_root(tmp_path: Path, options: str, expected: Password, warned: str | None) -> None:
    plan, findings = plan_text(tmp_path, f"{DISK}rootpw {options}\n{END}")

    assert plan.of(Accounts).root_password == expected
    assert [warned in problem.message for problem in findings.warnings if warned] == (
        [True] if warned else []
    )
    assert bool(findings.warnings) is bool(warned)


UNUSABLE = {
    "Packer": "${adminpw}",
    "shell": "$SSH_PASSWORD",
    "autoconf": "@@PASSWORD@@",
    "Oz": "%ROOTPW%",
    "manual": "<password>",
    "Jinja": "'{{ password }}'",
    "hash cut short": "--iscrypted $6$salt$short",
    "hash in a shell's quotes": "--iscrypted '$6$salt$'",
    "hash of no crypt": f"--iscrypted $9$salt${'x' * 86}",
    "placeholder for a hash": "--iscrypted ${hash}",
}


@pytest.mark.parametrize("options", UNUSABLE.values(), ids=UNUSABLE)
def test_password_that_nobody_could_log_in_with_is_an_error(tmp_path: Path, options: str) -> None:
    _, findings = plan_text(tmp_path, f"{DISK}rootpw {options}\n{END}")

    assert [problem.where for problem in findings.errors] == [f"{tmp_path}/test.ks:4"]
    assert findings.errors[0].message.startswith("rootpw: the password of root is")
    assert findings.errors[0].hint


def test_root_is_locked_without_a_word(tmp_path: Path) -> None:
    plan, findings = plan_text(tmp_path, DISK + END)

    assert plan.of(Accounts).root_password == Password(locked=True)
    assert findings.notes[0].message == "no rootpw line: root is locked"


def test_password_is_not_shown(tmp_path: Path) -> None:
    plan, _ = plan_text(tmp_path, f"{DISK}rootpw hunter2\nuser --name=u --password=hunter2\n{END}")

    assert plan.of(Accounts).root_password.plain == "hunter2"
    assert "hunter2" not in repr(plan)


def test_users_and_groups(tmp_path: Path) -> None:
    plan, findings = plan_text(
        tmp_path,
        f"{DISK}group --name=staff --gid=700\nuser --name=a --groups=wheel,new(701) --uid=5 "
        "--homedir=/srv/a\n"
        f"user --name=b --password={HASH} --iscrypted --shell=/bin/sh --gecos='B, of C'\n{END}",
    )

    assert not findings.errors
    first, second = plan.of(Accounts).users
    assert (first.groups, first.uid, first.home) == (("wheel", "new"), 5, "/srv/a")
    assert first.password == Password(locked=True)
    assert (second.password, second.shell, second.gecos) == (Password(hash=HASH), "/bin/sh", "B, of C")
    assert [(group.name, group.gid) for group in plan.of(Accounts).groups] == [("staff", 700), ("new", 701)]


ZONES = {
    "utc": ("timezone Etc/UTC --utc\n", Timezone(name="Etc/UTC", utc=True)),
    "local": ("timezone Europe/Vienna\n", Timezone(name="Europe/Vienna", utc=False)),
    "none": ("", Timezone()),
    "sources": (
        "timesource --ntp-server=192.0.2.1\ntimesource --ntp-pool=pool.example\n",
        Timezone(servers=("192.0.2.1",), pools=("pool.example",)),
    ),
    "nts": (
        "timesource --ntp-server=a.example --nts\ntimesource --ntp-server=b.example\n",
        Timezone(servers=("a.example", "b.example"), nts=("a.example",)),
    ),
    "no zone": ("timezone --nontp\n", Timezone(ntp=False)),
    "no ntp": ("timesource --ntp-disable\n", Timezone(ntp=False)),
}


@pytest.mark.parametrize(("lines", "expected"), ZONES.values(), ids=ZONES)
def test_time(tmp_path: Path, lines: str, expected: Timezone) -> None:
    plan, findings = plan_text(tmp_path, DISK + lines + END)

    assert not findings.errors, reported(findings, tmp_path)
    assert dataclasses.replace(plan.of(Locale).timezone, place=None) == expected


KEYBOARDS = {
    "positional": ("keyboard de", Keyboard(keymap="de")),
    "console only": ("keyboard --vckeymap=de-latin1", Keyboard(keymap="de-latin1")),
    "X only": (
        "keyboard --xlayouts='de (nodeadkeys)','us'",
        Keyboard(keymap="de-nodeadkeys", layouts=("de (nodeadkeys)", "us")),
    ),
    "X only, with a variant that no keymap has": (
        "keyboard --xlayouts='de (newest)'",
        Keyboard(keymap="de", layouts=("de (newest)",)),
    ),
    "X, and what Anaconda does not look at then": (
        "keyboard --xlayouts=de us",
        Keyboard(keymap="de", layouts=("de",)),
    ),
    "all": (
        "keyboard --vckeymap=us --xlayouts=us,cz --switch=grp:alt_shift_toggle",
        Keyboard(keymap="us", layouts=("us", "cz"), switch=("grp:alt_shift_toggle",)),
    ),
}


@pytest.mark.parametrize(("line", "expected"), KEYBOARDS.values(), ids=KEYBOARDS)
def test_keyboard(tmp_path: Path, line: str, expected: Keyboard) -> None:
    plan, findings = plan_text(tmp_path, f"{DISK}{line}\n{END}")

    assert not findings.errors, reported(findings, tmp_path)
    assert plan.of(Locale).keyboard == expected


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        pytest.param("--xlayouts=us", {"XkbLayout": "us", "XkbModel": "pc105"}, id="one"),
        pytest.param(
            "--xlayouts='us','cz (qwerty)' --switch=grp:alt_shift_toggle",
            {"XkbLayout": "us,cz", "XkbModel": "pc105", "XkbVariant": ",qwerty",
             "XkbOptions": "grp:alt_shift_toggle"},
            id="variant",
        ),
        pytest.param(
            "--xlayouts='de(nodeadkeys)'",
            {"XkbLayout": "de", "XkbModel": "pc105", "XkbVariant": "nodeadkeys"}, id="close"
        ),
    ],
)  # fmt: skip
def test_a_variant_of_a_layout_has_an_option_of_its_own(
    tmp_path: Path, options: str, expected: dict[str, str]
) -> None:
    plan, _ = plan_text(tmp_path, f"{DISK}keyboard {options}\n{END}")

    text = xorg_keyboard(plan.of(Locale).keyboard)

    assert dict(re.findall(r'Option "(\w+)" "(.*)"', text)) == expected
    assert text.startswith('Section "InputClass"\n')
    assert text.endswith("EndSection\n")


# kbd-model-map of systemd 257, some of its lines.
MODEL_MAP = """\
# Originally generated from system-config-keyboard's model list.
# consolelayout xlayout xmodel xvariant xoptions
sg ch pc105 de_nodeadkeys terminate:ctrl_alt_bksp
de-latin1 de pc105 - terminate:ctrl_alt_bksp
ru us,ru pc105 - terminate:ctrl_alt_bksp,grp:shifts_toggle,grp_led:scroll
il us,il pc105 ,phonetic -
broken
"""


@pytest.mark.parametrize(
    ("keymap", "layouts"),
    [
        pytest.param("de-latin1", ("de",), id="a layout"),
        pytest.param("sg", ("ch (de_nodeadkeys)",), id="a variant"),
        pytest.param("ru", ("us", "ru"), id="two"),
        pytest.param("il", ("us", "il (phonetic)"), id="a variant of the second"),
        pytest.param("cz-qwerty", ("cz (qwerty)",), id="a keymap of X"),
        pytest.param("broken", (), id="a line that is cut off"),
        pytest.param("dvorak", (), id="unknown"),
    ],
)
def test_a_keymap_has_the_layouts_that_the_images_localed_finds(
    tmp_path: Path, keymap: str, layouts: tuple[str, ...]
) -> None:
    bare = layouts_of(open_tree(tmp_path), keymap)
    for path, text in ((keymaps.MODEL_MAP, MODEL_MAP), ("usr/lib/kbd/keymaps/xkb/cz-qwerty.map.gz", "")):
        (tmp_path / path).parent.mkdir(parents=True)
        (tmp_path / path).write_text(text)

    assert bare == ()
    assert layouts_of(open_tree(tmp_path), keymap) == layouts


@pytest.mark.parametrize(
    ("lang", "fonts", "expected"),
    [
        pytest.param("de_DE.UTF-8", ("eurlatgr", "latarcyrheb-sun16"), "eurlatgr", id="Latin"),
        pytest.param("uk_UA.UTF-8", ("eurlatgr", "latarcyrheb-sun16"), "latarcyrheb-sun16", id="Cyrillic"),
        pytest.param("C.UTF-8", ("latarcyrheb-sun16",), "latarcyrheb-sun16", id="EL 7"),
        pytest.param("sr", ("eurlatgr",), "eurlatgr", id="only one"),
        pytest.param("de_DE.UTF-8", ("Lat15-VGA16",), None, id="none of both"),
    ],
)
def test_the_console_has_a_font_of_its_language_where_the_image_has_one(
    tmp_path: Path, lang: str, fonts: tuple[str, ...], expected: str | None
) -> None:
    folder = tmp_path / "usr/lib/kbd/consolefonts"
    folder.mkdir(parents=True)
    for name in fonts:
        (folder / f"{name}.psfu.gz").touch()

    assert find_console_font(open_tree(tmp_path), lang) == expected


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

    assert not findings.errors, reported(findings, tmp_path)
    assert plan.of(Security).authselect == case[1]


@pytest.mark.parametrize("method", ["--passalgo=sha512", "--passalgo sha512"])
def test_the_method_of_every_target_is_no_news(tmp_path: Path, method: str) -> None:
    line = f"authconfig --enableshadow {method} --kickstart"
    _, findings = plan_text(tmp_path, f"{DISK}rootpw x\n{line}\n{END}", ksversion="RHEL7")

    assert reported(findings, tmp_path) == []


def test_weak_hashes_of_authconfig_are_not_followed(tmp_path: Path) -> None:
    line = "authconfig --enableshadow --enablemd5"

    _, findings = plan_text(tmp_path, f"{DISK}rootpw x\n{line}\n{END}", ksversion="F17")

    assert reported(findings, tmp_path) == [
        "warning: test.ks:5: authconfig --enablemd5: new passwords are hashed by the target's method"
    ]


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        pytest.param("", False, id="no line"),
        pytest.param("text", True, id="text"),
        pytest.param("cmdline", True, id="no screen at all"),
        pytest.param("graphical", False, id="graphical"),
        pytest.param("text\ngraphical", False, id="the last counts"),
        pytest.param("graphical\ntext", True, id="the last counts, the other way"),
        pytest.param("graphical\nrdp --username=u --password=p", True, id="a screen elsewhere"),
        pytest.param("vnc --password=secret1", False, id="vnc of a release that has it no longer"),
    ],
)
def test_a_guest_has_a_screen_where_its_installer_would_have_one(
    tmp_path: Path, lines: str, expected: bool
) -> None:
    plan, findings = plan_text(tmp_path, f"{DISK}{lines}\nrootpw --lock\n{END}")

    assert findings.errors == []
    assert plan.of(Services).without_screen is expected


def test_the_plan_shows_all_that_a_firewall_line_says(tmp_path: Path) -> None:
    line = "firewall --enabled --service=http --port=81:tcp --trust=eth1 --remove-service=ssh"
    plan, _ = plan_text(tmp_path, f"{DISK}{line}\n{END}")

    said = [text for _, text in plan.of(Security).rows()]

    assert said == ["firewall open for http 81:tcp, eth1 trusted, ssh closed"]


def test_services_disabled_and_enabled_are_kept_apart(tmp_path: Path) -> None:
    plan, _ = plan_text(tmp_path, f"{DISK}services --disabled=a,b.timer --enabled=sshd,a\n{END}")

    assert (plan.of(Services).services_disabled, plan.of(Services).services_enabled) == (
        ("a", "b.timer"),
        ("sshd", "a"),
    )


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        pytest.param("", SetUp.LEFT_OUT, id="no line"),
        pytest.param("firstboot --disable", SetUp.FORBIDDEN, id="off"),
        pytest.param("firstboot --disabled", SetUp.FORBIDDEN, id="off, in another word"),
        pytest.param("firstboot --enable", SetUp.WANTED, id="on"),
        pytest.param("firstboot --enabled", SetUp.WANTED, id="on, in another word"),
        pytest.param("firstboot --reconfig", SetUp.AGAIN, id="again"),
        pytest.param("firstboot --enable --reconfig", SetUp.AGAIN, id="on and again"),
    ],
)
def test_what_runs_at_the_first_boot_is_what_the_installer_lets_run(
    tmp_path: Path, line: str, expected: SetUp
) -> None:
    plan, findings = plan_text(tmp_path, f"{DISK}rootpw x\n{line}\n{END}")

    assert reported(findings, tmp_path) == []
    assert plan.of(Services).set_up is expected
    shown = any("first boot" in text for _, text in plan.of(Services).rows())
    assert shown is (expected in (SetUp.WANTED, SetUp.AGAIN))


ADDONS = {
    "kdump off": ("com_redhat_kdump --disable", "", None),
    "kdump off with a size": ("com_redhat_kdump --disable --reserve-mb=128", "", None),
    "kdump": ("com_redhat_kdump", "1G-4G:192M,4G-64G:256M,64G-:512M", None),
    "kdump on": ("com_redhat_kdump --enable --reserve-mb='auto'", "1G-4G:192M,4G-64G:256M,64G-:512M", None),
    "kdump with its size": ("com_redhat_kdump --enable --reserve-mb=192", "192M", None),
    "of the installer": (
        "org_fedora_hello_world --reverse",
        "",
        "%addon org_fedora_hello_world has no effect",
    ),
}


@pytest.mark.parametrize(("words", "reserved", "warned"), ADDONS.values(), ids=ADDONS)
def test_addon(tmp_path: Path, words: str, reserved: str, warned: str | None) -> None:
    plan, findings = plan_text(tmp_path, f"{DISK}rootpw x\n%addon {words}\n%end\n{END}")

    assert not findings.errors
    assert plan.bootloader.append == (f"crashkernel={reserved}" if reserved else "")
    assert [problem.message.startswith(warned) for problem in findings.warnings if warned] == (
        [True] if warned else []
    )


@pytest.mark.parametrize(
    ("options", "appended", "enabled", "disabled"),
    [
        ("--enable --reserve-mb=192", "quiet crashkernel=192M", ("sshd", "kdump"), ()),
        ("--disable", "quiet", ("sshd",), ("kdump",)),
    ],
)
def test_kdump_is_what_its_add_on_says(
    tmp_path: Path, options: str, appended: str, enabled: tuple[str, ...], disabled: tuple[str, ...]
) -> None:
    lines = 'bootloader --append="crashkernel=auto quiet"\nservices --enabled=kdump,sshd\n'
    text = f"{DISK}{lines}%addon com_redhat_kdump {options}\n%end\n{END}"

    plan, findings = plan_text(tmp_path, text)

    assert not findings.errors
    assert plan.bootloader.append == appended
    assert plan.of(Services).services_enabled == enabled
    assert plan.of(Services).services_disabled == disabled
    assert ("kdump-utils" in plan.packages.added) == ("kdump" in enabled)


def test_security_profile_is_not_passed_over(tmp_path: Path) -> None:
    text = f"{DISK}%addon org_fedora_oscap\n    profile = cis\n%end\n{END}"

    _, findings = plan_text(tmp_path, text)

    assert reported(findings, tmp_path)[0] == (
        "error: test.ks:4: %addon org_fedora_oscap: its profile is not applied"
    )


def test_certificate_becomes_a_file(tmp_path: Path) -> None:
    text = f"{DISK}%certificate --filename=ca.pem --type=anchor\n-----BEGIN\n%end\n{END}"

    plan, findings = plan_text(tmp_path, text)

    assert not findings.errors, reported(findings, tmp_path)
    found = plan.of(Security).certificates[0]
    assert (found.path, found.text, found.anchor) == (
        "/etc/pki/ca-trust/source/anchors/ca.pem", "-----BEGIN\n", True,
    )  # fmt: skip


MISTAKES = {
    "lang": ("lang '../../etc'", "lang"),
    "keymap": ("keyboard ../us", "keyboard"),
    "zone": ("timezone ../../etc/passwd", "timezone"),
    "time server": ("timesource --ntp-server='a b'", "timesource"),
    "home of all": ("user --name=a --homedir=/", "user --homedir=/"),
    "home of the kernel": ("user --name=a --homedir=/proc/a", "user --homedir=/proc/a"),
    "device to trust": ("firewall --trust='a b'", "firewall"),
    "service's name": ("firewall --service='a b'", "firewall"),
    "GRUB's hash": ("bootloader --iscrypted --password=grub.pbkdf2.sha512.1000.zz", "bootloader --iscrypted"),
    "host of a repository": ("repo --name=y --baseurl=https:///path", "repo"),
    "port of a repository": ("repo --name=y --mirrorlist=https://m.example:99999/", "repo"),
    "proxy": ("repo --name=y --baseurl=https://m.example/ --proxy=nonsense://", "repo y --proxy"),
    "port of a proxy": ("url --url=https://m.example/ --proxy=http://p:99999", "url url --proxy"),
    "mount option of btrfs": (
        "part /data --fstype=ext4 --size=9 --fsoptions=subvol=x",
        "part --fsoptions=subvol=x",
    ),
    "mount option of vfat": (
        "part /data --fstype=xfs --size=900 --fsoptions=umask=077",
        "part --fsoptions=umask=077",
    ),
    "unit": ("services --enabled='a;b'", "services"),
    "port": ("firewall --port=High", "firewall"),
    "port number": ("firewall --port=70000:tcp", "firewall"),
    "list with a blank": ("services --enabled=a, b", "services"),
    "default desktop": ("xconfig --defaultdesktop='a b'", "xconfig --defaultdesktop"),
    "authselect": ("authselect frobnicate", "authselect"),
    "authconfig": ("authconfig --enablenis", "authconfig --enablenis"),
}


@pytest.mark.parametrize(("line", "expected"), MISTAKES.values(), ids=MISTAKES)
def test_value_that_its_file_could_not_hold_is_an_error(tmp_path: Path, line: str, expected: str) -> None:
    version = "RHEL9" if line.startswith("authconfig") else "F45"

    _, findings = plan_text(tmp_path, f"{DISK}{line}\n{END}", ksversion=version)

    assert [problem.where for problem in findings.errors] == [f"{tmp_path}/test.ks:4"]
    assert findings.errors[0].message.startswith(f"{expected}:")


NO_SUCH_NAMES = {
    "zone": ("timezone Europe/Munich", "timezone: there is no zone Europe/Munich"),
    "zone in small letters": ("timezone utc", "timezone: there is no zone utc"),
    "locale": ("lang xx_YY", "lang: there is no locale xx_YY"),
    "locale with a set": ("lang xx_YY.UTF-8", "lang: there is no locale xx_YY.UTF-8"),
    "territory": ("lang en_USA.UTF-8", "lang: there is no locale en_USA.UTF-8"),
    "character set": ("lang en_US.UFT-8", "lang: there is no locale en_US.UFT-8"),
    "language to add": ("lang en_US --addsupport=de_DE,qq_DE", "lang: there is no locale qq_DE"),
    "layout": (
        "keyboard --vckeymap=us --xlayouts='zz (dvorak)'",
        "keyboard: there is no X layout zz (dvorak)",
    ),
}


@pytest.mark.parametrize(("line", "expected"), NO_SUCH_NAMES.values(), ids=NO_SUCH_NAMES)
def test_a_name_that_no_guest_knows_is_an_error(tmp_path: Path, line: str, expected: str) -> None:
    _, findings = plan_text(tmp_path, f"{DISK}{line}\n{END}")

    assert [problem.message for problem in findings.errors] == [expected]
    assert findings.errors[0].where == f"{tmp_path}/test.ks:4"
    assert findings.errors[0].hint


DOUBTFUL = {
    "a language elsewhere": "lang en_DE.UTF-8",
    "a language without a territory": "lang de",
    "a modifier": "lang de_DE@latin",
    "a keymap": "keyboard uss",
    "a variant of a keymap": "keyboard --vckeymap=de-foo",
    "a language of packages": "%packages --inst-langs=en:qq\n%end",
    "a service both ways": "services --enabled=sshd --disabled=sshd",
    "the address of a network": "network --bootproto=static --ip=192.0.2.255 --netmask=255.255.255.0",
    "a newer variant": "keyboard --vckeymap=de --xlayouts='de (newest)'",
}


@pytest.mark.parametrize("line", DOUBTFUL.values(), ids=DOUBTFUL)
def test_a_name_that_some_guest_may_know_is_only_doubted(tmp_path: Path, line: str) -> None:
    _, findings = plan_text(tmp_path, f"{DISK}{line}\n{END}")

    assert not findings.errors, reported(findings, tmp_path)
    assert [problem.where for problem in findings.warnings] == [f"{tmp_path}/test.ks:4"]


GOOD_NAMES = [
    *("lang C", "lang C.utf8", "lang POSIX", "lang en_US.utf8", "lang sr_RS@latin"),
    *("lang de_DE.ISO-8859-15@euro", "timezone US/Eastern", "timezone America/Argentina/Buenos_Aires"),
    *("timezone Etc/GMT+5", "timezone EST5EDT", "keyboard us-acentos", "keyboard us-intl"),
    *("keyboard de-nodeadkeys", "keyboard uk", "keyboard jp106"),
]


@pytest.mark.parametrize("line", GOOD_NAMES)
def test_a_name_that_guests_know_is_taken_as_it_is(tmp_path: Path, line: str) -> None:
    _, findings = plan_text(tmp_path, f"{DISK}{line}\n{END}")

    assert not reported(findings, tmp_path)


def test_a_zone_of_a_newer_tzdata_on_this_host_is_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "zones/Europe").mkdir(parents=True)
    (tmp_path / "zones/Europe/Munich").touch()
    monkeypatch.setattr("zoneinfo.TZPATH", (f"{tmp_path}/zones",))

    _, findings = plan_text(tmp_path, f"{DISK}timezone Europe/Munich\n{END}")
    assert not findings.errors

    # And a host without any tzdata refuses none that our list has.
    monkeypatch.setattr("zoneinfo.TZPATH", ())
    _, findings = plan_text(tmp_path, f"{DISK}timezone Europe/Vienna\n{END}")
    assert not findings.errors
