# SPDX-License-Identifier: MIT
"""The one module that opens files of an image's tree.

Scripts and packages may have put anything there: links to places outside, fifos, files of 8 EiB. A `TreePath`
reads like a `pathlib.Path`, and every name in it is looked up by openat2(2) with RESOLVE_IN_ROOT and
RESOLVE_NO_MAGICLINKS: an absolute link, or one with `..`, leads to a place of the image, as it does in the
guest, and never out of it. Only regular files are read and written, and no more of them than a bound.

The rules hold while no program of the image runs, which `builder.image.isolation` sees to.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fnmatch
import os
import stat
from collections.abc import Collection, Iterator
from pathlib import Path, PurePosixPath

from builder.calls import call
from builder.errors import BuildError
from builder.folders import FolderEntry, remove, walk

_NO_MAGICLINKS, _IN_ROOT = 0x02, 0x10
# The kernel asks to try again when folders move while it looks; nobody moves any for long.
_ATTEMPTS = 16

# What is read of one file, unless the caller says otherwise: kernels are the largest.
LARGEST = 256 << 20


class _How(ctypes.Structure):
    """struct open_how of openat2(2)."""

    _fields_ = [(name, ctypes.c_uint64) for name in ("flags", "mode", "resolve")]


class _Root:
    """The open root of a tree."""

    def __init__(self, folder: Path) -> None:
        self.descriptor = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)

    def __del__(self) -> None:
        with contextlib.suppress(OSError, AttributeError):
            os.close(self.descriptor)


class TreePath:
    """A path of an image. `str()` gives it as the guest knows it: absolute.

    Methods are named as in `pathlib.Path`. What the image makes impossible (a link that leads in circles, a
    folder where a file should be) raises BuildError with the path; a missing file FileNotFoundError.
    """

    __slots__ = ("_root", "pure")

    def __init__(self, root: _Root, pure: PurePosixPath) -> None:
        self._root = root
        self.pure = pure

    # -- names -------------------------------------------------------------------------------

    def __truediv__(self, name: str | PurePosixPath) -> TreePath:
        return TreePath(self._root, self.pure / str(name).lstrip("/"))

    def __str__(self) -> str:
        return str(self.pure)

    def __repr__(self) -> str:
        return f"TreePath({str(self.pure)!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, TreePath) and (self._root, self.pure) == (other._root, other.pure)

    def __hash__(self) -> int:
        return hash((id(self._root), self.pure))

    def __lt__(self, other: TreePath) -> bool:
        return self.pure < other.pure

    @property
    def name(self) -> str:
        """The last part."""
        return self.pure.name

    @property
    def stem(self) -> str:
        """The last part without its suffix."""
        return self.pure.stem

    @property
    def suffix(self) -> str:
        """What follows the last dot of the last part, the dot too."""
        return self.pure.suffix

    @property
    def parts(self) -> tuple[str, ...]:
        """The parts, `/` first."""
        return self.pure.parts

    @property
    def parent(self) -> TreePath:
        """The folder by name; links are not looked at."""
        return TreePath(self._root, self.pure.parent)

    def with_name(self, name: str) -> TreePath:
        """Return the neighbour of that name."""
        return TreePath(self._root, self.pure.with_name(name))

    def relative_to(self, other: TreePath) -> PurePosixPath:
        """Return what follows `other` in this path."""
        return self.pure.relative_to(other.pure)

    # -- looking -----------------------------------------------------------------------------

    def stat(self) -> os.stat_result:
        """Return what stat(2) says of what the path leads to."""
        with self._opened(os.O_PATH) as descriptor:
            return os.fstat(descriptor)

    def lstat(self) -> os.stat_result:
        """Return what stat(2) says of the path itself, be it a link."""
        with self._opened(os.O_PATH | os.O_NOFOLLOW) as descriptor:
            return os.fstat(descriptor)

    def exists(self) -> bool:
        """Whether the path leads to something."""
        return self._mode() != 0

    def is_file(self) -> bool:
        """Whether the path leads to a regular file."""
        return stat.S_ISREG(self._mode())

    def is_dir(self) -> bool:
        """Whether the path leads to a folder."""
        return stat.S_ISDIR(self._mode())

    def is_symlink(self) -> bool:
        """Whether the path itself is a link."""
        try:
            return stat.S_ISLNK(self.lstat().st_mode)
        except (OSError, BuildError):
            return False

    def readlink(self) -> str:
        """Return what the link says."""
        with self._parent() as (folder, name):
            return os.readlink(name, dir_fd=folder)

    def names(self) -> list[str]:
        """Return the names in the folder, sorted; none where it is not one."""
        if not self.is_dir():
            return []
        with self._opened(os.O_RDONLY | os.O_DIRECTORY) as descriptor:
            return sorted(os.listdir(descriptor))

    def iterdir(self) -> Iterator[TreePath]:
        """Yield what is in the folder, sorted."""
        for name in self.names():
            yield self / name

    def rglob(self, pattern: str) -> Iterator[TreePath]:
        """Yield what is below the folder, at any depth, and is named like `pattern`."""
        return self.glob(f"**/{pattern}")

    def glob(self, pattern: str) -> Iterator[TreePath]:
        """Yield what matches, sorted within each folder; `**` enters folders, never links to them."""
        head, _, rest = pattern.partition("/")
        if head == "**":
            yield from self.glob(rest)
            for path in self.iterdir():
                if stat.S_ISDIR(path.lstat().st_mode):
                    yield from path.glob(pattern)
            return
        if not _is_pattern(head):
            # As far as names go: each part for itself would be opened once more.
            while rest and not _is_pattern(rest.partition("/")[0]):
                part, _, rest = rest.partition("/")
                head = f"{head}/{part}"
            found = [self / head] if rest or (self / head).exists() or (self / head).is_symlink() else []
        else:
            found = [self / name for name in self.names() if fnmatch.fnmatchcase(name, head)]
        for path in found:
            if rest:
                yield from path.glob(rest)
            else:
                yield path

    def walk(self, skipped: Collection[int] = ()) -> Iterator[FolderEntry]:
        """Yield all below the folder (`walk`)."""
        with self._opened(os.O_RDONLY | os.O_DIRECTORY) as descriptor:
            yield from walk(descriptor, skipped)

    def changed_below(self, moment: int) -> list[str]:
        """Return the paths below the folder, from there, that were changed after `moment` (ns, by ctime)."""
        with self._opened(os.O_RDONLY | os.O_DIRECTORY) as descriptor:
            top = os.readlink(f"/proc/self/fd/{descriptor}").rstrip("/")
            return sorted(
                f"{os.readlink(f'/proc/self/fd/{entry.folder}').removeprefix(top)}/{entry.name}"
                for entry in walk(descriptor)
                if entry.stat().st_ctime_ns > moment
            )

    # -- reading -----------------------------------------------------------------------------

    def read_bytes(self, *, limit: int = LARGEST) -> bytes:
        """Return the content of the regular file.

        Raises:
            BuildError: it is not one, or holds more than `limit` bytes.
        """
        with self._opened(os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY) as descriptor:
            self._check_regular(descriptor, limit)
            with open(descriptor, "rb", closefd=False) as file:
                return file.read(limit)

    def read_text(self, *, errors: str = "replace") -> str:
        """Return the content of the regular file as UTF-8 text."""
        return self.read_bytes().decode(errors=errors)

    def copy_out(self, target: Path) -> None:
        """Copy the regular file to a file of ours that does not exist yet."""
        descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with open(descriptor, "wb") as file:
            file.write(self.read_bytes())

    # -- writing -----------------------------------------------------------------------------

    def write_bytes(self, data: bytes, *, mode: int | None = None) -> None:
        """Make `data` the content of the regular file, which is made where it is missing."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_NONBLOCK | os.O_NOCTTY
        with self._opened(flags, mode=0o644 if mode is None else mode) as descriptor:
            self._check_regular(descriptor, None)
            os.ftruncate(descriptor, 0)
            with open(descriptor, "wb", closefd=False) as file:
                file.write(data)
            if mode is not None:
                os.fchmod(descriptor, mode)

    def write_text(self, text: str, *, errors: str = "strict", mode: int | None = None) -> None:
        """Make `text`, in UTF-8, the content of the regular file."""
        self.write_bytes(text.encode(errors=errors), mode=mode)

    def copy_to(self, target: TreePath) -> None:
        """Copy content, mode and times to another path of a tree."""
        info = self.stat()
        target.write_bytes(self.read_bytes(), mode=stat.S_IMODE(info.st_mode))
        target.utime(info.st_atime_ns, info.st_mtime_ns)

    def truncate(self) -> None:
        """Empty the regular file."""
        self.write_bytes(b"")

    def touch(self, *, mode: int = 0o644) -> None:
        """Make an empty file where there is none."""
        with self._opened(os.O_WRONLY | os.O_CREAT | os.O_NONBLOCK | os.O_NOCTTY, mode=mode):
            pass

    def mkdir(self, *, parents: bool = False, exist_ok: bool = False, mode: int = 0o755) -> None:
        """Make a folder, with `parents` those above it too."""
        if exist_ok and self.is_dir():
            return
        if parents and not self.parent.is_dir():
            self.parent.mkdir(parents=True, exist_ok=True)
        try:
            with self._parent() as (folder, name):
                os.mkdir(name, mode, dir_fd=folder)
        except FileExistsError as error:
            raise BuildError(f"{self} exists in the image and is not a folder") from error

    def symlink_to(self, target: str) -> None:
        """Make a link that says `target`."""
        with self._parent() as (folder, name):
            os.symlink(target, name, dir_fd=folder)

    def replace(self, target: TreePath) -> None:
        """Give it another name, over what has that name."""
        with self._parent() as (here, name), target._parent() as (there, other):
            os.replace(name, other, src_dir_fd=here, dst_dir_fd=there)

    def chmod(self, mode: int) -> None:
        """Set the permissions of what the path leads to."""
        with self._handle() as descriptor:
            os.fchmod(descriptor, mode)

    def chown(self, uid: int, gid: int) -> None:
        """Set the owner of what the path leads to."""
        with self._handle() as descriptor:
            os.fchown(descriptor, uid, gid)

    def utime(self, accessed_ns: int, modified_ns: int) -> None:
        """Set the times of what the path leads to."""
        with self._handle() as descriptor:
            os.utime(descriptor, ns=(accessed_ns, modified_ns))

    def unlink(self, *, missing_ok: bool = False) -> None:
        """Remove the name, be it a link's; not a folder's."""
        try:
            with self._parent() as (folder, name):
                os.unlink(name, dir_fd=folder)
        except FileNotFoundError:
            if not missing_ok:
                raise

    def rmdir(self) -> None:
        """Remove the empty folder."""
        with self._parent() as (folder, name):
            os.rmdir(name, dir_fd=folder)

    def remove(self) -> None:
        """Remove the name, with all that is below where it is a folder. Links are removed, not followed."""
        with self._parent() as (folder, name):
            remove(folder, name)

    # -- inside ------------------------------------------------------------------------------

    def _mode(self) -> int:
        try:
            return self.stat().st_mode
        except (OSError, BuildError):
            return 0

    @contextlib.contextmanager
    def _handle(self) -> Iterator[int]:
        """Open a file or folder for a change of its inode: never a device or a fifo."""
        with self._opened(os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY) as descriptor:
            mode = os.fstat(descriptor).st_mode
            if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
                raise BuildError(f"{self} of the image is neither a file nor a folder")
            yield descriptor

    @contextlib.contextmanager
    def _parent(self) -> Iterator[tuple[int, str]]:
        """Open the folder that holds the name."""
        if self.name in ("", ".", ".."):
            raise BuildError(f"{self} of the image cannot be changed: it has no name of its own")
        with self.parent._opened(os.O_PATH | os.O_DIRECTORY) as descriptor:
            yield descriptor, self.name

    @contextlib.contextmanager
    def _opened(self, flags: int, *, mode: int = 0) -> Iterator[int]:
        descriptor = self._open(flags | os.O_CLOEXEC, mode)
        try:
            yield descriptor
        finally:
            os.close(descriptor)

    def _open(self, flags: int, mode: int) -> int:
        relative = os.fsencode(str(self.pure).lstrip("/") or ".")
        how = _How(flags=flags, mode=mode, resolve=_IN_ROOT | _NO_MAGICLINKS)
        for _ in range(_ATTEMPTS):
            descriptor = call(
                "openat2", self._root.descriptor, relative, ctypes.byref(how), ctypes.sizeof(how)
            )
            if descriptor >= 0:
                return descriptor
            number = ctypes.get_errno()
            if number != errno.EAGAIN:
                break
        if number == errno.ENOENT:
            raise FileNotFoundError(number, os.strerror(number), str(self))
        raise BuildError(f"{self} of the image: {os.strerror(number).lower()}")

    def _check_regular(self, descriptor: int, limit: int | None) -> None:
        info = os.fstat(descriptor)
        if not stat.S_ISREG(info.st_mode):
            raise BuildError(f"{self} of the image is not a regular file")
        if limit is not None and info.st_size > limit:
            raise BuildError(f"{self} of the image holds {info.st_size} bytes, more than {limit}")


def _is_pattern(part: str) -> bool:
    return any(letter in part for letter in "*?[")


def open_tree(folder: Path) -> TreePath:
    """Return the root of the tree at `folder`, which is opened once, here."""
    return TreePath(_Root(folder), PurePosixPath("/"))


def changed_since(top: TreePath, moment: int, *, but: tuple[str, ...] = ()) -> bool:
    """Say whether anything in the folder `top`, at any depth, was changed after `moment` (ns, by ctime).

    Args:
        but: folders below that do not count.
    """
    skipped = {(top / name).stat().st_ino for name in but if (top / name).is_dir()}
    if top.stat().st_ctime_ns > moment:
        return True
    return any(entry.stat().st_ctime_ns > moment for entry in top.walk(skipped))
