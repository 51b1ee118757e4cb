# SPDX-License-Identifier: MIT
"""The files next to a file that a run needs while it replaces it, and those that a killed run left.

They are called `.NAME.openstack-utils.XXXXXXXX`. While a run lives it holds a lock on each: one whose lock
is free is stale. What a killed --inplace leaves is called `.NAME.openstack-utils-backup.XXXXXXXX` and holds
the old text.
"""

import errno
import fcntl
import os

from .descriptors import read_all, system_error

MARK = ".openstack-utils."
COPY_MARK = ".openstack-utils-backup."


def create_work_file(file, hint=None):
    """Create and lock an empty file next to `file`; return (name, descriptor).

    `hint` is for a folder that cannot be written.
    """
    flags = os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW
    while True:
        name = work_name(file)
        try:
            descriptor = os.open(name, flags, 0o600)
        except FileExistsError:
            continue
        except OSError as error:
            is_forbidden = error.errno in (errno.EACCES, errno.EPERM, errno.EROFS)
            raise system_error(file.path, error, hint if is_forbidden else None) from error
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        return name, descriptor


def work_name(file):
    return os.path.join(file.folder, "." + file.base + MARK + os.urandom(4).hex())


def remove_stale(file, notify):
    """Remove work files that a killed run left for this file.

    Called with the file's lock held, if there is a file. A work file whose lock is free belongs to
    nobody; one that is another name of the file itself is what a run keeps for taking back. A copy that
    a killed --inplace left is removed only if the file still has that text.
    """
    prefix = "." + file.base + MARK
    copy_prefix = "." + file.base + COPY_MARK
    try:
        names = [n for n in os.listdir(file.folder) if n.startswith((prefix, copy_prefix))]
    except OSError:
        return
    own = os.fstat(file.descriptor) if file.descriptor is not None else None
    for name in names:
        path = os.path.join(file.folder, name)
        try:
            found = os.lstat(path)
            if own is not None and (found.st_dev, found.st_ino) == (own.st_dev, own.st_ino):
                os.unlink(path)
                continue
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        except OSError:
            continue
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            whole = name.startswith(copy_prefix)
            if not whole or (own is not None and read_all(descriptor, path) == _peek(file)):
                os.unlink(path)
            else:
                text = "an --inplace edit of %s was cut short: its old text is in %s"
                notify(text % (file.path, path))
        except OSError:
            pass
        finally:
            os.close(descriptor)


def remove_stale_in(folder):
    """Remove the work files that killed runs left in a folder; copies of --inplace stay."""
    for name in os.listdir(folder):
        start, found, ending = name.rpartition(MARK)
        if not found or not start.startswith(".") or len(ending) != 8:
            continue
        path = os.path.join(folder, name)
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        except OSError:
            continue
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.unlink(path)
        except OSError:
            pass
        finally:
            os.close(descriptor)


def _peek(file):
    """The file's text, the position of its descriptor left at the start."""
    data = read_all(file.descriptor, file.path)
    os.lseek(file.descriptor, 0, os.SEEK_SET)
    return data
