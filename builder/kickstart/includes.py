# SPDX-License-Identifier: MIT
"""Which files of this host a kickstart may include: a stranger's must not carry off what is the user's alone.

What is included inside a script gets into the image, or onto the network. So a file is included when its
name is a kickstart's, when it lies with the kickstart and is not private, or when anybody may read it. Links
in an element of diskimage-builder are judged in the same way.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

HINT = "name it *.ks, or copy it to the kickstart's folder and let others read it (chmod go+r)"


def is_private(path: Path, kickstart: Path) -> bool:
    """Say whether `path` is a file that `kickstart`, the first of all, must not include.

    Args:
        path, kickstart: existing files; links count as what they lead to.
    """
    real, folder = Path(os.path.realpath(path)), Path(os.path.realpath(kickstart)).parent
    outside = real.relative_to(folder) if real.is_relative_to(folder) else real
    is_hidden = any(part.startswith(".") for part in outside.parts)
    if real.suffix == ".ks" or (real.suffix in (".cfg", ".inc") and not is_hidden):
        return False
    mode = real.stat().st_mode
    if outside is not real and not is_hidden and mode & (stat.S_IRGRP | stat.S_IROTH):
        return False
    return not _is_everybodys(real)


def leads_to_private(path: Path, root: Path) -> bool:
    """Say whether `path`, below `root`, is a link to what a stranger must not carry off.

    It may lead to what lies below `root` as well and is not hidden, and to what anybody may read.
    """
    real, base = Path(os.path.realpath(path)), Path(os.path.realpath(root))
    if real == base / path.relative_to(root):
        return False
    if real.is_relative_to(base) and not any(one.startswith(".") for one in real.relative_to(base).parts):
        return False
    return not _is_everybodys(real)


def _is_everybodys(real: Path) -> bool:
    mode = real.stat().st_mode
    return bool(mode & stat.S_IROTH) and all(one.stat().st_mode & stat.S_IXOTH for one in real.parents)
