# SPDX-License-Identifier: MIT
"""Who is in the image: root, users, groups, keys, and how passwords are handled."""

from __future__ import annotations

import re

from builder.kickstart.plan import Group, Password, SshKey, User
from builder.kickstart.read import Kickstart
from builder.kickstart.syntax import Command
from builder.kickstart.values import ACCOUNT, fits

# crypt(5): $id$..., the 13 characters of DES, or what locks an account on purpose.
_HASH = re.compile(r"\$[0-9a-z]+\$[^:\s]+|[./0-9A-Za-z]{13}")

# Options of authconfig(8) that say what every target does anyway, and those for weaker hashes.
_OLD_AUTH_DEFAULTS = frozenset(
    {"--enableshadow", "--useshadow", "--passalgo=sha512", "--disablenis", "--updateall"}
)
_OLD_AUTH_HASHES = frozenset({"--enablemd5", "--passalgo=md5", "--passalgo=sha256", "--passalgo=descrypt"})


def plan_root(ks: Kickstart) -> tuple[Password, bool]:
    """Return root's password, and whether ssh may take it. Without a rootpw line root is locked."""
    line = ks.last("rootpw")
    if line is None:
        ks.findings.note(None, "no rootpw line: root is locked")
        return Password(locked=True), False
    return plan_password(ks, line, who="root"), bool(line.get("allow_ssh", False))


def plan_password(ks: Kickstart, line: Command, *, who: str) -> Password:
    """Return the password of a rootpw or user line.

    A text given as a hash that is none (`locked`, `nothing`, `!!`): nobody could log in with it, so it
    locks the account, and a proper lock is what the image gets.
    """
    text = str(line.get("password", ""))
    locked = bool(line.get("lock", False))
    if not line.get("isCrypted", False):
        return Password(plain=text or None, locked=locked or not text)
    if _HASH.fullmatch(text):
        return Password(hash=text, locked=locked)
    if text.strip("!*"):
        ks.findings.warn(
            line.place,
            f"{line.name}: the password of {who} is not a crypt(5) hash; the account is locked",
            "write --lock to say so",
        )
    return Password(locked=True)


def plan_users(ks: Kickstart) -> tuple[tuple[User, ...], tuple[Group, ...]]:
    """Return the accounts to make, and the groups of group lines and of `--groups=name(gid)`."""
    groups: dict[str, Group] = {}
    users: dict[str, User] = {}
    for line in ks.all("group"):
        name = str(line.get("name", ""))
        if fits(ks, line, ACCOUNT, name, "a group name"):
            groups[name] = Group(name=name, gid=line.get("gid"))
    for line in ks.all("user"):
        name = str(line.get("name", ""))
        if not fits(ks, line, ACCOUNT, name, "a user name"):
            continue
        if name == "root":
            ks.findings.error(line.place, "user --name=root: root is there already", "write a rootpw line")
            continue
        if name in users:
            ks.findings.warn(line.place, f"a second user line for {name}: the last holds")
        member = []
        for text in line.get("groups", ()):
            match = re.fullmatch(r"([^()]*?)\s*(?:\((\d+)\))?", str(text))
            group, gid = (match[1], match[2]) if match else (str(text), None)
            if fits(ks, line, ACCOUNT, group, "a group name"):
                member.append(group)
                if gid is not None:
                    groups[group] = Group(name=group, gid=int(gid))
        users[name] = _plan_user(ks, line, name, tuple(member))
    return tuple(users.values()), tuple(groups.values())


def _plan_user(ks: Kickstart, line: Command, name: str, groups: tuple[str, ...]) -> User:
    home, shell, gecos = (str(line.get(key, "")) for key in ("homedir", "shell", "gecos"))
    for text in (home, shell):
        if text and (not text.startswith("/") or re.search(r"[:\n]", text)):
            ks.findings.error(line.place, f'user: "{text}" is not an absolute path')
    if re.search(r"[:\n]", gecos):
        ks.findings.error(line.place, "user --gecos: a colon ends the field", "leave the colon out")
    return User(
        name=name,
        password=plan_password(ks, line, who=name),
        uid=line.get("uid"),
        gid=line.get("gid"),
        groups=groups,
        home=home or None,
        shell=shell or None,
        gecos=gecos,
        place=line.place,
    )


def plan_ssh_keys(ks: Kickstart) -> tuple[SshKey, ...]:
    """Return the keys of sshkey lines."""
    keys = []
    for line in ks.all("sshkey"):
        user, key = str(line.get("username", "")), str(line.get("key", "")).strip()
        if fits(ks, line, ACCOUNT, user, "a user name") and "\n" not in key:
            keys.append(SshKey(user=user, key=key))
    return tuple(keys)


def plan_authselect(ks: Kickstart) -> tuple[str, ...] | None:
    """Return the arguments of authselect(8), None when nothing is asked for.

    auth and authconfig (EL 7 and before): their usual options say what every target does anyway.
    """
    for old in ks.all("auth", "authconfig"):
        if weak := _OLD_AUTH_HASHES & set(old.words):
            ks.findings.warn(
                old.place,
                f"{old.name} {' '.join(sorted(weak))}: new passwords are hashed as the target does it",
            )
        left = [word for word in old.words if word not in _OLD_AUTH_DEFAULTS | _OLD_AUTH_HASHES]
        if left:
            ks.findings.error(
                old.place,
                f"{old.name} {' '.join(left)}: authconfig is not run",
                "write an authselect line, or configure PAM in a %post script",
            )
        else:
            ks.findings.note(old.place, f"{old.name}: shadow passwords with sha512 are what every target has")
    line = ks.last("authselect")
    if line is None:
        return None
    if not line.words or line.words[0] not in ("select", "enable-feature", "disable-feature"):
        ks.findings.error(line.place, "authselect: select, enable-feature or disable-feature is wanted")
    return line.words
