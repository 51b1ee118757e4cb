# SPDX-License-Identifier: MIT
"""What the readers of file systems say of an inode."""

from __future__ import annotations

from typing import NamedTuple


class LabelledInode(NamedTuple):
    """The st_mode of an inode and its SELinux label; None: it has none."""

    mode: int
    label: str | None
