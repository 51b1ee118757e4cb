# SPDX-License-Identifier: MIT
"""Reading, writing and syncing through file descriptors, and what their errors are called."""

import errno
import fcntl
import os
import stat
import time

from ..errors import AccessError, MissingError, UsageError, UtilityError


def system_path(path):
    """A path as the system calls take it.

    Texts are UTF-8 here whatever the locale; `os.open` would encode them by the locale.
    """
    return os.fsdecode(path.encode("utf-8", "surrogateescape"))


def read_file(path):
    """The bytes of a file that is only read; it may be a pipe."""
    try:
        descriptor = os.open(system_path(path), os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        raise missing_file(path) from None
    except OSError as error:
        raise system_error(path, error) from error
    try:
        status = os.fstat(descriptor)
        if stat.S_ISDIR(status.st_mode):
            raise not_regular(path, status)
        if stat.S_ISREG(status.st_mode):
            _share(descriptor)
        return read_all(descriptor, path)
    finally:
        os.close(descriptor)


def _share(descriptor):
    """Wait a moment for somebody who writes in place; a reader never blocks for good."""
    for _ in range(1000):
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            time.sleep(0.002)
        except OSError:
            return


def read_all(descriptor, path):
    parts = []
    try:
        while True:
            part = os.read(descriptor, 1 << 20)
            if not part:
                return b"".join(parts)
            parts.append(part)
    except OSError as error:
        raise system_error(path, error) from error


def write_all(descriptor, data):
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def sync_folder(folder):
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    except PermissionError:
        # Write and search permission without read permission: nothing to sync it by.
        return
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise system_error(folder, error) from error
    finally:
        os.close(descriptor)


def unlink(path):
    if path:
        try:
            os.unlink(path)
        except OSError:
            pass


def missing_file(path, hint=None):
    return MissingError(
        "%s: no such file" % path,
        hint=hint,
        plain="[Errno 2] No such file or directory: '%s'" % path,
    )


def check_regular(path, real):
    """Refuse anything at `real`, which people know as `path`, but a regular file: it must not be replaced."""
    try:
        status = os.lstat(real)
    except FileNotFoundError:
        return
    if not stat.S_ISREG(status.st_mode):
        raise not_regular(path, status)


def not_regular(path, status):
    if stat.S_ISDIR(status.st_mode):
        return UsageError("%s: is a directory" % path, plain="[Errno 21] Is a directory: '%s'" % path)
    return UsageError("%s: is not a regular file" % path)


def system_error(path, error, hint=None):
    kind = AccessError if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS) else UtilityError
    text = os.strerror(error.errno)
    return kind(
        "%s: %s" % (path, text[:1].lower() + text[1:]),
        hint=hint,
        plain="[Errno %d] %s: '%s'" % (error.errno, text, path),
    )
