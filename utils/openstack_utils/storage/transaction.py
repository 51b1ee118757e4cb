# SPDX-License-Identifier: MIT
"""Replacing one or several files so that a reader sees the old text or the new, never a part.

All files are locked (on the file itself, no lock files), read, edited by the caller, written to
work files next to them and synced; only then the first is renamed. An error or a signal before the
end takes the renames back. Work files are called `.NAME.openstack-utils.XXXXXXXX`; those of a
killed run are removed by the next one.
"""

import errno
import fcntl
import os
import stat
import time

from ..errors import UtilityError
from ..host.signals import Signals
from . import attributes
from .descriptors import (
    check_regular,
    missing_file,
    not_regular,
    read_all,
    sync_folder,
    system_error,
    system_path,
    unlink,
    write_all,
)
from .work_files import create_work_file, remove_stale, work_name

CREATED_MODE = 0o640


class Changed(Exception):
    """Somebody else created or replaced the file meanwhile: begin again."""


class OpenFile:
    """A locked file. `data` is its content, or None when it does not exist yet."""

    def __init__(self, path):
        self.path = path
        self.real = os.path.realpath(system_path(path))
        self.folder, self.base = os.path.split(self.real)
        self.descriptor = None
        self.status = None
        self.data = None
        self.new = None
        # The work file with the new text, the name that keeps the old one, and how far it got.
        self.work = ""
        self.work_descriptor = None
        self.old = None
        self.renamed = False

    def close(self):
        for descriptor in (self.descriptor, self.work_descriptor):
            if descriptor is not None:
                os.close(descriptor)
        self.descriptor = self.work_descriptor = None


class Transaction:
    """Locked files of one run. Use as a context manager; nothing is written before `commit`.

    `check` is called again and again while another writer is waited for, and may raise.
    """

    def __init__(self, notify=None, check=None):
        self.files = []
        self.notify = notify or (lambda _text: None)
        self.check = check
        self.signals = Signals()

    def __enter__(self):
        self.signals.catch()
        return self

    def __exit__(self, *ignored):
        for file in self.files:
            file.close()
        self.signals.release()

    def open(self, paths, create=(), inplace=False):
        """Lock and read `paths`; return {path: OpenFile}.

        A path in `create` may be missing if its folder is there. Locks are taken in one order,
        so that two transactions never wait for each other.
        """
        by_real, opened = {}, {}
        for path in paths:
            file = OpenFile(path)
            opened[path] = by_real.setdefault(file.real, file)
        creatable = {OpenFile(path).real for path in create}
        for real in sorted(by_real):
            file = by_real[real]
            self.files.append(file)
            self._lock(file, real in creatable, inplace)
        return opened

    def _lock(self, file, create, inplace):
        while True:
            try:
                flags = os.O_RDWR if inplace else os.O_RDONLY
                descriptor = os.open(file.real, flags | os.O_CLOEXEC | os.O_NONBLOCK)
            except FileNotFoundError:
                if create and os.path.isdir(file.folder):
                    remove_stale(file, self.notify)
                    return
                hint = "the folder %s is not there" % file.folder if create else None
                raise missing_file(file.path, hint) from None
            except OSError as error:
                raise system_error(file.path, error, _hint(file, error)) from error
            file.descriptor = descriptor
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise not_regular(file.path, status)
            self._wait(descriptor, file.path)
            if _is_current(file.real, status):
                break
            os.close(descriptor)
            file.descriptor = None
        remove_stale(file, self.notify)
        file.status = os.fstat(descriptor)
        if file.status.st_nlink > 1 and not inplace:
            raise UtilityError(
                "%s: has %d hard links, replacing it would split them" % (file.path, file.status.st_nlink),
                hint="use --inplace",
            )
        file.data = read_all(descriptor, file.path)

    def _wait(self, descriptor, path):
        """Take the lock; say so when that takes long."""
        deadline, announced = time.monotonic() + 2, False
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                if not announced and time.monotonic() > deadline:
                    announced = True
                    self.notify("waiting for another writer of %s" % path)
                    if self.check is None:
                        fcntl.flock(descriptor, fcntl.LOCK_EX)
                        return
                if self.check is not None:
                    self.check()
                time.sleep(0.02 if announced else 0.002)

    def changed(self):
        """The files whose text is to change; an empty text does not make a file."""
        return [f for f in self.files if f.new is not None and f.new != (f.data or b"")]

    def commit(self, backup=None):
        """Write every file whose `new` differs from its `data`; return those files.

        `backup` is a suffix under which the old text is kept.
        """
        changed = self.changed()
        self.signals.defer()
        try:
            for file in changed:
                self._prepare(file)
                self.signals.check()
            if backup:
                for file in changed:
                    self.back_up(file, backup)
                    self.signals.check()
            for file in changed:
                self._keep_old(file)
                self.signals.check()
            for file in changed:
                self._rename(file)
                self.signals.check()
            for folder in {file.folder for file in changed}:
                sync_folder(folder)
            self.signals.check()
        except BaseException:
            self._take_back(changed)
            raise
        for file in changed:
            unlink(file.old)
        return changed

    def _prepare(self, file):
        """Write and sync the work file with the new text, with the old file's attributes."""
        can_write = file.descriptor is not None and os.access(file.real, os.W_OK)
        hint = "the folder %s cannot be written; use --inplace" % file.folder
        file.work, file.work_descriptor = create_work_file(file, hint if can_write else None)
        try:
            write_all(file.work_descriptor, file.new)
            if file.descriptor is None:
                os.fchmod(file.work_descriptor, CREATED_MODE)
            else:
                attributes.copy_attributes(file.descriptor, file.status, file.work_descriptor, file.path)
            os.fsync(file.work_descriptor)
        except OSError as error:
            raise system_error(file.path, error) from error

    def create(self, file):
        """Write a file that does not exist yet."""
        self._prepare(file)
        self._rename(file)
        sync_folder(file.folder)

    def remove_created(self, file):
        """Take back `create`."""
        if file.renamed:
            unlink(file.real)
        unlink(file.work)

    def back_up(self, file, suffix):
        """Keep the old text, with its attributes, under the file's name and `suffix`."""
        if file.descriptor is None:
            return
        # Its work file is called after `file`, so that the next run on that knows to remove it.
        copy = OpenFile(file.path)
        copy.real = os.path.realpath(file.real + system_path(suffix))
        copy.descriptor, copy.status, copy.new = file.descriptor, file.status, file.data
        try:
            check_regular(file.path + suffix, copy.real)
            self._prepare(copy)
            os.rename(copy.work, copy.real)
        except OSError as error:
            raise system_error(copy.path, error) from error
        finally:
            unlink(copy.work)
            copy.descriptor = None
            copy.close()

    def _keep_old(self, file):
        """Keep the old text under a second name until everything has succeeded."""
        if file.descriptor is None:
            return
        name = work_name(file)
        try:
            os.link(file.real, name)
        except OSError:
            # No hard links here, or not for this user: a copy does as well.
            copy = OpenFile(file.path)
            copy.descriptor, copy.status, copy.new = file.descriptor, file.status, file.data
            try:
                self._prepare(copy)
            finally:
                name = copy.work
                file.old = name
                copy.descriptor = None
                copy.close()
        file.old = name

    def _rename(self, file):
        try:
            if file.descriptor is None:
                _create(file)
            else:
                file.renamed = True
                os.rename(file.work, file.real)
        except OSError as error:
            file.renamed = False
            raise system_error(file.path, error, _hint(file, error)) from error

    def _take_back(self, changed):
        for file in reversed(changed):
            if file.renamed and file.old is None:
                unlink(file.real)
            elif file.renamed:
                try:
                    os.rename(file.old, file.real)
                except OSError as error:
                    self.notify(
                        "%s: could not be put back (%s), the old text is in %s"
                        % (file.path, os.strerror(error.errno or 0), file.old)
                    )
                    file.old = None
            unlink(file.work)
            unlink(file.old)


def _create(file):
    """Give the work file its name unless somebody has created the file meanwhile."""
    try:
        os.link(file.work, file.real)
    except (FileExistsError, FileNotFoundError):
        # Created meanwhile, or the work file was taken for a dead run's before it was locked.
        raise Changed from None
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS):
            raise
        if os.path.lexists(file.real):
            raise Changed from None
        os.rename(file.work, file.real)
    file.renamed = True
    unlink(file.work)


def _hint(file, error):
    """Return the way out where a file cannot be replaced."""
    if error.errno == errno.EBUSY:
        return "something is mounted at the file itself, as in containers; use --inplace"
    if error.errno == errno.EPERM:
        return "lsattr %s shows whether it is immutable or append-only (chattr)" % file.path
    return None


def _is_current(real, status):
    try:
        now = os.stat(real)
    except OSError:
        return False
    return (now.st_dev, now.st_ino) == (status.st_dev, status.st_ino)


def write_output(path, data, notify, writer=None):
    """Write the result of an edit to a file of its own, or to a device or pipe.

    `writer(transaction)` commits instead of the transaction itself, for --inplace.
    """
    target = system_path(path)
    if os.path.exists(target) and not os.path.isfile(target):
        try:
            descriptor = os.open(target, os.O_WRONLY | os.O_CLOEXEC)
            try:
                write_all(descriptor, data)
            finally:
                os.close(descriptor)
        except OSError as error:
            raise system_error(path, error) from error
        return
    with Transaction(notify) as files:
        files.open([path], create=[path], inplace=writer is not None)[path].new = data
        if writer is None:
            files.commit()
        else:
            writer(files)
