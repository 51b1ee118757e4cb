# SPDX-License-Identifier: MIT
"""Users and groups as a whole: what clashes is reported with its line, before anything is built."""

from __future__ import annotations

from pathlib import Path

import pytest

from builder.kickstart.settings.accounts import Accounts
from builder.kickstart.settings.security import Security
from tests.support.kickstart_text import DISK, plan_text, reported

END = "rootpw --lock\n%packages\n%end\n"

# Lines that fit together -> groups to make, and (name, primary group, further groups) of the users.
WHOLE = {
    "a user in the group of its own name": (
        "user --name=vagrant --groups=vagrant,wheel",
        [],
        [("vagrant", None, ("wheel",))],
    ),
    "a group line for the user's own group": (
        "group --name=vagrant\nuser --name=vagrant",
        [("vagrant", None)],
        [("vagrant", "vagrant", ())],
    ),
    "the same, its gid said twice": (
        "group --name=vagrant --gid=1500\nuser --name=vagrant --gid=1500 --uid=1500",
        [("vagrant", 1500)],
        [("vagrant", "vagrant", ())],
    ),
    "the own group's gid in --groups": (
        "user --name=vagrant --groups='vagrant(1500)'",
        [("vagrant", 1500)],
        [("vagrant", "vagrant", ())],
    ),
    "two users in one group": (
        "group --name=crew --gid=1500\nuser --name=a --gid=1500\nuser --name=b --gid=1500",
        [("crew", 1500)],
        [("a", None, ()), ("b", None, ())],
    ),
    "a group by its line and again in --groups": (
        "group --name=crew\nuser --name=a --groups='crew(1500)'",
        [("crew", 1500)],
        [("a", None, ("crew",))],
    ),
}


@pytest.mark.parametrize(("lines", "groups", "users"), WHOLE.values(), ids=WHOLE)
def test_accounts_that_fit_together(
    tmp_path: Path,
    lines: str,
    groups: list[tuple[str, int | None]],
    users: list[tuple[str, str | None, tuple[str, ...]]],
) -> None:
    plan, findings = plan_text(tmp_path, f"{DISK}{lines}\n{END}")

    assert reported(findings, tmp_path) == []
    assert [(group.name, group.gid) for group in plan.of(Accounts).groups] == groups
    assert [(user.name, user.primary_group, user.groups) for user in plan.of(Accounts).users] == users


CLASHES = {
    "two users, one uid": (
        "user --name=a --uid=1500\nuser --name=b --uid=1500",
        "user b: uid 1500 belongs to a",
    ),
    "two groups, one gid": (
        "group --name=a --gid=1500\ngroup --name=b --gid=1500",
        "group b: gid 1500 belongs to a",
    ),
    "two groups, one gid, in --groups": (
        "group --name=a --gid=1500\nuser --name=u --groups='b(1500)'",
        "group b: gid 1500 belongs to a",
    ),
    "one group, two gids": (
        "group --name=a --gid=1500\nuser --name=u --groups='a(1501)'",
        "group a: gid 1501, and 1500",
    ),
    "own group with another gid": (
        "group --name=a --gid=1500\nuser --name=a --gid=1501",
        "user a: --gid=1501, and the group a has 1500",
    ),
}


@pytest.mark.parametrize(("lines", "expected"), CLASHES.values(), ids=CLASHES)
def test_clash_names_both_lines(tmp_path: Path, lines: str, expected: str) -> None:
    _, findings = plan_text(tmp_path, f"{DISK}{lines}\n{END}")

    assert len(findings.errors) == 1, reported(findings, tmp_path)
    assert findings.errors[0].where == f"{tmp_path}/test.ks:5"
    assert findings.errors[0].message.startswith(expected)
    assert findings.errors[0].message.endswith(f"{tmp_path}/test.ks:4")
    assert findings.errors[0].hint


MISTAKES = {
    "uid of root": ("user --name=a --uid=0", "user --uid=0"),
    "uid below none": ("user --name=a --uid=-1", "user --uid=-1"),
    "the uid that is none": ("user --name=a --uid=4294967295", "user --uid=4294967295"),
    "uid beyond 32 bits": ("user --name=a --uid=4294967296", "user --uid=4294967296"),
    "uid that no build maps": ("user --name=a --uid=100001", "user --uid=100001"),
    "nobody's uid": ("user --name=a --uid=65534", "user --uid=65534"),
    "gid that no build maps": ("group --name=a --gid=70000", "group --gid=70000"),
    "gid of root": ("user --name=a --gid=0", "user --gid=0"),
    "gid in --groups": ("user --name=a --groups='b(70000)'", "user --groups=b=70000"),
    "user name": ("user --name=a:b", "user"),
    "name that is not filled in": ("user --name=${build_username}", "user"),
    "root again": ("user --name=root", "user --name=root"),
    "home": ("user --name=a --homedir=srv", "user --homedir"),
    "home outside": ("user --name=a --homedir=/../etc", "user --homedir"),
    "gecos": ("user --name=a --gecos=a:b", "user --gecos"),
    "group": ("group --name='a b'", "group"),
    "key that is not filled in": ("sshkey --username=root '${key}'", "sshkey"),
    "key that sshd does not read": ("sshkey --username=root 'ssh-ed25519 AAAA me@here'", "sshkey"),
    "key that was cut off": (
        "sshkey --username=root 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKzz me@here'",
        "sshkey",
    ),
    "key of another type": ("sshkey --username=root 'ssh-rsa AAAAC3NzaC1lZDI1NTE5AAAA'", "sshkey"),
}


@pytest.mark.parametrize(("line", "expected"), MISTAKES.values(), ids=MISTAKES)
def test_value_that_no_account_can_have_is_an_error(tmp_path: Path, line: str, expected: str) -> None:
    _, findings = plan_text(tmp_path, f"{DISK}{line}\n{END}")

    assert [problem.where for problem in findings.errors] == [f"{tmp_path}/test.ks:4"]
    assert findings.errors[0].message.startswith(f"{expected}:")


AUTH = {
    "what holds anyway": ("authconfig --enableshadow --passalgo=sha512", []),
    "a fingerprint reader": (
        "authconfig --enableshadow --enablefingerprint",
        [
            "warning: test.ks:4: authconfig --enablefingerprint: authconfig is not run; "
            "PAM stays as packaged"
        ],
    ),
    "accounts of a network": (
        "authconfig --enableldap --ldapserver=ldap.example",
        ["error: test.ks:4: authconfig --enableldap --ldapserver=ldap.example: authconfig is not run, "
         "accounts of a network are not set up"],
    ),
    "turned off": ("authconfig --disableldap --disablecache", []),
    "options that neither has, for authselect": (
        "authselect --useshadow --enablemd5 --enablecache",
        [
            "warning: test.ks:4: authselect --enablemd5: new passwords are hashed by the target's method",
            "warning: test.ks:4: authselect --enablecache: authconfig is not run; PAM stays as packaged",
        ],
    ),
    "accounts of a network, for authselect": (
        "authselect --enableldap",
        ["error: test.ks:4: authselect --enableldap: authconfig is not run, "
         "accounts of a network are not set up"],
    ),
    "its options for authselect": (
        "authselect --enableshadow --passalgo=sha512 --kickstart",
        [
            "warning: test.ks:4: authselect has no such options; "
            "every target does what they asked authconfig for"
        ],
    ),
}  # fmt: skip


@pytest.mark.parametrize(("line", "expected"), AUTH.values(), ids=AUTH)
def test_old_words_for_authentication(tmp_path: Path, line: str, expected: list[str]) -> None:
    version = "F45" if line.startswith("authselect") else "RHEL7"

    plan, findings = plan_text(tmp_path, f"{DISK}{line}\n{END}", ksversion=version)

    assert reported(findings, tmp_path) == expected
    assert plan.of(Security).authselect is None
