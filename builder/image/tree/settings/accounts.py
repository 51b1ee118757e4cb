# SPDX-License-Identifier: MIT
"""rootpw, user, group, sshkey, auth: by the image's own useradd(8), groupadd(8), chpasswd(8).

Passwords go by stdin. A password that is not given leaves the account locked.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable

from builder.errors import InputError
from builder.image.build import TREE, Build
from builder.image.isolation.sandbox import run_in_image
from builder.image.tree import tree
from builder.kickstart.plan import Password, User

SSH_PASSWORD_ROOT = "/etc/ssh/sshd_config.d/01-permitrootlogin.conf"


def apply(build: Build) -> None:
    """Make groups and users, set passwords, put keys."""
    plan = build.plan
    _require_tools(build)
    names = read_names("group")
    for group in plan.groups:
        if group.name not in names:
            number = ["--gid", str(group.gid)] if group.gid is not None else []
            run_in_image(build, ["groupadd", *number, "--", group.name])
    for user in plan.users:
        _make_user(build, user)
    _set_password(build, "root", plan.root_password)
    if plan.root_ssh_password:
        tree.write(SSH_PASSWORD_ROOT, "PermitRootLogin yes\n", mode=0o600)
    for key in plan.ssh_keys:
        _authorize(key.user, key.key)


def read_names(table: str) -> dict[str, list[str]]:
    """Return the rows of the image's passwd(5) or group(5), by name."""
    rows = [line.split(":") for line in tree.path(f"/etc/{table}").read_text().splitlines() if ":" in line]
    return {fields[0]: fields for fields in rows}


def _require_tools(build: Build) -> None:
    wanted = [("groupadd", "group")] if build.plan.groups else []
    wanted += [("useradd", "user")] if build.plan.users else []
    passwords = [build.plan.root_password, *(user.password for user in build.plan.users)]
    wanted += [("chpasswd", "rootpw/user")] if any(one.plain is not None for one in passwords) else []
    for tool, command in wanted:
        if not any(tree.path(f"{folder}/{tool}").exists() for folder in ("/usr/sbin", "/usr/bin")):
            raise InputError(
                f"{command}: there is no {tool} in the image", hint="put shadow-utils into %packages"
            )


def _make_user(build: Build, user: User) -> None:
    groups = read_names("group")
    for name in user.groups:
        # Anaconda makes the groups that a user line names.
        if name not in groups:
            run_in_image(build, ["groupadd", "--", name])
    exists = user.name in read_names("passwd")
    words = ["usermod"] if exists else ["useradd", "--create-home"]
    if user.uid is not None:
        words += ["--uid", str(user.uid)]
    if user.gid is not None:
        if not any(row[2] == str(user.gid) for row in groups.values()):
            run_in_image(build, ["groupadd", "--gid", str(user.gid), "--", user.name])
        words += ["--gid", str(user.gid)]
    if user.groups:
        words += ["--groups", ",".join(user.groups)]
    if user.home:
        words += ["--home-dir" if not exists else "--home", user.home]
    if user.shell:
        words += ["--shell", user.shell]
    if user.gecos:
        words += ["--comment", user.gecos]
    run_in_image(build, [*words, "--", user.name])
    _set_password(build, user.name, user.password)


def _set_password(build: Build, name: str, password: Password) -> None:
    if password.plain is not None:
        run_in_image(build, ["chpasswd", "-c", _method()], input=f"{name}:{password.plain}\n")
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


def _authorize(name: str, key: str) -> None:
    row = read_names("passwd").get(name)
    if row is None:
        raise InputError(
            f"sshkey --username={name}: there is no such user in the image",
            hint=f"add `user --name={name}`",
        )
    uid, gid, home = int(row[2]), int(row[3]), row[5]
    folder = tree.path(home) / ".ssh"
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "authorized_keys"
    with file.open("a") as stream:
        stream.write(key.rstrip("\n") + "\n")
    folder.chmod(0o700)
    file.chmod(0o600)
    for path in (folder, file):
        os.chown(path, uid, gid)
    assert folder.is_relative_to(TREE)
