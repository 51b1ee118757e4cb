# SPDX-License-Identifier: MIT
"""A mirror of two tiny Debian packages in a folder, and apt that uses only that: no network needed."""

from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True, slots=True)
class LocalApt:
    """The mirror's folder, its line of sources.list(5), and the file for APT_CONFIG."""

    mirror: Path
    source: str
    config: Path

    @property
    def index(self) -> Path:
        """The mirror's Packages file."""
        return self.mirror / "Packages"


def make_local_apt(folder: Path) -> LocalApt:
    """Make the mirror with `tiny` (which needs `tiny-data`) and `tiny-data`."""
    mirror = folder / "mirror"
    mirror.mkdir(parents=True)
    packages = [
        write_deb(mirror, "tiny", {"./bin/tiny": b"#!/bin/sh\necho tiny\n"}, depends="tiny-data (>= 1)"),
        write_deb(mirror, "tiny-data", {"./usr/share/tiny/data": bytes(range(256)) * 400}),
    ]
    (mirror / "Packages").write_text("\n".join(packages))
    config = folder / "apt.conf"
    config.write_text('Acquire::Languages "none";\n')
    return LocalApt(mirror=mirror, source=f"deb [trusted=yes] file:{mirror} ./", config=config)


def write_deb(folder: Path, name: str, files: dict[str, bytes], depends: str = "") -> str:
    """Write a .deb; return its stanza for a Packages file."""
    fields = f"Package: {name}\nVersion: 1.0-1\nArchitecture: amd64\nMaintainer: nobody\n"
    fields += f"Depends: {depends}\n" if depends else ""
    fields += f"Description: {name} for tests\n"
    raw = b"!<arch>\n" + b"".join(
        f"{member:<16}{0:<12}{0:<6}{0:<6}{'100644':<8}{len(data):<10}`\n".encode()
        + data
        + b"\n" * (len(data) % 2)
        for member, data in (
            ("debian-binary", b"2.0\n"),
            ("control.tar.gz", _tar({"./control": fields.encode()})),
            ("data.tar.gz", _tar(files)),
        )
    )
    path = folder / f"{name}_1.0-1_amd64.deb"
    path.write_bytes(raw)
    digest = hashlib.sha256(raw).hexdigest()
    return f"{fields}Filename: ./{path.name}\nSize: {len(raw)}\nSHA256: {digest}\n"


def _tar(files: dict[str, bytes]) -> bytes:
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w") as archive:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size, member.mode, member.mtime = len(data), 0o755, 1_600_000_000
            archive.addfile(member, io.BytesIO(data))
    return gzip.compress(raw.getvalue(), mtime=0)
