# SPDX-License-Identifier: MIT
"""What goes into openstack-utils' source archive, and the archive: the same files, the same bytes.

In a git checkout the files are those that git knows or would add; elsewhere (an unpacked archive of the
project) the tree is walked. services.json is rendered from the catalogue each time.
"""

from __future__ import annotations

import calendar
import gzip
import io
import os
import re
import tarfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from builder import tools
from builder.catalogue.hostdata import render_services
from builder.catalogue.load import load_catalogue
from builder.errors import InputError
from builder.files import digest_of
from builder.rpm.spec.packages import UTILS, Package
from builder.runner import Runner

# What the package is made of, below the root of the checkout.
PACKED = ("LICENSE", "utils")
# Also part of the input: a commit to one of these is a new time stamp.
INPUTS = (
    *PACKED,
    "specs/openstack-utils.spec",
    "specs/releases.yaml",
    "specs/supports.yaml",
    "specs/services",
)
GENERATED = "utils/openstack_utils/services.json"
IGNORED_FOLDERS = frozenset({"__pycache__", ".ruff_cache", ".mypy_cache", ".pytest_cache", ".hypothesis"})


@dataclass(frozen=True, kw_only=True, slots=True)
class ArchiveFile:
    """One file of the archive: its name there, its bytes, and whether it can be run."""

    name: str
    data: bytes
    executable: bool = False


def archive_name(package: Package) -> str | None:
    """Return the name of the archive that is made for a package; None for all but openstack-utils."""
    return f"{package.name}-{package.version}.tar.gz" if package.name == UTILS else None


def collect_sources(root: Path, runner: Runner) -> tuple[ArchiveFile, ...]:
    """Return the files of the archive, sorted by name.

    Raises:
        InputError: a file that must be there is not, or a link stands among them.
    """
    sources = [
        ArchiveFile(name="services.json", data=render_services(load_catalogue(root / "specs")).encode())
    ]
    names = git_files(root, runner)
    for name in walk_files(root) if names is None else names:
        path = root / name
        if is_generated(name) or not os.path.lexists(path):
            continue
        if path.is_symlink() or not path.is_file():
            raise InputError(f"{path} is not a plain file", hint="the package holds plain files only")
        executable = bool(path.stat().st_mode & 0o100)
        sources.append(ArchiveFile(name=name, data=path.read_bytes(), executable=executable))
    for needed in PACKED:
        if not any(source.name == needed or source.name.startswith(f"{needed}/") for source in sources):
            raise InputError(f"{root / needed} is missing: this is not a checkout of openstack-utils")
    return tuple(sorted(sources, key=lambda source: source.name))


def git_files(root: Path, runner: Runner) -> list[str] | None:
    """Return the names below PACKED that git tracks or would track; None where `root` is not a checkout."""
    if not (root / ".git").exists() or not tools.has("git"):
        return None
    done = runner.run(
        [*_git(root), "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *PACKED], ok=()
    )
    if done.returncode != 0:
        return None
    return sorted({name for name in done.stdout.split("\0") if name})


def is_generated(name: str) -> bool:
    """Say whether a file is made by a tool: byte code, caches, services.json, an editor's old copy."""
    folders = Path(name).parts[:-1]
    return (
        name == GENERATED or name.endswith((".pyc", ".pyo", "~")) or not IGNORED_FOLDERS.isdisjoint(folders)
    )


def walk_files(root: Path) -> Iterator[str]:
    """Return the names of all files below PACKED."""
    for packed in PACKED:
        path = root / packed
        if path.is_file():
            yield packed
        for folder, _, files in os.walk(path):
            for file in files:
                yield str(Path(folder, file).relative_to(root))


def source_date(root: Path, package: Package, runner: Runner) -> int:
    """Return the time stamp of a package: SOURCE_DATE_EPOCH, else of the last commit to what it is made of.

    Without git it is noon (UTC) of the spec's newest changelog entry, as rpm's own
    %source_date_epoch_from_changelog has it.
    """
    given = os.environ.get("SOURCE_DATE_EPOCH")
    if given:
        if not given.isdecimal():
            raise InputError(f'SOURCE_DATE_EPOCH is "{given}", not a number of seconds')
        return int(given)
    if (root / ".git").exists() and tools.has("git"):
        inputs = INPUTS if package.name == UTILS else (package.spec.resolve(), package.files.resolve())
        done = runner.run([*_git(root), "log", "-1", "--format=%ct", "--", *inputs], ok=())
        if done.returncode == 0 and done.stdout.strip().isdecimal():
            return int(done.stdout)
    return changelog_date(package.text)


def changelog_date(spec: str) -> int:
    """Return noon UTC of the first entry of %changelog, 0 when there is none."""
    match = re.search(r"^%changelog\s*\n\*\s+\w{3}\s+(\w{3})\s+(\d{1,2})\s+(\d{4})", spec, re.MULTILINE)
    if not match:
        return 0
    date = time.strptime(" ".join(match.groups()), "%b %d %Y")
    return calendar.timegm(date) + 12 * 3600


def digest_of_sources(sources: tuple[ArchiveFile, ...]) -> str:
    """Return a digest over names, bytes and modes."""
    return digest_of([[source.name, source.data.hex(), source.executable] for source in sources])


@cache
def make_archive(sources: tuple[ArchiveFile, ...], *, prefix: str, epoch: int) -> bytes:
    """Return a .tar.gz of `sources` below `prefix`/: no owner, mode or time of this machine is in it."""
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for source in sources:
            entry = tarfile.TarInfo(f"{prefix}/{source.name}")
            entry.size = len(source.data)
            entry.mode = 0o755 if source.executable else 0o644
            entry.mtime = epoch
            entry.uname = entry.gname = "root"
            archive.addfile(entry, io.BytesIO(source.data))
    packed = io.BytesIO()
    with gzip.GzipFile(filename="", mode="wb", fileobj=packed, compresslevel=9, mtime=epoch) as file:
        file.write(raw.getvalue())
    return packed.getvalue()


# A checkout may be anybody's: its configuration runs no program (git-config(1)).
_HARMLESS = (
    "safe.directory=*", "core.fsmonitor=false", "core.hooksPath=/dev/null", "log.showSignature=false",
    "gpg.program=false", "gpg.openpgp.program=false", "gpg.ssh.program=false", "gpg.x509.program=false",
)  # fmt: skip


def _git(root: Path) -> list[str]:
    # The owner of a checkout may be another than the one who builds (sudo make): we only read it, and
    # no program that its configuration names is started.
    words = ["git", "-C", str(root), "--no-optional-locks", "--no-pager"]
    for setting in _HARMLESS:
        words += ["-c", setting]
    return words
