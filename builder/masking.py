# SPDX-License-Identifier: MIT
"""Secrets in text: the name and the password of an address (RFC 3986, userinfo) are replaced by stars.

Whatever is shown, logged or printed as JSON passes here (`builder.report`), so that no caller has to think
of it.
"""

from __future__ import annotations

import re

_LOGIN = re.compile(r"(?<=://)[^/\s\"<>]*@")


def mask(text: str) -> str:
    """Return `text` with the name and the password of every address in it replaced by stars."""
    return _LOGIN.sub("***@", text) if "://" in text else text


def has_login(text: str) -> bool:
    """Say whether an address in `text` has a name or a password."""
    return mask(text) != text


def mode_for(text: str) -> int:
    """Return the mode of a file with this text: its owner's alone where it has a login."""
    return 0o600 if has_login(text) else 0o644
