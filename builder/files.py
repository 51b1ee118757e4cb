# SPDX-License-Identifier: MIT
"""Files: atomic writes, digests, caches, and work folders that the next run removes after a killed one.

A work folder or file is recognisable (its name begins `.openstack-builder-`) and locked with flock(2) while
its process lives. The lock goes with the process: what has none is stale, and the next run removes it.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import hashlib
import json
import os
import signal
import stat
import tempfile
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import BinaryIO

from builder.calls import check
from builder.destination import find_destination, write_stream
from builder.digesting import new_digest
from builder.errors import BuildError, InputError, PermissionMissing
from builder.folders import remove_tree

# No user has an id from here on: they are subordinate (login.defs(5), SUB_UID_MIN).
SUBORDINATE = 100_000
WORK_PREFIX = ".openstack-builder-"

_libc = ctypes.CDLL(None, use_errno=True)


def write_atomic(path: Path, data: bytes | str, *, mode: int = 0o644) -> None:
    """Write `data` to `path`: readers see the old file or the new one, never half.

    What is not a regular file is never replaced: see `builder.destination`.

    Raises:
        InputError: a folder is there, or a link that leads nowhere.
        PermissionMissing: the folder cannot be written.
        BuildError: any other failure of the file system, with its reason.
    """
    raw = data.encode() if isinstance(data, str) else data
    temporary: str | None = None
    try:
        found = find_destination(path)
        if found.is_stream:
            write_stream(found.path, raw)
            return
        path = found.path
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, temporary = _make_locked_file(path.parent)
        with os.fdopen(descriptor, "wb") as file:
            _fill(file, raw, mode)
            os.replace(temporary, path)
    except BaseException as error:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise explain(error, path) from error
        raise
    sync_folder(path.parent)


def replace_file(new: Path, path: Path) -> None:
    """Put the finished file `new` at `path`, on the same file system, in one step.

    What is not a regular file is never replaced: see `builder.destination`.

    Raises: as `write_atomic`.
    """
    try:
        found = find_destination(path)
        if found.is_stream:
            write_stream(found.path, new.read_bytes())
            new.unlink()
            return
        new.replace(found.path)
    except OSError as error:
        raise explain(error, path) from error
    sync_folder(found.path.parent)


def write_together(texts: Mapping[Path, str], *, mode: int = 0o644) -> None:
    """Write several files, in their order: all are ready on the disk before the first is replaced.

    The one that decides what the others are made from comes last: after a kill in between, the same command
    does the same once more.

    Raises:
        InputError, PermissionMissing, BuildError: as of write_atomic; then nothing is replaced.
    """
    with contextlib.ExitStack() as stack:
        ready: list[tuple[str, Path]] = []
        for path, text in texts.items():
            try:
                target = find_destination(path)
                if target.is_stream:
                    raise InputError(f"{path}: is not a regular file", hint="move it away")
                target.path.parent.mkdir(parents=True, exist_ok=True)
                descriptor, temporary = _make_locked_file(target.path.parent)
                stack.callback(Path(temporary).unlink, missing_ok=True)
                _fill(stack.enter_context(os.fdopen(descriptor, "wb")), text.encode(), mode)
            except OSError as error:
                raise explain(error, path) from error
            ready.append((temporary, target.path))
        signals = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGTERM, signal.SIGHUP))
        try:
            for temporary, path in ready:
                os.replace(temporary, path)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, signals)
    for folder in {path.parent for _, path in ready}:
        sync_folder(folder)


def _fill(file: BinaryIO, data: bytes, mode: int) -> None:
    """Write all of a new file and its mode, down to the disk."""
    file.write(data)
    file.flush()
    os.fchmod(file.fileno(), mode)
    os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Flush the names in `folder` to the disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def explain(error: OSError, path: Path) -> BuildError:
    """Return `error` about `path` as a BuildError for a user."""
    reason = (error.strerror or str(error)).lower()
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return PermissionMissing(f"{path}: {reason}", hint="choose a folder that you can write to")
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return BuildError(f"{path}: {reason}", hint="free some space, or choose another folder")
    return BuildError(f"{path}: {reason}")


@contextlib.contextmanager
def derived(source: Path, target: Path) -> Iterator[tuple[BinaryIO, BinaryIO]]:
    """Open `source` to read, and `target`, which the block writes from it.

    Raises:
        BuildError: a file cannot be read or written; whatever the block raises, no `target` is left then.
    """
    try:
        with source.open("rb") as old, target.open("wb") as new:
            yield old, new
    except BaseException as error:
        target.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise explain(error, Path(error.filename or target)) from error
        raise


@contextlib.contextmanager
def locked(path: Path, *, shared: bool = False) -> Iterator[None]:
    """Hold a lock on the file `path` (made when missing; never removed, it is empty)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_SH if shared else fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def work_folder(parent: Path, name: str, *, keep: bool = False) -> Iterator[Path]:
    """Make a locked work folder in `parent`, remove it at the end (unless `keep`).

    Work folders of killed runs in `parent` are removed first.

    Args:
        parent: an existing or creatable folder; on the file system where results will be renamed to.
        name: what the work is about; part of the folder's name.
        keep: leave the folder for a look (it is then renamed, so that no later run removes it).
    """
    try:
        parent.mkdir(parents=True, exist_ok=True)
        remove_stale(parent)
        folder, descriptor = _make_locked(parent, name)
    except OSError as error:
        raise explain(error, parent) from error
    try:
        yield folder
    finally:
        if keep:
            folder.rename(kept_name(folder))
        else:
            remove_tree(folder)
        os.close(descriptor)


def kept_name(folder: Path) -> Path:
    """Return what a work folder is called when it is kept: no later run takes it for its own."""
    return folder.with_name(folder.name.removeprefix(WORK_PREFIX))


def _make_locked(parent: Path, name: str) -> tuple[Path, int]:
    """Make a folder and lock it; once more where another run took it for a dead one's in between."""
    while True:
        folder = Path(tempfile.mkdtemp(prefix=f"{WORK_PREFIX}{name}-", dir=parent))
        try:
            descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        except FileNotFoundError:
            continue
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        if folder.exists():
            return folder, descriptor
        os.close(descriptor)


def _make_locked_file(parent: Path) -> tuple[int, str]:
    """Make a file and lock it, as _make_locked does a folder; return its descriptor and its path.

    Work files of killed runs in `parent` are removed first.
    """
    remove_stale(parent)
    while True:
        descriptor, path = tempfile.mkstemp(prefix=WORK_PREFIX, dir=parent)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        if os.path.exists(path):
            return descriptor, path
        os.close(descriptor)


def remove_stale(parent: Path) -> None:
    """Remove the work folders and files in `parent` whose process is gone."""
    for path in parent.glob(WORK_PREFIX + "*"):
        with contextlib.suppress(OSError):
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if stat.S_ISDIR(os.fstat(descriptor).st_mode):
                    remove_tree(path)
                else:
                    path.unlink()
            finally:
                os.close(descriptor)


def check_replaceable(path: Path, mark: str) -> None:
    """Refuse a place where a folder that is not ours stands, or anything but a folder.

    Args:
        mark: the file that every folder of this kind has; an empty folder may be anybody's.

    Raises:
        InputError: it must not be replaced.
    """
    if path.is_symlink() or (path.exists() and not path.is_dir()):
        raise InputError(f"{path}: exists and is not a folder", hint="move it away")
    if path.is_dir() and not (path / mark).is_file() and any(path.iterdir()):
        raise InputError(
            f"{path}: this folder cannot be replaced: it has no {mark}",
            hint="move it away, or choose another place or name",
        )


def replace_folder(new: Path, path: Path, mark: str) -> None:
    """Put the folder `new` at `path`, in one step where something is there (renameat2(2)).

    Whatever stood at `path` is at `new` afterwards; both are on one file system. Only a folder with `mark` in
    it is replaced.

    Raises:
        InputError: as `check_replaceable`.
        BuildError: the file system refuses.
    """
    exchange, here = 2, -100  # RENAME_EXCHANGE, AT_FDCWD
    try:
        check_replaceable(path, mark)
        if not path.exists():
            new.rename(path)
        else:
            check(_libc.renameat2(here, os.fsencode(new), here, os.fsencode(path), exchange))
    except OSError as error:
        raise explain(error, path) from error
    sync_folder(path.parent)


def cache_folder(*parts: str) -> Path:
    """Return `$XDG_CACHE_HOME/openstack-builder/PARTS`, made when missing.

    An entry is known by its digest, which says what it holds, not who put it there: so nobody else may.

    Raises:
        PermissionMissing: a part of it belongs to another user, or others may write to it.
        BuildError: it cannot be made, with the reason.
    """
    home = os.environ.get("XDG_CACHE_HOME", "")
    if not os.path.isabs(home):
        # Nothing else is valid (XDG Base Directory Specification), and programs have other folders than we.
        home = os.path.join(os.path.expanduser("~"), ".cache")
    make_folder(Path(home))
    folder = Path(home, "openstack-builder")
    _have_to_ourselves(folder, handed_over=False)
    for part in parts:
        folder /= part
        # To root also belongs what it hands over to the ids of a build, in a folder of its own.
        _have_to_ourselves(folder, handed_over=os.geteuid() == 0)
    return folder


def _have_to_ourselves(folder: Path, *, handed_over: bool) -> None:
    try:
        folder.mkdir(mode=0o755, exist_ok=True)
        known = folder.lstat(), folder.stat()
    except OSError as error:
        raise explain(error, folder) from error
    for info in known:
        if info.st_uid != os.geteuid() and not (handed_over and info.st_uid >= SUBORDINATE):
            raise PermissionMissing(
                f"{folder} belongs to another user", hint="set XDG_CACHE_HOME to a folder of your own"
            )
        if not stat.S_ISLNK(info.st_mode) and info.st_mode & 0o022:
            raise PermissionMissing(
                f"{folder}: others may write to it, and what is in it may be theirs",
                hint=f"remove it, or chmod -R go-w {folder} where all of it is yours",
            )


def make_folder(path: Path) -> Path:
    """Make the folder `path`, and those above it, where it is missing; return it.

    Raises:
        BuildError: it cannot be made, with the reason.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise explain(error, path) from error
    return path


def read_regular(path: Path, limit: int, *, linked: bool = True) -> bytes:
    """Return the bytes of a file that somebody else named: never a device's, nor a fifo's.

    Args:
        linked: `path` may be a link.

    Raises:
        OSError: it cannot be read, is not a regular file, or holds more than `limit` bytes.
    """
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | (0 if linked else os.O_NOFOLLOW)
    with open(os.open(path, flags), "rb") as file:
        info = os.fstat(file.fileno())
        if not stat.S_ISREG(info.st_mode):
            raise OSError(errno.EINVAL, "not a regular file", os.fspath(path))
        if info.st_size > limit:
            raise OSError(errno.EFBIG, f"more than {limit} bytes", os.fspath(path))
        return file.read(limit)


def digests_of_file(path: Path, *algorithms: str) -> tuple[str, ...]:
    """Return the hex digests of the file's bytes, one an algorithm, each from a thread of its own."""
    with ThreadPoolExecutor() as pool:
        return tuple(pool.map(partial(_digest_of_file, path), algorithms))


def sha256_file(path: Path) -> str:
    """Return the sha256 of the file's bytes, in hex."""
    return _digest_of_file(path, "sha256")


def _digest_of_file(path: Path, algorithm: str) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: new_digest(algorithm)).hexdigest()


def digest_of(value: object) -> str:
    """Return the sha256 of `value` as canonical JSON: equal data, equal digest."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()
