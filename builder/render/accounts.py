# SPDX-License-Identifier: MIT
"""The account that runs a project's services, as sysusers.d(5) and as rpm 4.19 declare it."""

from __future__ import annotations

import base64
import itertools

from builder.catalogue.user import SystemAccount


def sysusers_line(user: SystemAccount) -> str:
    """Return the line of sysusers.d that makes the user and its group.

    rpm's Provides carry the line in base64, and rpmbuild takes no "/" there: where the plain line would
    give one, wider gaps between the words shift it away.
    """
    uid = "-" if user.uid is None else str(user.uid)
    if user.uid is not None and user.gid not in (None, user.uid):
        uid = f"{user.uid}:{user.gid}"
    words = ["u", user.name, uid, f'"{user.comment}"', str(user.home), str(user.shell)]
    for gaps in itertools.product((1, 2, 3), repeat=len(words) - 1):
        line = words[0] + "".join(" " * gap + word for gap, word in zip(gaps, words[1:], strict=True))
        if "/" not in encode(line):
            return line
    raise ValueError(f"no spacing of {' '.join(words)} is free of / in base64")


def member_line(user: SystemAccount, group: str) -> str:
    """Return the line of sysusers.d that puts the user into a group."""
    for gaps in itertools.product((1, 2, 3), repeat=2):
        line = "m" + " " * gaps[0] + user.name + " " * gaps[1] + group
        if "/" not in encode(line):
            return line
    raise ValueError(f"no spacing of m {user.name} {group} is free of / in base64")


def encode(line: str) -> str:
    """Return a line as the version of rpm's Provides: base64 without a remainder."""
    raw = line.encode()
    return base64.b64encode(raw + b"\0" * (-len(raw) % 3)).decode()


def account_provides(user: SystemAccount) -> tuple[str, ...]:
    """Return what declares the account to rpm 4.19 and later."""
    return (f"user({user.name}) = {encode(sysusers_line(user))}", f"group({user.name})")


def member_provides(user: SystemAccount, groups: tuple[str, ...]) -> tuple[str, ...]:
    """Return what declares the account's further groups to rpm 4.20 and later."""
    return tuple(f"groupmember({user.name}/{group}) = {encode(member_line(user, group))}" for group in groups)
