# SPDX-License-Identifier: MIT
"""Make users and groups of sysusers.d(5) lines in a tree, in the plain files of passwd(5) and group(5).

For packages that only declare their users. An rpm before 4.19 would unpack their files as root; later ones
run a program of the host's (%__systemd_sysusers), whose choice of ids depends on the host.
Runs next to dnf, under the system's Python.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import os
import shlex

# Free ids are taken downwards from the last, as systemd-sysusers does. Those below the first are given out by
# distributions and by our catalogue (Fedora's SYS_UID_MIN in /etc/login.defs).
LAST_SYSTEM_ID = 999
FIRST_SYSTEM_ID = 201


def make(root, lines):
    """Add what `lines` (u, g and m lines) ask for and `root`/etc does not have.

    Nothing is done before the tree has its passwd and group files: the package that brings them would
    not replace ours.
    """
    paths = {name: os.path.join(root, "etc", name) for name in ("passwd", "group", "shadow", "gshadow")}
    if not (os.path.exists(paths["passwd"]) and os.path.exists(paths["group"])):
        return
    for line in lines:
        words = shlex.split(line)
        kind, name = words[0].rstrip("!"), words[1]
        fields = [None if word == "-" else word for word in words[2:]] + [None] * 4
        if kind == "g":
            ensure_group(paths, name, fields[0])
        elif kind == "u":
            ensure_user(root, paths, name, *fields[:4])
        elif kind == "m":
            ensure_member(paths, name, words[2])


def ensure_group(paths, name, wanted):
    """Return the gid of group `name`, made when missing with the id `wanted` if that is free."""
    groups = read(paths["group"])
    if name in groups:
        return int(groups[name][2])
    gid = choose(wanted, groups, read(paths["passwd"]))
    append(paths["group"], "%s:x:%d:" % (name, gid))
    append(paths["gshadow"], "%s:!::" % name)
    return gid


def ensure_user(root, paths, name, wanted=None, gecos=None, home=None, shell=None):
    """Make the user `name`, and a group of the same name and id where none is given."""
    users = read(paths["passwd"])
    if name in users:
        return
    uid_text, _, group_text = (wanted or "").partition(":")
    if group_text and not group_text.isdigit():
        gid = ensure_group(paths, group_text, None)
    else:
        gid = ensure_group(paths, name, group_text or uid_text or None)
    taken = {int(fields[2]) for fields in users.values()}
    owner = owner_of(root, uid_text)
    uid = owner if owner is not None else gid
    if uid in taken:
        uid = gid if gid not in taken else choose(None, read(paths["group"]), users)
    # An account is never left open to a login.
    row = "%s:x:%d:%d:%s:%s:%s" % (name, uid, gid, gecos or "", home or "/", shell or "/usr/sbin/nologin")
    append(paths["passwd"], row)
    append(paths["shadow"], "%s:!*:::::::" % name)


def ensure_member(paths, user, group):
    """Put `user` into `group`."""
    ensure_group(paths, group, None)
    for path, index in ((paths["group"], 3), (paths["gshadow"], 3)):
        if not os.path.exists(path):
            continue
        with open(path) as file:
            table = file.read().splitlines()
        rows = []
        for line in table:
            fields = line.split(":")
            if fields[0] == group and user not in fields[index].split(","):
                fields[index] = ",".join(filter(None, [fields[index], user]))
            rows.append(":".join(fields))
        rewrite(path, rows)


def owner_of(root, text):
    """Return the id that the `text` of a sysusers.d id field stands for: a number, or a path's owner."""
    if text.isdigit():
        return int(text)
    if text.startswith("/"):
        path = os.path.join(root, text.lstrip("/"))
        return os.stat(path).st_uid if os.path.exists(path) else None
    return None


def choose(wanted, *tables):
    """Return the id `wanted` when it is a free number, else the highest free system id."""
    taken = {int(fields[2]) for table in tables for fields in table.values()}
    if wanted and wanted.isdigit() and int(wanted) not in taken:
        return int(wanted)
    free = range(LAST_SYSTEM_ID, FIRST_SYSTEM_ID - 1, -1)
    return next(number for number in free if number not in taken)


def read(path):
    """Return the rows of passwd(5) or group(5) by name."""
    with open(path) as file:
        rows = [line.rstrip("\n").split(":") for line in file]
    return {fields[0]: fields for fields in rows if len(fields) > 2}


def append(path, row):
    """Add a row to a file that is there."""
    if os.path.exists(path):
        with open(path) as file:
            rows = file.read().splitlines()
        rewrite(path, [*rows, row])


def rewrite(path, rows):
    """Write rows, keeping mode and owner."""
    with open(path, "w") as file:
        file.write("\n".join(rows) + "\n")


def declared_users(provides):
    """Return the sysusers.d lines in `user(NAME) = BASE64` and `group(NAME) = BASE64` Provides.

    rpm 4.19 writes them when a package holds a sysusers.d file (rpm's docs/man/rpm-sysusers). Without a
    value they only name the user or the group, which a line for the same name makes as well.
    """
    lines, bare = [], []
    for provide in provides:
        capability, _, value = provide.partition(" = ")
        kind, bracket, rest = capability.partition("(")
        if not bracket or kind not in ("user", "group", "groupmember"):
            continue
        name = rest.rstrip(")")
        line = None
        with contextlib.suppress(binascii.Error, UnicodeDecodeError):
            # rpm pads with NUL, so that no `=` ends the base64.
            line = base64.b64decode(value, validate=True).decode().rstrip("\0") if value else None
        if line:
            lines.append(line)
        elif kind != "groupmember":
            bare.append((name, "%s %s -" % (kind[0], name)))
    made = {line.split()[1] for line in lines}
    lines += [line for name, line in bare if name not in made]
    # Groups first, memberships last: a user may belong to a group of the same package.
    return sorted(lines, key=lambda line: "gum".find(line[0]))
