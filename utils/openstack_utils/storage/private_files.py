# SPDX-License-Identifier: MIT
"""Small files with secrets in them: 0600 from their first byte, replaced whole or not at all."""

import os

from ..errors import AccessError, UtilityError

MARK = ".sample-data."


def write_private(path, text, mark=MARK):
    """Write `path` with mode 0600; return whether it has changed. A link is followed.

    `mark` is what tells whose work files stand beside it.

    Raises UtilityError, AccessError where the system forbids it.
    """
    path = os.path.realpath(path)
    data = text.encode("utf-8", "surrogateescape")
    folder, name = os.path.split(path)
    work = os.path.join(folder, ".%s%s%d" % (name, mark, os.getpid()))
    try:
        if _has(path, data):
            return False
        descriptor = os.open(work, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.rename(work, path)
        except BaseException:
            os.unlink(work)
            raise
    except OSError as error:
        kind = AccessError if isinstance(error, PermissionError) else UtilityError
        raise kind("%s: %s" % (path, error.strerror.lower())) from None
    return True


def remove_stale(folder, mark=MARK):
    """Remove the work files that killed runs left in a folder."""
    for name in os.listdir(folder):
        start, found, number = name.rpartition(mark)
        if found and start.startswith(".") and number.isdigit() and not _is_alive(int(number)):
            os.unlink(os.path.join(folder, name))


def _has(path, data):
    """Say whether the file holds just that, for its owner's eyes only."""
    try:
        with open(path, "rb") as file:
            return file.read() == data and os.fstat(file.fileno()).st_mode & 0o777 == 0o600
    except (FileNotFoundError, PermissionError):
        return False


def _is_alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True
