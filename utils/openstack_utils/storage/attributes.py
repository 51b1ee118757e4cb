# SPDX-License-Identifier: MIT
"""Carrying owner, group, mode, ACL and extended attributes from one file to another."""

import errno
import os
import stat

from ..errors import AccessError

ACL = "system.posix_acl_access"
# Hashes and signatures of the old content: the kernel makes them anew, and a copy would be wrong.
OF_CONTENT = ("security.ima", "security.evm")
UNSUPPORTED = (errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS)


def copy_attributes(source, status, target, path):
    """Give the open file `target` everything but content and times of the open file `source`.

    `status` is the source's fstat and `path` its name for messages. Raises AccessError when
    something cannot be carried over, because the file would then be readable by the wrong users.
    """
    made = os.fstat(target)
    if (made.st_uid, made.st_gid) != (status.st_uid, status.st_gid):
        try:
            os.fchown(target, status.st_uid, status.st_gid)
        except OSError as error:
            raise _not_kept(path, "owner and group", error) from error
    os.fchmod(target, stat.S_IMODE(status.st_mode))
    _copy_xattrs(source, target, path)


def _copy_xattrs(source, target, path):
    wanted = _xattrs(source)
    present = _xattrs(target)
    for name, value in wanted.items():
        if name in OF_CONTENT or present.get(name) == value:
            continue
        try:
            os.setxattr(target, name, value)
        except OSError as error:
            raise _not_kept(path, name, error) from error
    # A default ACL of the folder gives the new file an ACL the old one may not have had.
    if ACL in present and ACL not in wanted:
        os.removexattr(target, ACL)
        os.fchmod(target, stat.S_IMODE(os.fstat(source).st_mode))


def _xattrs(descriptor):
    try:
        return {name: os.getxattr(descriptor, name) for name in os.listxattr(descriptor)}
    except OSError as error:
        if error.errno in UNSUPPORTED:
            return {}
        raise


def _not_kept(path, what, error):
    return AccessError(
        "%s: cannot keep its %s: %s" % (path, what, os.strerror(error.errno)),
        hint="run as root or as the file's owner, or use --inplace",
    )
