# SPDX-License-Identifier: MIT
"""Installed trees, each as one archive: a build with the packages and settings of an earlier one unpacks it.

Kept right after dnf's transaction, before anything of a kickstart has run, and only once in a build: what a
script does later does not get in. The outside digests it then, and again at each use: beside the unpacking,
before anything else begins.

An archive, not a folder that an overlay shows: a tmpfs filled from it is as good as one that was installed
into (hard links, folders that can be renamed, labels, room that runs out), on every kernel, and one digest
covers it. It begins with a tar of the tree, ids as the inside has them, and ends with what installing said.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from builder import entries, idmap, json_text
from builder.errors import BuildError
from builder.files import cache_folder, digest_of, sha256_file, work_folder
from builder.image.build import TREE, Build
from builder.image.cache.ahead import Guess
from builder.image.cache.host import solver_state
from builder.image.disk.filesystems.labels import ATTRIBUTE
from builder.image.disk.layout import capacity
from builder.image.fingerprint import digest_code
from builder.image.isolation import sandbox
from builder.image.isolation.door import Request
from builder.image.isolation.namespaces import Bind
from builder.image.isolation.wire import WireError, pack, unpack
from builder.kickstart.plan import ScriptSection
from builder.sizes import GIB

# So many are kept, and so many bytes of them: the JeOS takes 0.5 GB.
MOST = 8
LARGEST = 6 * GIB
# As the inside sees them: the archive that is there, and the file that becomes one.
KEPT, NEW = Path("/kept.tar"), Path("/new.tar")
LONGEST_NOTE = 1 << 20

# tar(1): all that a file has, by numbers, at the nanosecond, in pieces of 1 MiB. ACLs are attributes as well:
# --acls makes a call more for each file. Labels of SELinux would be the host's.
_WHOLE = (
    *("--numeric-owner", "--xattrs", "--xattrs-include=*", f"--xattrs-exclude={ATTRIBUTE}"),
    "--blocking-factor=2048",
)
# pax records of no use are left out.
_FORM = ("--format=posix", "--pax-option=delete=atime,delete=ctime", "--sparse", "--hole-detection=seek")


@dataclass(frozen=True, kw_only=True, slots=True)
class _Note:
    """What installing said, and a later build is to say again."""

    warnings: tuple[str, ...]


def key_of(build: Build) -> str | None:
    """Return the digest of all that decides an installed tree; None where it is not to be kept.

    That is so where %pre-install runs, which is the kickstart's, and where a package has no digest.
    """
    packages, plan = build.facts.packages, build.plan
    if build.scripts(ScriptSection.PRE_INSTALL) or not packages or not all(one.sha256 for one in packages):
        return None
    # Where the packages came from decides nothing; `repo` of each is in dnf's history.
    request = {name: value for name, value in build.request.items() if name != "repositories"}
    return digest_of(
        [
            digest_code(),
            solver_state(build.options.solver),
            # Its name has the digest of its content.
            build.bootstrap.name if build.bootstrap else None,
            request,
            sorted((one.nevra, one.sha256, one.repo) for one in packages),
            [sha256_file(path) for path in sorted((build.work / "keys").glob("*.asc"))],
            build.options.source_date_epoch,
            {point: (usage.bytes, usage.inodes) for point, usage in capacity(plan.disk).items()},
            [volume.mountpoints for volume in plan.disk.volumes],
            [folder.mountpoint for folder in plan.disk.in_memory],
        ]
    )


class Harmed(BuildError):
    """The kept tree does not have its digest any more."""


def has(key: str | None) -> bool:
    """Say whether there is an archive of that key; what is in it is not looked at."""
    return key is not None and any(cache_folder("trees").glob(f"{key}-*"))


def find(key: str | None) -> Path | None:
    """Return the archive of that key, its digest compared; None where there is none."""
    return _handed_over(entries.find(cache_folder("trees"), key) if key else None)


def locate(key: str | None) -> Path | None:
    """Return the archive of that key; its digest is compared while it is used (`offer`)."""
    return _handed_over(entries.locate(cache_folder("trees"), key) if key else None)


def _handed_over(entry: Path | None) -> Path | None:
    if entry:
        with contextlib.suppress(FileNotFoundError):
            idmap.hand_over(entry)
            return entry
    return None


@dataclass(frozen=True, kw_only=True, slots=True)
class Offer:
    """What the inside gets: files to see, and what it may ask for.

    `finish` waits until what it asked for is done: no script may begin before.
    """

    binds: tuple[Bind, ...] = ()
    requests: dict[str, Request]
    finish: Callable[[], None]


NOTHING = Offer(requests={}, finish=lambda: None)


@contextlib.contextmanager
def offer(build: Build, entry: Path | None) -> Iterator[Offer]:
    """Yield what the inside is to get: the archive `entry`, or a file to make one in, where it has a key.

    Raises:
        Harmed: `entry` does not have its digest, or is gone. What went wrong inside came of that.
    """
    if entry is not None:
        with ThreadPoolExecutor(1) as pool:
            whole = pool.submit(entries.is_whole, entry)
            clusters = build.clusters
            guess = Guess.of(build.plan.disk) if clusters and clusters.may_promise else None
            if clusters and guess and not clusters.recall(entry.name):
                # None is to be compressed: most are in the image that is replaced.
                clusters.guess(guess.clusters(entry), build.work, compress=False)

            def check(_: str, __: bytes) -> bytes:
                if not whole.result():
                    raise Harmed("the kept tree is damaged, or gone")
                return b""

            bind = Bind(source=entry, target=os.fspath(KEPT))
            try:
                yield replace(NOTHING, binds=(bind,), requests={"kept tree": check})
            except BuildError as error:
                # It may be removed before the inside has begun: as damaged, or for another build's room.
                if not (whole.result() and entry.exists()):
                    raise Harmed("the kept tree is damaged, or gone") from error
                raise
        return
    key, folder = build.tree_key, cache_folder("trees")
    # The disk and the qcow2 need room as well, and more than a cache does.
    if key is None or shutil.disk_usage(folder).free < 4 * build.facts.installed_size:
        yield NOTHING
        return
    with work_folder(folder, "tree") as work, ThreadPoolExecutor(1) as pool:
        new = work / NEW.name
        os.close(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600))
        idmap.hand_over(new)

        kept: list[Future[Path]] = []
        guess = Guess.of(build.plan.disk) if build.clusters else None
        if build.clusters and guess:
            build.clusters.intend_to_guess()

        def keep_it() -> Path:
            entry = entries.keep(new, folder, key, files=MOST, size=LARGEST)
            if build.clusters and guess:
                build.clusters.recall(entry.name)
                build.clusters.guess(guess.clusters(entry), build.work)
            return entry

        def keep(_: str, __: bytes) -> bytes:
            # Once: scripts may have run before any other time.
            if kept:
                raise WireError("the build sandbox asks twice to keep a tree")
            # Its digest is computed while the inside goes on.
            kept.append(pool.submit(keep_it))
            return b""

        def finish() -> None:
            for entry in kept:
                entry.result()

        bind = Bind(source=new, target=os.fspath(NEW), writable=True)
        yield Offer(binds=(bind,), requests={"keep tree": keep}, finish=finish)
        finish()


def unpack_kept(build: Build) -> bool:
    """Fill the empty tree from the archive, inside; say whether there is one.

    The outside ends the build here if the archive is damaged, whatever became of unpacking it.
    """
    if not KEPT.exists():
        return False
    try:
        unpack_archive(build, KEPT, TREE)
    finally:
        build.ask("kept tree", "")
    for message in _read_note().warnings:
        build.warn(message)
    return True


def unpack_archive(build: Build, archive: Path, folder: Path) -> None:
    """Fill an empty folder from an archive, inside."""
    sandbox.run_archiver(build, words_to_unpack(archive, folder), archive, folder, packs=False)


def words_to_pack(archive: Path, folder: Path) -> list[str]:
    """Return the command that makes an archive of a folder."""
    return ["tar", "--create", *_FORM, *_WHOLE, f"--file={archive}", f"--directory={folder}", "."]


def words_to_unpack(archive: Path, folder: Path) -> list[str]:
    """Return the command that fills an empty folder from an archive."""
    return ["tar", "--extract", *_WHOLE, f"--file={archive}", f"--directory={folder}"]


def keep(build: Build, warnings: tuple[str, ...]) -> bool:
    """Pack the tree as it is, inside, and have it kept; say whether it is. A failure does no harm.

    Args:
        warnings: what installing said.
    """
    if not NEW.exists():
        return False
    done = sandbox.run_archiver(build, words_to_pack(NEW, TREE), NEW, TREE, packs=True, ok=())
    if done.returncode:
        build.report.verbose(f"note: the tree is not kept: {done.stderr.strip()}")
        NEW.write_bytes(b"")
    else:
        with NEW.open("ab") as file:
            file.write(json.dumps(pack(_Note(warnings=warnings))).encode())
    build.ask("keep tree", "")
    return not done.returncode


def _read_note() -> _Note:
    """Return what follows the archive's last block of zeroes."""
    with KEPT.open("rb") as file:
        file.seek(-min(LONGEST_NOTE, KEPT.stat().st_size), os.SEEK_END)
        raw = file.read().rpartition(b"\0")[2]
    try:
        return unpack(json_text.parse(raw), _Note)
    except ValueError as error:
        raise BuildError("the kept tree has no note at its end", hint="openstack-builder clean") from error
