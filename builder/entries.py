# SPDX-License-Identifier: MIT
"""Files of a cache: an entry's name says what it is of, and the digest of its content."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from builder.errors import BuildError
from builder.files import explain, remove_stale, work_folder

Found = TypeVar("Found")

# Pieces of a file that are digested side by side; the digest is that of their digests.
PIECE = 16 << 20
# As there may be secrets in what is kept.
MODE = 0o600


def find(folder: Path, key: str) -> Path | None:
    """Return the entry of `key` that is unharmed; those that are not are removed."""
    return _first(folder, key, lambda path: (digest_of_file(path), path))


def locate(folder: Path, key: str) -> Path | None:
    """Return the entry of `key`; nobody has looked into it (`is_whole`)."""
    return next(iter(sorted(folder.glob(f"{key}-*"))), None)


def is_whole(path: Path) -> bool:
    """Say whether an entry is unharmed, and that it is used; one that is not is removed."""
    try:
        return _settle(path, whole=path.name.rpartition("-")[2] == digest_of_file(path))
    except FileNotFoundError:
        return False  # another build has made room


def load(folder: Path, key: str) -> bytes | None:
    """Return the content of that entry: the bytes of which the digest is."""
    return _first(folder, key, _read)


def _first(folder: Path, key: str, look: Callable[[Path], tuple[str, Found]]) -> Found | None:
    """Return what `look` finds, with its digest, in the first entry that has this digest."""
    for path in sorted(folder.glob(f"{key}-*")):
        try:
            digest, found = look(path)
            if _settle(path, whole=path.name == f"{key}-{digest}"):
                return found
        except FileNotFoundError:
            continue  # another build has made room
    return None


def _settle(path: Path, *, whole: bool) -> bool:
    """Note that an entry is used, or remove one that is harmed; return `whole`."""
    if whole:
        os.utime(path)
    else:
        path.unlink(missing_ok=True)
    return whole


def _read(path: Path) -> tuple[str, bytes]:
    with open(os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW), "rb") as file:
        content = file.read()
    pieces = (content[start : start + PIECE] for start in range(0, len(content), PIECE))
    return hashlib.sha256(b"".join(hashlib.sha256(piece).digest() for piece in pieces)).hexdigest(), content


def store(content: bytes, folder: Path, key: str, *, files: int) -> None:
    """Keep `content` as an entry; `files` as in `keep`.

    Raises:
        BuildError: the cache cannot be written.
    """
    with work_folder(folder, "entry") as work:
        path = work / "entry"
        try:
            path.write_bytes(content)
        except OSError as error:
            raise explain(error, folder) from error
        keep(path, folder, key, files=files)


def keep(path: Path, folder: Path, key: str, *, files: int, size: int | None = None) -> Path:
    """Give the finished file `path`, which is in `folder`, the name of an entry; return that.

    It takes the place of others of the same key.

    Args:
        files: so many entries stay, those used last.
        size: and so many bytes of them.
    """
    path.chmod(MODE)
    entry = folder / f"{key}-{digest_of_file(path)}"
    for older in folder.glob(f"{key}-*"):
        older.unlink(missing_ok=True)
    path.rename(entry)
    _make_room(folder, files, size, but=entry)
    return entry


def digest_of_file(path: Path) -> str:
    """Return the digest of a file, which all processors compute together, in hex."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        size = os.fstat(descriptor).st_size

        def digest(start: int) -> bytes:
            sha256, end = hashlib.sha256(), min(start + PIECE, size)
            while start < end:
                data = os.pread(descriptor, min(1 << 20, end - start), start)
                if not data:
                    raise BuildError(f"{path}: it became shorter while it was read")
                sha256.update(data)
                start += len(data)
            return sha256.digest()

        with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
            return hashlib.sha256(b"".join(pool.map(digest, range(0, size, PIECE)))).hexdigest()
    finally:
        os.close(descriptor)


def _make_room(folder: Path, files: int, size: int | None, *, but: Path) -> None:
    """Remove what was used longest ago where there is too much, and what killed builds left."""
    remove_stale(folder)
    kept, taken = 0, 0
    for path, info in _by_use(folder):
        kept, taken = kept + 1, taken + info.st_size
        if path != but and (kept > files or (size is not None and taken > size)):
            path.unlink(missing_ok=True)


def _by_use(folder: Path) -> Iterator[tuple[Path, os.stat_result]]:
    """Yield the entries, the one used last first."""
    found = []
    for path in folder.glob("[!.]*"):
        try:
            found.append((path, path.lstat()))
        except FileNotFoundError:
            continue
    yield from sorted(found, key=lambda pair: -pair[1].st_mtime_ns)
