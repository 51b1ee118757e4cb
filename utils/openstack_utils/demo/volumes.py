# SPDX-License-Identifier: MIT
"""A group of volumes in a file on a loop device, as the talk of 2012 made it: for trying out only."""

import os
import re

from ..errors import AccessError, UsageError, UtilityError, reason_of
from ..host import processes
from ..storage.private_files import check_ours
from .steps import VOLUME_GROUP

CONTROL = "/dev/mapper/control"
UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
LEAST = 1 << 30
TOOLS = ("losetup", "vgs", "vgcreate", "vgchange")


def read_size(text):
    """Return the bytes of a size such as 10G. Raises UsageError."""
    found = re.fullmatch(r"([1-9][0-9]*)([KMGT]?)", text)
    size = int(found[1]) * UNITS[found[2]] if found else 0
    if size < LEAST:
        raise UsageError("--size %s: a size of 1G or more is wanted" % text, hint="such as --size 10G")
    return size


def check(path, find):
    """Raise UsageError or AccessError where no group can be made in this file; `find` finds programs."""
    if not os.path.isabs(path) or not os.path.isdir(os.path.dirname(path)):
        raise UsageError("--nova-volumes %s: not a full path in a folder that is there" % path)
    if os.path.lexists(path) and (os.path.islink(path) or not os.path.isfile(path)):
        raise UsageError("--nova-volumes %s: not a regular file" % path)
    check_ours(path)
    for tool in TOOLS:
        if find(tool) is None:
            message = "--nova-volumes: %s is not installed" % tool
            raise AccessError(
                message, hint="dnf install %s" % ("util-linux" if tool == "losetup" else "lvm2")
            )
    reason = why_no_device_mapper()
    if reason:
        message = "--nova-volumes: the kernel has no device-mapper: %s: %s" % (CONTROL, reason)
        raise AccessError(message, hint="modprobe dm_mod")


def why_no_device_mapper(control=CONTROL):
    """Return why the kernel maps no devices, or None where it does.

    The node proves nothing: it is made at boot, so that opening it loads the module.
    """
    try:
        os.close(os.open(control, os.O_RDWR | os.O_CLOEXEC))
    except PermissionError:
        # Only root may, who is asked again.
        return None
    except OSError as error:
        return reason_of(error)
    return None


def make(step):
    """See that the group is there; return whether it was not. Raises UtilityError."""
    if _has_group():
        return False
    is_new = not os.path.exists(step.file) or os.path.getsize(step.file) == 0
    if is_new:
        check_ours(step.file)
        descriptor = os.open(step.file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            os.ftruncate(descriptor, step.size)
        finally:
            os.close(descriptor)
    attached = _run("losetup", "--noheadings", "--output", "NAME", "--associated", step.file).split()
    device = attached[0] if attached else _run("losetup", "--find", "--show", step.file).strip()
    # The file of a run that was killed, or that of before a boot, may have the group already.
    processes.run(["vgchange", "--activate", "y", VOLUME_GROUP], ok=None)
    if _has_group():
        return True
    if not is_new and _is_used(device):
        message = "%s has something else in it than a group of volumes named %s" % (step.file, VOLUME_GROUP)
        raise UtilityError(message, hint="name a file that is not there yet")
    _run("vgcreate", VOLUME_GROUP, device)
    return True


def _is_used(device):
    """Say whether something of the device is not zero where signatures stand: its first MiB."""
    with open(device, "rb") as file:
        return any(file.read(1 << 20))


def _has_group():
    return processes.run(["vgs", "--noheadings", VOLUME_GROUP], ok=None).code == 0


def _run(*argv):
    return processes.run(list(argv)).out
