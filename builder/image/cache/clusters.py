# SPDX-License-Identifier: MIT
"""Clusters compressed once: those that the image which is replaced has too, or one of the same packages, are
copied from it.

An index says by the digest of a cluster's content where in an image it lies compressed, and the digest of
that. The image is nobody's but the user's, and still nothing of it is believed: what does not have the digest
is compressed anew. The bytes of the new image are the same without.

The inside need not even write such a cluster: what lies in the image that is replaced, if nobody has touched
that since the index was made, is promised to it, and it names what it has of that. Of other images nothing
is promised: an inside that lies would get what is theirs. Its word counts for its own image only: which
content has which compressed bytes the outside has seen itself. Where a promise cannot be kept the build makes
its disk again (`Damaged`).

Clusters that most likely come may be compressed before (`guess`): the outside has made them itself from what
the inside had before any script, so they are promised as well. Which files have which digest as a cluster is
kept with that tree (`recall`): the inside need not read them where nobody has touched them since.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
import struct
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path

from builder import entries
from builder.errors import BuildError
from builder.files import cache_folder, digest_of
from builder.image.cache.ahead import Guessed
from builder.image.disk.filesystems.disk import write_at
from builder.image.disk.qcow2 import TOGETHER, Anew, Format
from builder.image.isolation.wire import WireError
from builder.ordered import map_in_order

# So many indexes are kept, of some 100 kB a GB of image, and as much of trees.
MOST = 100
# sha256 of the content; start and length in the image, 0 where it is not compressed there; sha256 of that.
_ROW = struct.Struct(">32sQI32s")
# What an image was when its index was made: inode, size, times of content and of the inode in nanoseconds.
_STATE = struct.Struct(">QQQQ")
_NAME = hashlib.sha256().digest_size
# What the inside names: number of the cluster on the disk, sha256 of its content.
_GIVEN = struct.Struct(">Q32s")
# What stands for the files of a cluster, sha256 of its content.
_FORESEEN = struct.Struct(">32s32s")


# What is added to the nice(2) of the threads that guess.
_NICE = 10


class Damaged(BuildError):
    """A cluster that was promised to the inside does not have its digest any more."""


class Clusters:
    """Compresses the clusters of one image (`builder.image.disk.qcow2.Compressor`).

    Args:
        image: where the image will stand, and where the one that it replaces does.
        format: how clusters are stored.
        family: what images of the same packages have in common; None: nothing is known of any.

    Attributes:
        may_promise: whether there is, or will be, anything that is promised.
    """

    def __init__(self, image: Path, format: Format, family: str | None = None) -> None:
        self._anew = Anew(format)
        self.cluster = format.cluster
        self._promised: set[bytes] = set()
        self.given: dict[int, bytes] = {}
        self._folder = cache_folder("clusters")
        self._image = image
        names = [str(image), *([family] if family else [])]
        # The number is that of the index's form.
        self._keys = [digest_of([2, name, format.version, format.cluster]) for name in names]
        self._known: dict[bytes, tuple[int, int, int, bytes]] = {}
        self._rows: list[bytes] = []
        self._old: dict[Path, int] = {}
        self._guesses = _Guesses(self._anew)
        for key in self._keys:
            self._learn(key)
        self.may_promise = bool(self._promised)

    def _learn(self, key: str) -> None:
        """Read an index: the path of its image, a zero byte, the state of the image, rows."""
        index = entries.load(self._folder, key)
        if index is None:
            return
        path, _, rest = index.partition(b"\0")
        state, rows = rest[: _STATE.size], rest[_STATE.size :]
        old = Path(os.fsdecode(path))
        if old in self._old or len(rows) % _ROW.size:
            return
        with contextlib.suppress(OSError):
            file = os.open(old, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
            info = os.fstat(file)
            if not stat.S_ISREG(info.st_mode):
                os.close(file)
                return
            self._old[old] = file
            lends = old == self._image and state == _state(info)
            for name, start, length, digest in _ROW.iter_unpack(rows):
                place = self._known.setdefault(name, (file, start, length, digest))
                if lends and length and place[0] == file:
                    self._promised.add(name)

    def intend_to_guess(self) -> None:
        """Know that `guess` will be called, perhaps after the inside has got its copy of this."""
        self.may_promise = True

    def recall(self, tree: str) -> bool:
        """Know what was kept of the clusters of a tree, by the name of its archive; say whether there is any.

        If not, what `guess` finds will be kept for it.
        """
        # The number is that of the form.
        key = digest_of([1, tree, self.cluster])
        found = entries.load(cache_folder("foreseen"), key)
        if found is None or len(found) % _FORESEEN.size:
            self._guesses.key = key
            return False
        self._guesses.foreseen = dict(_FORESEEN.iter_unpack(found))
        return True

    def guess(self, clusters: Iterator[Guessed], folder: Path, *, compress: bool = True) -> None:
        """Begin to digest and compress clusters that may come, as long as nobody asks what is `promised`.

        Args:
            clusters: are taken from in another thread, which ValueError and OSError end.
            folder: for a file without a name.
            compress: whether to compress them.
        """
        known = frozenset(self._known)
        self._guesses.begin(clusters, known, folder, compress=compress)

    def end_guessing(self) -> None:
        """End what `guess` began, and know what came of it."""
        for name, place in self._guesses.end().items():
            self._known.setdefault(name, place)
            self._promised.add(name)

    def forget_foreseen(self) -> None:
        """Know nothing any more of a tree that is not what it was taken for."""
        self._guesses.forget()

    def foresee(self, _: str, __: bytes) -> bytes:
        """Tell the inside which files make a cluster of which digest (`Request`); guessing ends."""
        self.end_guessing()
        return _pack(self._guesses.finish())

    @staticmethod
    def read_foreseen(told: bytes) -> dict[bytes, bytes]:
        """Return what `foresee` has told."""
        return dict(_FORESEEN.iter_unpack(told))

    @property
    def promised(self) -> frozenset[bytes]:
        """The sha256 of each cluster that the inside need not write; guessing ends."""
        self.end_guessing()
        return frozenset(self._promised)

    def count(self, _: str, __: bytes) -> bytes:
        """Tell the inside how much is promised so far (`Request`)."""
        return b"%d" % (len(self._promised) + self._guesses.count)

    def tell(self, _: str, __: bytes) -> bytes:
        """Tell the inside what is promised (`Request`)."""
        return b"".join(sorted(self.promised))

    @staticmethod
    def read(told: bytes) -> frozenset[bytes]:
        """Return what `tell` has told."""
        return frozenset(told[at : at + _NAME] for at in range(0, len(told), _NAME))

    def forget_promises(self) -> None:
        """Promise nothing any more."""
        self._guesses.end()
        self._guesses.forget()
        self.may_promise = False
        self._promised.clear()
        self.given.clear()

    @staticmethod
    def pack(given: Iterable[tuple[int, bytes]]) -> bytes:
        """Return what the inside says of its clusters: number and sha256 of each that it has not written."""
        return b"".join(_GIVEN.pack(*one) for one in given)

    def take(self, _: str, content: bytes) -> bytes:
        """Take what the inside says (`Request`).

        Raises:
            WireError: it has another form, or names what was not promised.
        """
        if len(content) % _GIVEN.size:
            raise WireError("the build sandbox sent no valid list of clusters")
        self.given = dict(_GIVEN.iter_unpack(content))
        if not self._promised.issuperset(self.given.values()):
            raise WireError("the build sandbox names a cluster that nobody knows")
        return b""

    def copy(self, number: int) -> tuple[bytes, bytes]:
        """Return what `compress` would of a cluster that the inside has named.

        Raises:
            Damaged: it is not there any more.
        """
        name = self.given[number]
        file, start, length, digest = self._known[name]
        packed = os.pread(file, length, start)
        if hashlib.sha256(packed).digest() != digest:
            raise Damaged("the image that is replaced was changed while another one was built")
        return name + digest, packed

    def length(self, number: int) -> int:
        """Return how many bytes `copy` will return."""
        return self._known[self.given[number]][2]

    def compress(self, data: bytes) -> tuple[bytes, bytes]:
        """Return the digests of a cluster and of what it is compressed to, and that."""
        name = hashlib.sha256(data).digest()
        file, start, length, digest = self._known.get(name, (-1, 0, 0, b""))
        if digest:
            packed = os.pread(file, length, start)
            if hashlib.sha256(packed).digest() == digest:
                return name + digest, packed
        packed = self._anew.compress(data)[1]
        return name + hashlib.sha256(packed).digest(), packed

    def placed(self, name: bytes, start: int, packed: bytes) -> None:
        """Put a row into the index."""
        content, digest = name[:32], name[32:]
        self._rows.append(_ROW.pack(content, start, len(packed), digest))

    def keep(self) -> None:
        """Keep the index: the image has its place."""
        for file in self._old.values():
            os.close(file)
        self._old.clear()
        self._guesses.close()
        state = _state(self._image.stat())
        content = os.fsencode(self._image) + b"\0" + state + b"".join(self._rows)
        for key in self._keys:
            entries.store(content, self._folder, key, files=MOST)
        foreseen = self._guesses.foreseen
        if self._guesses.key and self._guesses.is_complete and foreseen:
            entries.store(_pack(foreseen), cache_folder("foreseen"), self._guesses.key, files=MOST)


class _Guesses:
    """Digests clusters, and compresses them into a file without a name, in threads that stand back.

    Attributes:
        foreseen: sha256 of clusters by what stands for their files.
        is_complete: whether that has all of them.
        key: of the entry that it becomes; None: of none.
    """

    def __init__(self, anew: Anew) -> None:
        self._anew = anew
        self._thread: threading.Thread | None = None
        self._stop = threading.Event()
        self._file = -1
        self._found: dict[bytes, tuple[int, int, int, bytes]] = {}
        self._left: Iterator[Guessed] = iter(())
        self.foreseen: dict[bytes, bytes] = {}
        self.is_complete = False
        self.key: str | None = None

    def begin(
        self, clusters: Iterator[Guessed], known: frozenset[bytes], folder: Path, *, compress: bool
    ) -> None:
        """Begin, if there was no beginning or end before."""
        if self._thread is not None or self._stop.is_set():
            return
        self._left = clusters
        work = (known, folder) if compress else (None, folder)
        self._thread = threading.Thread(target=self._work, args=work, daemon=True)
        self._thread.start()

    def end(self) -> dict[bytes, tuple[int, int, int, bytes]]:
        """End; return the places of what was compressed, by the sha256 of the content, the first time."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
        found, self._found = self._found, {}
        return found

    def finish(self) -> dict[bytes, bytes]:
        """Digest what `end` has left; return what is foreseen."""
        with contextlib.suppress(OSError, ValueError):
            for one, name in map_in_order(_digest, self._left, together=TOGETHER):
                self._foresee(one, name)
            self.is_complete = True
        return self.foreseen

    def forget(self) -> None:
        """Foresee nothing, after the end."""
        self._left, self.key = iter(()), None
        self.foreseen.clear()

    @property
    def count(self) -> int:
        """How much was compressed so far."""
        return len(self._found)

    def close(self) -> None:
        """Give the file up."""
        self.end()
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _work(self, known: frozenset[bytes] | None, folder: Path) -> None:
        """Work; nothing is compressed where `known` is None."""

        def pack(one: Guessed) -> tuple[bytes, bytes, bytes]:
            key, name = _digest(one)
            if known is None or name in known or self._stop.is_set():
                return key, name, b""
            return key, name, self._anew.compress(bytes(one.data))[1]

        # What is wrong with the archive or the disk ends a guess, and no build.
        with contextlib.suppress(OSError, ValueError):
            _stand_back()
            if known is not None:
                # A file system that knows no such files has no guesses.
                self._file = os.open(folder, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o600)
            end = 0
            for key, name, packed in map_in_order(pack, self._until_stopped(), begin=_stand_back):
                self._foresee(key, name)
                if packed and name not in self._found:
                    write_at(self._file, packed, end)
                    place = (self._file, end, len(packed), hashlib.sha256(packed).digest())
                    self._found[name] = place
                    end += len(packed)
            self.is_complete = not self._stop.is_set()

    def _foresee(self, key: bytes, name: bytes) -> None:
        if key:
            self.foreseen[key] = name

    def _until_stopped(self) -> Iterator[Guessed]:
        while not self._stop.is_set() and (one := next(self._left, None)) is not None:
            yield one


def _digest(one: Guessed) -> tuple[bytes, bytes]:
    """Return the key of a cluster, and its sha256."""
    return one.key, hashlib.sha256(one.data).digest()


def _pack(foreseen: dict[bytes, bytes]) -> bytes:
    return b"".join(_FORESEEN.pack(*one) for one in foreseen.items())


def _stand_back() -> None:
    """Let this thread have only what the processors have to spare: in Linux each has a value of its own."""
    thread = threading.get_native_id()
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, thread, os.getpriority(os.PRIO_PROCESS, thread) + _NICE)


def _state(info: os.stat_result) -> bytes:
    """Return what changes when anybody writes to a file: no program can set the ctime of an inode."""
    return _STATE.pack(info.st_ino, info.st_size, info.st_mtime_ns, info.st_ctime_ns)
