# SPDX-License-Identifier: MIT
"""Metadata of a repository: made by createrepo_c in the target's compression, then read as the target would.

createrepo_c chooses by its own age: zstd since 1.0, which no yum and no dnf of EL 8 can read. So the row of a
target says what its tools read. What was written is checked against the files that stand there.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from xml.etree import ElementTree

from builder import zstd
from builder.errors import CommandFailed, InputError, Problem
from builder.files import sha256_file
from builder.rpm.check.package import BuiltPackage
from builder.runner import Runner

REPO = "{http://linux.duke.edu/metadata/repo}"
COMMON = "{http://linux.duke.edu/metadata/common}"
Compression = Literal["gz", "zstd"]
# The suffixes of files that the tools of a target read: all of them read gzip, and plain XML.
READ = {"gz": (".gz", ".xml"), "zstd": (".zst", ".gz", ".xml")}
# The first createrepo_c that surely writes zstd.
WRITES_ZSTD = (1, 0)


@dataclass(frozen=True, kw_only=True, slots=True)
class Listed:
    """A file of repodata as repomd.xml lists it."""

    kind: str
    path: Path
    sha256: str
    open_sha256: str | None


def refuse_twins(packages: Sequence[BuiltPackage]) -> None:
    """Refuse the same package under two names of files: the metadata would hold it twice.

    Raises:
        InputError: naming both files.
    """
    seen: dict[tuple[str, str, str], BuiltPackage] = {}
    problems = []
    for package in packages:
        identity = (package.name, package.evr, package.arch)
        first = seen.setdefault(identity, package)
        if first is not package:
            same = sha256_file(first.path) == sha256_file(package.path)
            how = "are the same file:" if same else "both are"
            what = f"{package.name}-{package.evr}.{package.arch}"
            problems.append(
                Problem(
                    message=f"{first.path.name} and {package.path.name} {how} {what}",
                    where=str(package.path.parent),
                    hint="remove one of them",
                )
            )
    if problems:
        raise InputError(problems=problems)


def choose_compression(wanted: Compression, runner: Runner) -> Compression:
    """Return `wanted`, or gz, which all read, where this host's createrepo_c writes nothing better."""
    if wanted == "gz":
        return wanted
    said = runner.run(["createrepo_c", "--version"]).stdout
    found = re.search(r"(\d+)\.(\d+)", said)
    if found and (int(found[1]), int(found[2])) >= WRITES_ZSTD:
        return wanted
    runner.report.verbose(f"createrepo_c {found[0] if found else ''} writes no {wanted}: gz")
    return "gz"


def make_metadata(
    folder: Path, *, epoch: int, groups: Path, compression: Compression, runner: Runner
) -> None:
    """Write folder/repodata about the RPMs in `folder`, and check it.

    Args:
        epoch: revision and time stamps.
        groups: comps.xml.

    Raises:
        CommandFailed: createrepo_c failed, or wrote what a target could not read.
    """
    runner.run(
        ["createrepo_c", "--quiet", "--no-database", "--checksum", "sha256",
         "--general-compress-type", compression, "--compress-type", compression,
         "--revision", str(epoch), "--set-timestamp-to-revision", "--groupfile", groups.resolve(), folder]
    )  # fmt: skip
    problems = list(find_faults(folder, compression))
    if problems:
        more = f" (and {len(problems) - 1} more)" if problems[1:] else ""
        raise CommandFailed(
            f"{folder / 'repodata'}: {problems[0]}{more}",
            hint="see createrepo_c --version",
        )


def find_faults(folder: Path, compression: Compression) -> Iterator[str]:
    """Return what keeps tools that read `compression` from reading the repository `folder`."""
    listed = list(_read_repomd(folder))
    kinds = {each.kind for each in listed}
    for kind in ("primary", "filelists", "other"):
        if kind not in kinds:
            yield f"repomd.xml lists no {kind}"
    for each in listed:
        if not each.path.is_file():
            yield f"{each.path.name} is not there"
            continue
        if each.path.suffix not in READ[compression]:
            read = " or ".join(READ[compression])
            yield f"{each.path.name} is not {read}, which is all that the target reads"
            continue
        if sha256_file(each.path) != each.sha256:
            yield f"the sha256 of {each.path.name} differs from repomd.xml"
            continue
        data = each.path.read_bytes()
        opened = _OPENERS[each.path.suffix](data)
        if each.open_sha256 is not None and hashlib.sha256(opened).hexdigest() != each.open_sha256:
            yield f"the open sha256 of {each.path.name} differs from repomd.xml"
        if each.kind == "primary":
            yield from _faults_of_primary(opened, folder)


_OPENERS: dict[str, Callable[[bytes], bytes]] = {
    ".gz": gzip.decompress, ".zst": zstd.decompress, ".xml": bytes,
}  # fmt: skip


def _faults_of_primary(text: bytes, folder: Path) -> Iterator[str]:
    said = {}
    for package in ElementTree.fromstring(text).iter(f"{COMMON}package"):
        place, checksum = package.find(f"{COMMON}location"), package.find(f"{COMMON}checksum")
        if place is not None and checksum is not None:
            said[place.get("href", "")] = checksum.text
    there = {os.fspath(path.relative_to(folder)): path for path in folder.rglob("*.rpm")}
    for name in sorted(said.keys() ^ there.keys()):
        yield f"{name} is {'listed, but missing' if name in said else 'present, but not listed'}"
    for name in sorted(said.keys() & there.keys()):
        if sha256_file(there[name]) != said[name]:
            yield f"the sha256 of {name} differs from the metadata's"


def _read_repomd(folder: Path) -> Iterator[Listed]:
    root = ElementTree.parse(folder / "repodata" / "repomd.xml").getroot()
    for data in root.iter(f"{REPO}data"):
        place, checksum = data.find(f"{REPO}location"), data.find(f"{REPO}checksum")
        opened = data.find(f"{REPO}open-checksum")
        if place is not None and checksum is not None:
            yield Listed(
                kind=data.get("type", ""),
                path=folder / place.get("href", ""),
                sha256=checksum.text or "",
                open_sha256=opened.text if opened is not None else None,
            )
