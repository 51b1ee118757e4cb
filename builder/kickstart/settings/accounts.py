# SPDX-License-Identifier: MIT
"""rootpw, user, group, sshkey, and how passwords are handled.

Accounts are looked at as a whole: a clash of names or ids is reported before anything is built.
"""

from __future__ import annotations

import base64
import dataclasses
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from pathlib import PurePosixPath
from typing import Self

from builder.kickstart.parsed import Kickstart, ParsedCommand
from builder.kickstart.place import Place
from builder.kickstart.placeholders import is_placeholder
from builder.kickstart.plan import Password, Setting
from builder.kickstart.values import ACCOUNT, fits

# Ids that an image may use: a build maps no more (builder.idmap). 65534 is nobody, 65535
# the "no id" of 16 bit.
LAST_ID = 65533

UNSET, LOCKED = Password(), Password(locked=True)

# What crypt(5) reads, by its forms; the 13 characters of DES; or what locks an account on purpose.
_NO_HOME = re.compile(r"/(boot|dev|proc|run|sys)(/|$)")
_BASE64 = "[./0-9A-Za-z]"
_HASH = re.compile(
    "|".join(
        (
            rf"\$1\$[^$:\s]{{0,8}}\${_BASE64}{{22}}",
            rf"\$5\$(rounds=\d+\$)?[^$:\s]{{0,16}}\${_BASE64}{{43}}",
            rf"\$6\$(rounds=\d+\$)?[^$:\s]{{0,16}}\${_BASE64}{{86}}",
            rf"\$2[abxy]\$\d\d\${_BASE64}{{53}}",
            rf"\$(y|gy)\${_BASE64}+\${_BASE64}*\${_BASE64}{{43}}",
            rf"\$7\${_BASE64}{{11,97}}\${_BASE64}{{43}}",
            rf"\$sha1\$\d+\${_BASE64}{{1,64}}\${_BASE64}{{28}}",
            r"\$md5[^$:\s]*\${1,2}[^:\s]*",
            rf"{_BASE64}{{13}}",
        )
    )
)


@dataclass(frozen=True, kw_only=True, slots=True)
class User:
    """A `user` line; `groups` are supplementary ones."""

    name: str
    password: Password = UNSET
    uid: int | None = None
    gid: int | None = None
    groups: tuple[str, ...] = ()
    primary_group: str | None = None  # a group that is made before; None: one of the user's own name
    home: str | None = None
    shell: str | None = None
    gecos: str = ""
    place: Place | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Group:
    """A `group` line."""

    name: str
    gid: int | None = None
    place: Place | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class SshKey:
    """A `sshkey` line: `key` goes into the authorized_keys of `user`."""

    user: str
    key: str
    place: Place | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Accounts(Setting):
    """Root, users, groups, keys."""

    root_password: Password = LOCKED
    root_ssh_password: bool = False  # rootpw --allow-ssh
    root_place: Place | None = None
    users: tuple[User, ...] = ()
    groups: tuple[Group, ...] = ()
    ssh_keys: tuple[SshKey, ...] = ()

    @classmethod
    def read(cls, ks: Kickstart) -> Self:
        """Return what the kickstart says of them."""
        root_password, root_ssh_password, root_place = _read_root(ks)
        users, groups = _read_users(ks)
        return cls(
            root_password=root_password,
            root_ssh_password=root_ssh_password,
            root_place=root_place,
            users=users,
            groups=groups,
            ssh_keys=_read_ssh_keys(ks),
        )

    def rows(self) -> Iterator[tuple[str, str]]:
        """Yield the rows of `image --plan`."""
        yield "accounts", f"root {_state_of(self.root_password)}"
        for user in self.users:
            member = f", in {' '.join(user.groups)}" if user.groups else ""
            yield "accounts", f"{user.name} {_state_of(user.password)}{member}"
        yield from (("accounts", f"group {group.name}") for group in self.groups)
        yield from (("accounts", f"ssh key of {key.user}") for key in self.ssh_keys)


def _state_of(password: Password) -> str:
    if password.locked:
        return "locked"
    return "with a password" if password.hash or password.plain else "without a password"


def _read_root(ks: Kickstart) -> tuple[Password, bool, Place | None]:
    """Return root's password, whether ssh may take it, and the line. Without one root is locked."""
    line = ks.last("rootpw")
    if line is None:
        if not ks.unresolved:
            ks.findings.note(None, "no rootpw line: root is locked")
        return LOCKED, False, None
    return _read_password(ks, line, who="root"), bool(line.get("allow_ssh", False)), line.place


def _read_password(ks: Kickstart, line: ParsedCommand, *, who: str) -> Password:
    """Return the password of a rootpw or user line.

    A word given as a hash that is none (`locked`, `nothing`, `!!`): nobody could log in with it, so it
    locks the account, and a proper lock is what the image gets. What looks like a hash and is none was
    to be one: an error.
    """
    text = str(line.get("password", ""))
    locked = bool(line.get("lock", False))
    if is_placeholder(text):
        what = f"{line.name}: the password of {who} is a placeholder, not filled in"
        ks.findings.error(line.place, what, "replace it with a password, or write --lock")
        return LOCKED
    if not line.get("isCrypted", False):
        return Password(plain=text or None, locked=locked or not text)
    if _HASH.fullmatch(text):
        return Password(hash=text, locked=locked)
    if text.startswith("$"):
        ks.findings.error(
            line.place,
            f"{line.name}: the password of {who} is not a hash that crypt(5) reads",
            "make one with openssl passwd -6",
        )
    elif text.strip("!*") and not locked:
        ks.findings.warn(
            line.place,
            f"{line.name}: the password of {who} is not a crypt(5) hash; the account is locked",
            "write --lock to say so",
        )
    return LOCKED


def _read_users(ks: Kickstart) -> tuple[tuple[User, ...], tuple[Group, ...]]:
    """Return the accounts to make, and the groups of group lines and of `--groups=name(gid)`."""
    groups: dict[str, Group] = {}
    users: dict[str, User] = {}
    for line in ks.all("group"):
        name = str(line.get("name", ""))
        if fits(ks, line, ACCOUNT, name, "a group name"):
            gid = _read_id(ks, line, "--gid", line.get("gid"))
            _add_group(ks, groups, Group(name=name, gid=gid, place=line.place))
    for line in ks.all("user"):
        name = str(line.get("name", ""))
        if not fits(ks, line, ACCOUNT, name, "a user name"):
            continue
        if name == "root":
            ks.findings.error(line.place, "user --name=root: root always exists", "use rootpw")
            continue
        if name in users:
            ks.findings.warn(line.place, f"a second user line for {name}: the last one counts")
        users[name] = _read_user(ks, line, name, _read_groups(ks, line, groups))
    return _settle(ks, users, groups), tuple(groups.values())


def _read_groups(ks: Kickstart, line: ParsedCommand, groups: dict[str, Group]) -> tuple[str, ...]:
    """Return the names of `--groups`; those with an id join `groups`."""
    member = []
    for text in line.get("groups", ()):
        match = re.fullmatch(r"([^()]*?)\s*(?:\((\d+)\))?", str(text))
        name, number = (match[1], match[2]) if match else (str(text), None)
        if not fits(ks, line, ACCOUNT, name, "a group name"):
            continue
        member.append(name)
        if number is not None:
            gid = _read_id(ks, line, f"--groups={name}", int(number))
            _add_group(ks, groups, Group(name=name, gid=gid, place=line.place))
    return tuple(dict.fromkeys(member))


def _add_group(ks: Kickstart, groups: dict[str, Group], group: Group) -> None:
    """Add a group, unless its name has another id or its id another name."""
    named = groups.get(group.name)
    if named is not None and group.gid is not None and named.gid not in (None, group.gid):
        ks.findings.error(
            group.place,
            f"group {group.name}: gid {group.gid}, and {named.gid} by {_where(named.place)}",
            "give it one gid",
        )
        return
    for other in groups.values():
        if group.gid is not None and other.gid == group.gid and other.name != group.name:
            ks.findings.error(
                group.place,
                f"group {group.name}: gid {group.gid} belongs to {other.name}, by {_where(other.place)}",
                "give each group a gid of its own",
            )
            return
    if named is None or named.gid is None:
        groups[group.name] = group


def _read_id(ks: Kickstart, line: ParsedCommand, option: str, value: int | None) -> int | None:
    """Return a uid or gid that an image can have."""
    if value is None or 0 < int(value) <= LAST_ID:
        return None if value is None else int(value)
    if int(value) == 0:
        ks.findings.error(
            line.place, f"{line.name} {option}=0: belongs to root", "leave it out, or choose another"
        )
    else:
        ks.findings.error(
            line.place,
            f"{line.name} {option}={value}: an image is built with ids from 1 to {LAST_ID}",
            "choose one of them, or make the account at the first boot (cloud-init)",
        )
    return None


def _settle(ks: Kickstart, users: dict[str, User], groups: dict[str, Group]) -> tuple[User, ...]:
    """Return the users with their own groups found; clashes of ids are reported.

    A group of the user's own name, made by a group line or named in --groups, is the user's own.
    """
    by_uid: dict[int, User] = {}
    settled = []
    for user in users.values():
        if user.uid is not None:
            first = by_uid.setdefault(user.uid, user)
            if first is not user:
                ks.findings.error(
                    user.place,
                    f"user {user.name}: uid {user.uid} belongs to {first.name}, by {_where(first.place)}",
                    "give each user a uid of its own",
                )
        own = groups.get(user.name)
        if own is not None and own.gid is not None and user.gid not in (None, own.gid):
            ks.findings.error(
                user.place,
                f"user {user.name}: --gid={user.gid}, and the group {user.name} has {own.gid} "
                f"by {_where(own.place)}",
                "leave --gid out, or give both the same",
            )
        others = tuple(name for name in user.groups if name != user.name)
        primary = user.name if own is not None and user.gid in (None, own.gid) else None
        settled.append(dataclasses.replace(user, groups=others, primary_group=primary))
    return tuple(settled)


def _where(place: Place | None) -> str:
    return f"{place.file}:{place.line}" if place else "another line"


def _read_user(ks: Kickstart, line: ParsedCommand, name: str, groups: tuple[str, ...]) -> User:
    home, shell, gecos = (str(line.get(key, "")) for key in ("homedir", "shell", "gecos"))
    for option, text, example in (("--homedir", home, "/home/NAME"), ("--shell", shell, "/bin/bash")):
        if text and (not text.startswith("/") or re.search(r"[:\n]", text) or ".." in text.split("/")):
            ks.findings.error(
                line.place, f'user {option}: "{text}" is not an absolute path', f"such as {option}={example}"
            )
    if home and (PurePosixPath(home) == PurePosixPath("/") or _NO_HOME.match(home)):
        ks.findings.error(
            line.place, f"user --homedir={home}: belongs to the system", f"such as --homedir=/home/{name}"
        )
    if re.search(r"[:\n]", gecos):
        ks.findings.error(line.place, "user --gecos: a colon ends the field", "leave the colon out")
    return User(
        name=name,
        password=_read_password(ks, line, who=name),
        uid=_read_id(ks, line, "--uid", line.get("uid")),
        gid=_read_id(ks, line, "--gid", line.get("gid")),
        groups=groups,
        home=home or None,
        shell=shell or None,
        gecos=gecos,
        place=line.place,
    )


def _read_ssh_keys(ks: Kickstart) -> tuple[SshKey, ...]:
    """Return the keys of sshkey lines."""
    keys = []
    for line in ks.all("sshkey"):
        user, key = str(line.get("username", "")), str(line.get("key", "")).strip()
        if is_placeholder(key) or not key:
            ks.findings.error(line.place, f"sshkey: the key of {user} is not filled in", "give a public key")
        elif not has_public_key(key):
            ks.findings.error(
                line.place,
                f"sshkey: the key of {user} is not one that sshd reads",
                "give a line of authorized_keys(5)",
            )
        elif fits(ks, line, ACCOUNT, user, "a user name"):
            keys.append(SshKey(user=user, key=key, place=line.place))
    return tuple(keys)


def has_public_key(line: str) -> bool:
    """Say whether a line of authorized_keys(5) holds a key: a type, and base64 that begins with it.

    The encoding is that of RFC 4253, 6.6: strings, each with its length in four bytes before it; the first is
    the type. So a key that was cut off is found, too.
    """
    words = line.split()
    for kind, data in pairwise(words):
        with suppress(ValueError):
            strings = _strings(base64.b64decode(data, validate=True))
            first = next(strings, b"")
            # A certificate has numbers between its strings.
            if first == kind.encode() and ("-cert-" in kind or list(strings)):
                return "\n" not in line
    return False


def _strings(blob: bytes) -> Iterator[bytes]:
    """Yield the strings of a key.

    Raises:
        ValueError: it ends within one.
    """
    while blob:
        length = int.from_bytes(blob[:4], "big")
        string, blob = blob[4 : 4 + length], blob[4 + length :]
        if len(string) < length or not length:
            raise ValueError(length)
        yield string
