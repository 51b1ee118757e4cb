# SPDX-License-Identifier: MIT
"""A system account that packages make."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from builder.catalogue.texts import ACCOUNT, COMMENT, PATH, REQUIREMENT, full


@dataclass(frozen=True, kw_only=True, slots=True)
class SystemAccount:
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
        for name in (self.name, self.main_group):
            full(ACCOUNT, name, "the name of an account")
            if name == "root":
                raise ValueError("user: root always exists")
        if not COMMENT.fullmatch(self.comment):
            raise ValueError(
                "user: comment: letters, digits and blanks are safe, : \" ' ` $ % ! and \\ are not"
            )
        for path in (self.home, self.shell):
            if str(path) != "/":
                full(PATH, str(path), "the full path of a folder or a program")
        if self.provider is not None:
            full(REQUIREMENT, self.provider, "the name of a package")
        for number in (self.uid, self.gid):
            if number is not None and not 1 <= number < 1000:
                raise ValueError(f"user: {number} is not the id of a system account (1 to 999)")

    @property
    def main_group(self) -> str:
        """The group that is made with it."""
        return self.group or self.name
