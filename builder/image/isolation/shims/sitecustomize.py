# SPDX-License-Identifier: MIT
"""Python of %pre scripts: the disk of the image, which is a file there, is a block device to who asks.

Python imports this module by its name when it starts (site, of the standard library).
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from typing import Any

_ASK = {name: getattr(os, name) for name in ("stat", "lstat", "fstat")}
_DEVICE = os.makedev(252, 0)
# What a stat_result has in its sequence; Python 3.14 takes none of them by name as well.
_IN_SEQUENCE = {"st_mode", "st_ino", "st_dev", "st_nlink", "st_uid", "st_gid", "st_size"}


def _disk() -> tuple[int, int]:
    with open(os.path.join(os.path.dirname(__file__), ".disk_name")) as file:
        found = _ASK["stat"]("/dev/" + file.read().strip())
    return found.st_dev, found.st_ino


def _answer(ask: Callable[..., os.stat_result]) -> Callable[..., os.stat_result]:
    def answer(*arguments: Any, **more: Any) -> os.stat_result:
        found = ask(*arguments, **more)
        if (found.st_dev, found.st_ino) != _DISK:
            return found
        names = {name for name in dir(found) if name.startswith("st_")} - _IN_SEQUENCE
        fields = {name: getattr(found, name) for name in names}
        fields["st_rdev"] = _DEVICE
        sequence = list(found)
        sequence[stat.ST_MODE] = stat.S_IFBLK | stat.S_IMODE(found.st_mode)
        sequence[stat.ST_SIZE] = 0
        return os.stat_result(sequence, fields)

    return answer


try:
    _DISK = _disk()
except OSError:
    pass
else:
    for _name, _function in _ASK.items():
        setattr(os, _name, _answer(_function))
