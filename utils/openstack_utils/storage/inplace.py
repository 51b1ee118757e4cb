# SPDX-License-Identifier: MIT
"""--inplace: writing into the locked file itself, for hard links and folders without permission.

The inode, and with it every link, label and owner, stays. This is the one way of writing that a
SIGKILL can cut short; a copy of the old text is next to the file (or in the folder for
temporary files) until the new one is synced.
"""

import errno
import fcntl
import os

from ..errors import UtilityError
from . import descriptors, work_files


def commit(files, suffix=None):
    """Write the changed files of a Transaction in place; return them."""
    changed = files.changed()
    missing = [file for file in changed if file.descriptor is None]
    present = [file for file in changed if file.descriptor is not None]
    copies, touched = {}, []
    files.signals.defer()
    try:
        for file in present:
            copies[file] = _copy(file)
            if suffix:
                files.back_up(file, suffix)
            files.signals.check()
        for file in missing:
            files.create(file)
        for file in present:
            files.signals.check()
            touched.append(file)
            _overwrite(file, file.new)
        files.signals.check()
    except BaseException as error:
        for file in reversed(touched):
            if not _restore(file):
                name, descriptor = copies.pop(file)
                os.close(descriptor)
                message = "%s: damaged, the old text is in %s" % (file.path, name)
                raise UtilityError(message, hint="copy it back") from error
        for file in missing:
            files.remove_created(file)
        raise
    finally:
        for name, descriptor in copies.values():
            descriptors.unlink(name)
            os.close(descriptor)
    return changed


def _copy(file):
    """Keep the old text somewhere; return (name, descriptor) of the copy, which is locked."""
    flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW
    ending = os.urandom(4).hex()
    for folder in (file.folder, "/var/tmp", "/tmp"):
        # A copy gets the name that the next run looks at only when it is whole.
        name = os.path.join(folder, "." + file.base + work_files.MARK + ending)
        whole = os.path.join(folder, "." + file.base + work_files.COPY_MARK + ending)
        try:
            descriptor = os.open(name, flags, 0o600)
        except OSError as error:
            last = error
            if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
                continue
            break
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            descriptors.write_all(descriptor, file.data)
            os.fsync(descriptor)
            os.rename(name, whole)
            return whole, descriptor
        except OSError as error:
            last = error
            descriptors.unlink(name)
            os.close(descriptor)
            break
    raise descriptors.system_error(file.path, last) from last


def _overwrite(file, data):
    descriptor = file.descriptor
    try:
        # Ask for the space first: a full disk then shows before the old text is touched.
        if len(data) > os.fstat(descriptor).st_size:
            try:
                os.posix_fallocate(descriptor, 0, len(data))
            except OSError as error:
                if error.errno not in (errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS):
                    raise
        os.lseek(descriptor, 0, os.SEEK_SET)
        descriptors.write_all(descriptor, data)
        os.ftruncate(descriptor, len(data))
        os.fsync(descriptor)
    except OSError as error:
        raise descriptors.system_error(file.path, error) from error


def _restore(file):
    """Write the old text again; False when even that fails."""
    try:
        os.lseek(file.descriptor, 0, os.SEEK_SET)
        descriptors.write_all(file.descriptor, file.data)
        os.ftruncate(file.descriptor, len(file.data))
        os.fsync(file.descriptor)
    except OSError:
        return False
    return True
