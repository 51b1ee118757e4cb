# SPDX-License-Identifier: MIT
"""Which ids of the host stand for an image's ids: subuid(5), newuidmap(1), user_namespaces(7).

Root inside is a subordinate id outside, also when a real root builds.
"""

from __future__ import annotations

import os
import pwd
from dataclasses import dataclass
from pathlib import Path

from builder.errors import PermissionMissing
from builder.runner import Runner

# Ids that an image may use. nobody is 65534.
IDS = 65536
# Where root's images live when /etc/subuid gives root no range: after the ranges that systemd uses for
# dynamic users and containers (systemd's UIDS-GIDS.md).
ROOT_FIRST_ID = 0x70000000


@dataclass(frozen=True, kw_only=True, slots=True)
class IdRange:
    """Which ids of the host stand for those inside: `root` for 0, `first`... for 1 and up."""

    uid_root: int
    uid_first: int
    gid_root: int
    gid_first: int


def is_root() -> bool:
    """Say whether we are the host's root (or root of whatever the host is for us)."""
    return os.geteuid() == 0


def find_ids() -> IdRange:
    """Return the id range to build with.

    Raises:
        PermissionMissing: a plain user without 65536 subordinate ids, with the usermod line.
    """
    if is_root():
        root_uid = _subordinate("/etc/subuid") or ROOT_FIRST_ID
        root_gid = _subordinate("/etc/subgid") or ROOT_FIRST_ID
        return IdRange(uid_root=root_uid, uid_first=root_uid + 1, gid_root=root_gid, gid_first=root_gid + 1)
    uid, gid = _subordinate("/etc/subuid"), _subordinate("/etc/subgid")
    if uid is None or gid is None:
        missing = "/etc/subuid" if uid is None else "/etc/subgid"
        name = _user_name()
        raise PermissionMissing(
            f"{missing}: {name} has no range of {IDS} subordinate ids",
            hint=f"usermod --add-subuids 100000-165535 --add-subgids 100000-165535 {name} (as root)",
        )
    return IdRange(uid_root=os.geteuid(), uid_first=uid, gid_root=os.getegid(), gid_first=gid)


def hand_over(path: Path) -> None:
    """Make `path` writable for root inside. Nothing to do for a plain user: there it is the same id."""
    if is_root():
        ids = find_ids()
        os.chown(path, ids.uid_root, ids.gid_root)


def take_back(path: Path) -> None:
    """Make a file that was made inside ours again."""
    if is_root():
        os.chown(path, 0, 0)


def _user_name() -> str:
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())


def _subordinate(path: str) -> int | None:
    """Return the first id of our first large enough range in subuid(5) or subgid(5)."""
    try:
        text = Path(path).read_text()
    except OSError:
        return None
    for line in text.splitlines():
        owner, _, rest = line.partition(":")
        first, _, count = rest.partition(":")
        ours = owner in (_user_name(), str(os.geteuid()))
        if ours and count.strip().isdigit() and int(count) >= IDS - 1:
            return int(first)
    return None


def write_maps(pid: int, ids: IdRange, runner: Runner) -> None:
    """Give the new user namespace of process `pid` its ids."""
    for kind, root, first in (("uid", ids.uid_root, ids.uid_first), ("gid", ids.gid_root, ids.gid_first)):
        if is_root():
            Path(f"/proc/{pid}/{kind}_map").write_text(f"0 {root} 1\n1 {first} {IDS - 1}\n")
        else:
            words = ["0", str(root), "1", "1", str(first), str(IDS - 1)]
            runner.run([f"new{kind}map", str(pid), *words], hint="newuidmap must be setuid root")
