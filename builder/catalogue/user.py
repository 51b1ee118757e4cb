# SPDX-License-Identifier: MIT
"""A system account that packages make."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ACCOUNT = re.compile(r"[a-z][a-z0-9_-]{0,30}")


@dataclass(frozen=True, kw_only=True, slots=True)
class User:
    """A system account, as a rule the one that runs a project's services.

    A package of others may be its `provider`.
    """

    where: str = ""
    name: str
    home: Path
    comment: str
    uid: int | None = None
    gid: int | None = None
    group: str | None = None
    provider: str | None = None
    shell: Path = Path("/sbin/nologin")

    def __post_init__(self) -> None:
        if not ACCOUNT.fullmatch(self.name):
            raise ValueError(f'user: "{self.name}" is not the name of an account')
        for number in (self.uid, self.gid):
            if number is not None and not 1 <= number < 1000:
                raise ValueError(f"user: {number} is not the id of a system account (1 to 999)")

    @property
    def main_group(self) -> str:
        """The group that is made with it."""
        return self.group or self.name
