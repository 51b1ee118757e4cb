# SPDX-License-Identifier: MIT
"""A finished RPM as the rules see it: header and payload, read by rpm's own Python binding."""

from __future__ import annotations

import stat
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from builder.errors import InputError
from builder.versions import load_rpm

# Scriptlet -> the tags of its text and of its interpreter.
SCRIPTLETS = {
    name: (f"RPMTAG_{tag}", f"RPMTAG_{tag}PROG")
    for name, tag in (
        ("%pre", "PREIN"),
        ("%post", "POSTIN"),
        ("%preun", "PREUN"),
        ("%postun", "POSTUN"),
        ("%pretrans", "PRETRANS"),
        ("%posttrans", "POSTTRANS"),
    )
}
TRIGGERS = ("TRIGGERSCRIPT", "FILETRIGGERSCRIPT", "TRANSFILETRIGGERSCRIPT")
TEXT_TAGS = ("summary", "description", "license", "url", "group", "vendor", "packager")
# Text, as far as a rule looks into it: no archive, no byte code.
LARGEST_TEXT = 1 << 20


@dataclass(frozen=True, kw_only=True, slots=True)
class PackagedFile:
    """A file of a package; `data` is None for what has no bytes in the payload (folders, %ghost)."""

    path: str
    mode: int
    user: str
    group: str
    link: str
    ghost: bool
    config: bool
    data: bytes | None

    @property
    def is_folder(self) -> bool:
        """Say whether it is a folder."""
        return stat.S_ISDIR(self.mode)

    @property
    def is_link(self) -> bool:
        """Say whether it is a symbolic link."""
        return stat.S_ISLNK(self.mode)

    @property
    def permissions(self) -> int:
        """The bits of its mode that chmod(1) sets."""
        return stat.S_IMODE(self.mode)

    @property
    def text(self) -> str | None:
        """Its bytes as text; None when they are none."""
        if self.data is None or len(self.data) > LARGEST_TEXT or b"\0" in self.data:
            return None
        return self.data.decode(errors="replace")


@dataclass(frozen=True, kw_only=True, slots=True)
class Dependency:
    """A capability that a package needs or has: name, and the whole of it with its version."""

    name: str
    whole: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Scriptlet:
    """A script that rpm runs: "%post", its interpreter with arguments, its text."""

    name: str
    interpreter: str
    text: str


@dataclass(frozen=True, kw_only=True)
class BuiltPackage:
    """One RPM."""

    path: Path
    name: str
    version: str
    release: str
    is_source: bool
    source: str
    built: int
    tags: Mapping[str, str]
    compressor: str
    digest: int
    files: tuple[PackagedFile, ...]
    requires: tuple[Dependency, ...]
    provides: tuple[Dependency, ...]
    scriptlets: tuple[Scriptlet, ...]
    epoch: int = 0
    arch: str = "noarch"

    @property
    def evr(self) -> str:
        """Its epoch (where it has one), version and release."""
        return f"{f'{self.epoch}:' if self.epoch else ''}{self.version}-{self.release}"

    @cached_property
    def by_path(self) -> Mapping[str, PackagedFile]:
        """Its files by path."""
        return {file.path: file for file in self.files}


def read_package(path: Path) -> BuiltPackage:
    """Read an RPM, every byte of it.

    Raises:
        InputError: it is none, or it is damaged.
        ToolMissing: rpm's Python binding is not there.
    """
    rpm = load_rpm()
    try:
        path.open("rb").close()
    except OSError as error:
        raise InputError(f"{path}: {(error.strerror or str(error)).lower()}") from error
    try:
        handle = rpm.fd.open(str(path), "r")
        header = _transaction(rpm).hdrFromFdno(handle)
        contents = _read_payload(rpm, header, handle)
    except (OSError, rpm.error) as error:
        raise InputError(f"{path}: not an RPM, or a damaged one ({error})") from error
    return BuiltPackage(
        path=path,
        name=header[rpm.RPMTAG_NAME],
        version=header[rpm.RPMTAG_VERSION],
        release=header[rpm.RPMTAG_RELEASE],
        is_source=bool(header.isSource()),
        source=header[rpm.RPMTAG_SOURCERPM] or path.name,
        built=header[rpm.RPMTAG_BUILDTIME],
        tags={name: header[getattr(rpm, f"RPMTAG_{name.upper()}")] or "" for name in TEXT_TAGS},
        compressor=header[rpm.RPMTAG_PAYLOADCOMPRESSOR] or "none",
        digest=header[rpm.RPMTAG_FILEDIGESTALGO] or 1,
        files=contents,
        requires=_dependencies(rpm, header, "requires"),
        provides=_dependencies(rpm, header, "provides"),
        scriptlets=_read_scriptlets(rpm, header),
        epoch=header[rpm.RPMTAG_EPOCH] or 0,
        arch=header[rpm.RPMTAG_ARCH],
    )


def _transaction(rpm: Any) -> Any:
    transaction = rpm.TransactionSet()
    # Digests count, signatures do not: which keys are trusted is not a question of the package.
    transaction.setVSFlags(rpm.RPMVSF_MASK_NOSIGNATURES)
    return transaction


def _read_payload(rpm: Any, header: Any, handle: Any) -> tuple[PackagedFile, ...]:
    compressor = header[rpm.RPMTAG_PAYLOADCOMPRESSOR] or "gzip"
    # Named: python-rpm 6 closes a nameless one while the archive still reads from it.
    stream = rpm.fd(handle, flags=compressor)
    archive = rpm.files(header).archive(stream)
    data = {file.fx: (archive.read() if archive.hascontent() else b"") for file in archive}
    return tuple(
        PackagedFile(
            path=file.name,
            mode=file.mode,
            user=file.user,
            group=file.group,
            link=file.linkto or "",
            ghost=bool(file.fflags & rpm.RPMFILE_GHOST),
            config=bool(file.fflags & rpm.RPMFILE_CONFIG),
            data=data.get(file.fx) if stat.S_ISREG(file.mode) else None,
        )
        for file in rpm.files(header)
    )


def _dependencies(rpm: Any, header: Any, kind: str) -> tuple[Dependency, ...]:
    found = (Dependency(name=one.N(), whole=one.DNEVR()[2:]) for one in rpm.ds(header, kind))
    return tuple(dict.fromkeys(found))


def _read_scriptlets(rpm: Any, header: Any) -> tuple[Scriptlet, ...]:
    found = []
    for name, (text_tag, interpreter_tag) in SCRIPTLETS.items():
        text = header[getattr(rpm, text_tag)]
        interpreter = header[getattr(rpm, interpreter_tag)]
        if text:
            found.append(Scriptlet(name=name, interpreter=" ".join(interpreter or ["/bin/sh"]), text=text))
    for kind in TRIGGERS:
        texts = header[getattr(rpm, f"RPMTAG_{kind}S")] or []
        interpreters = header[getattr(rpm, f"RPMTAG_{kind}PROG")] or []
        for number, text in enumerate(texts):
            interpreter = interpreters[number] if number < len(interpreters) else "/bin/sh"
            found.append(Scriptlet(name=f"%{kind.lower()}", interpreter=interpreter, text=text))
    return tuple(found)
