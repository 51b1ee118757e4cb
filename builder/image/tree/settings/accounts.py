# SPDX-License-Identifier: MIT
"""rootpw, user, group, sshkey: by the image's own useradd(8), groupadd(8), chpasswd(8).

Passwords go by stdin. A password that is not given leaves the account locked. What clashes with accounts
of the image's packages is reported with the line, before a program runs.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from builder.errors import InputError
from builder.image.build import Build
from builder.image.tree import tree
from builder.image.tree.settings.programs import has_program, message_at, run_for
from builder.kickstart.place import Place
from builder.kickstart.plan import Password
from builder.kickstart.settings.accounts import Accounts, Group, SshKey, User

SSH_PASSWORD_ROOT = "/etc/ssh/sshd_config.d/01-permitrootlogin.conf"


def apply(build: Build, accounts: Accounts) -> None:
    """Make groups and users, set passwords, put keys."""
    _require_tools(accounts)
    for group in accounts.groups:
        _make_group(build, group)
    for user in accounts.users:
        _make_user(build, user)
    _set_password(build, "root", accounts.root_password, place=accounts.root_place)
    if accounts.root_ssh_password:
        tree.write(SSH_PASSWORD_ROOT, "PermitRootLogin yes\n", mode=0o600)
    for key in accounts.ssh_keys:
        _authorize(key)


def read_names(table: str) -> dict[str, list[str]]:
    """Return the rows of the image's passwd(5) or group(5), by name."""
    rows = [line.split(":") for line in tree.path(f"/etc/{table}").read_text().splitlines() if ":" in line]
    return {fields[0]: fields for fields in rows if len(fields) > 2}


def _require_tools(accounts: Accounts) -> None:
    wanted = [("groupadd", f"group {group.name}", group.place) for group in accounts.groups]
    wanted += [("useradd", f"user {user.name}", user.place) for user in accounts.users]
    passwords = [("root", accounts.root_password, accounts.root_place)]
    passwords += [(user.name, user.password, user.place) for user in accounts.users]
    wanted += [("chpasswd", f"password of {name}", place) for name, one, place in passwords if one.plain]
    for tool, what, place in wanted:
        if not has_program(tool):
            raise InputError(
                message_at(place, what, f"{tool} is not in the image"), hint="add shadow-utils to %packages"
            )


def _owner(table: str, number: int) -> str | None:
    """Return whose id `number` is in the image."""
    return next((name for name, row in read_names(table).items() if row[2] == str(number)), None)


def _make_group(build: Build, group: Group) -> None:
    what = f"group {group.name}"
    row = read_names("group").get(group.name)
    if row is not None:
        if group.gid is not None and row[2] != str(group.gid):
            raise InputError(
                message_at(group.place, what, f"already exists in the image, with gid {row[2]}"),
                hint=f"leave --gid={group.gid} out, or choose another name",
            )
        return
    number = []
    if group.gid is not None:
        if owner := _owner("group", group.gid):
            raise InputError(
                message_at(group.place, what, f"gid {group.gid} already belongs to {owner} in the image"),
                hint="choose another gid, from 1000 on",
            )
        number = ["--gid", str(group.gid)]
    run_for(build, what, ["groupadd", *number, "--", group.name], place=group.place)


def _make_user(build: Build, user: User) -> None:
    what = f"user {user.name}"
    for name in user.groups:
        # Anaconda makes the groups that a user line names.
        _make_group(build, Group(name=name, place=user.place))
    exists = user.name in read_names("passwd")
    words = ["usermod"] if exists else ["useradd", "--create-home"]
    if user.uid is not None:
        owner = _owner("passwd", user.uid)
        if owner not in (None, user.name):
            raise InputError(
                message_at(user.place, what, f"uid {user.uid} already belongs to {owner} in the image"),
                hint="choose another uid, from 1000 on",
            )
        words += ["--uid", str(user.uid)]
    words += _own_group(build, user, exists=exists)
    if user.groups:
        words += ["--groups", ",".join(user.groups)]
    if user.home:
        words += ["--home-dir" if not exists else "--home", user.home]
    if user.shell:
        words += ["--shell", user.shell]
        if not tree.path(user.shell).exists():
            build.warn(message_at(user.place, what, f"the image has no {user.shell}: the user cannot log in"))
    if user.gecos:
        words += ["--comment", user.gecos]
    run_for(build, what, [*words, "--", user.name], place=user.place)
    _set_password(build, user.name, user.password, place=user.place)


def _own_group(build: Build, user: User, *, exists: bool) -> list[str]:
    """Return the option for the user's own group, which is made when it has an id and is not there."""
    there = user.name in read_names("group")
    if user.gid is None:
        return ["--gid", user.name] if there and not exists else []
    if _owner("group", user.gid) is None:
        if there:
            raise InputError(
                message_at(
                    user.place, f"user {user.name}", f"the group {user.name} has another gid than {user.gid}"
                ),
                hint=f"leave --gid={user.gid} out, or make the group with it by a group line",
            )
        _make_group(build, Group(name=user.name, gid=user.gid, place=user.place))
    return ["--gid", str(user.gid)]


def _set_password(build: Build, name: str, password: Password, *, place: Place | None) -> None:
    if password.plain is not None:
        words = ["chpasswd", "-c", _method()]
        run_for(build, f"password of {name}", words, place=place, input=f"{name}:{password.plain}\n")
    elif password.hash is not None:
        _edit_shadow(name, lambda _old: password.hash or "!")
    if password.locked or (password.plain is None and password.hash is None):
        # As passwd -l does, unless it is locked.
        _edit_shadow(name, lambda old: old if old.startswith(("!", "*")) else "!" + old)


def _method() -> str:
    """Return the hash that login.defs(5) asks for, among those that every libcrypt knows."""
    path = tree.path("/etc/login.defs")
    found = re.search(r"^\s*ENCRYPT_METHOD\s+(\S+)", path.read_text(), re.M) if path.is_file() else None
    return found.group(1) if found and found.group(1) in ("SHA512", "SHA256", "YESCRYPT") else "SHA512"


def _edit_shadow(name: str, change: Callable[[str], str]) -> None:
    """Change the password field of a user in shadow(5)."""
    path = tree.path("/etc/shadow")
    lines = []
    for line in path.read_text().splitlines():
        fields = line.split(":")
        if fields[0] == name:
            fields[1] = change(fields[1])
        lines.append(":".join(fields))
    path.write_text("\n".join(lines) + "\n")


def _authorize(key: SshKey) -> None:
    row = read_names("passwd").get(key.user)
    if row is None:
        raise InputError(
            message_at(key.place, f"sshkey --username={key.user}", "the image has no such user"),
            hint=f"add `user --name={key.user}`",
        )
    uid, gid, home = int(row[2]), int(row[3]), row[5]
    folder = tree.path(home) / ".ssh"
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "authorized_keys"
    known = file.read_text() if file.is_file() else ""
    file.write_text(known + key.key.rstrip("\n") + "\n", mode=0o600)
    folder.chmod(0o700)
    for path in (folder, file):
        path.chown(uid, gid)
