# SPDX-License-Identifier: MIT
"""A file or folder that a package holds: how %files lists it, and where its bytes come from."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

# Where a path of the target is spelt with a macro in a spec, longest first.
SPELLINGS = (
    ("/etc/rc.d/init.d/", "%{_initrddir}/"),
    ("/usr/lib/systemd/system/", "%{_unitdir}/"),
    ("/usr/lib/sysusers.d/", "%{_sysusersdir}/"),
    ("/usr/lib/tmpfiles.d/", "%{_tmpfilesdir}/"),
    ("/etc/", "%{_sysconfdir}/"),
    ("/usr/bin/", "%{_bindir}/"),
    ("/usr/libexec/", "%{_libexecdir}/"),
    ("/usr/share/man/", "%{_mandir}/"),
    ("/usr/share/", "%{_datadir}/"),
    ("/usr/lib/python3/", "%{sitelib}/"),
    ("/usr/lib/", "%{_prefix}/lib/"),
    ("/var/", "%{_localstatedir}/"),
)


class ListedAs(StrEnum):
    """How %files lists an entry."""

    FILE = ""
    CONFIG = "%config(noreplace)"
    GHOST = "%ghost %config(noreplace)"
    MADE = "%ghost %config(missingok,noreplace) %verify(not md5 size mtime)"
    FOLDER = "%dir"
    VOLATILE = "%ghost %dir"


class Only(StrEnum):
    """On which of the release's targets an entry is there."""

    EVERYWHERE = "everywhere"
    SYSTEMD = "systemd"
    SYSV = "sysv"
    MEMBERS = "members"


@dataclass(frozen=True, kw_only=True, slots=True)
class PayloadEntry:
    """A file or folder of a package.

    `text` is the content of `file`, which is next to the spec; `upstream` names one of the source archive;
    `link` is where a symbolic link leads. With none of them the code's own installation makes it, or it
    is a folder.
    """

    package: str
    path: str
    kind: ListedAs = ListedAs.FILE
    mode: str = "0644"
    owner: str = "root"
    group: str = "root"
    only: Only = Only.EVERYWHERE
    file: str | None = None
    text: str | None = None
    upstream: str | None = None
    link: str | None = None

    @property
    def spelt(self) -> str:
        """The path as a spec spells it."""
        for path, macro in SPELLINGS:
            if self.path.startswith(path):
                return macro + self.path.removeprefix(path)
        return self.path

    def listing(self) -> str:
        """Return its line of %files."""
        words = [self.kind.value]
        plain = "0755" if self.kind in (ListedAs.FOLDER, ListedAs.VOLATILE) else "0644"
        if self.path.startswith(("/usr/bin/", "/etc/rc.d/")):
            plain = "0755"
        if (self.mode, self.owner, self.group) != (plain, "root", "root"):
            words.append(f"%attr({self.mode},{self.owner},{self.group})")
        # What compresses a manual page changes its name.
        packed = "*" if self.path.startswith("/usr/share/man/") and not self.path.endswith("*") else ""
        return " ".join([*filter(None, words), self.spelt + packed])
