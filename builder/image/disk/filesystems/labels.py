# SPDX-License-Identifier: MIT
"""SELinux's labels of what goes onto a disk, by the image's own policy.

The attribute that a file of the tree has is none of them: where the host runs SELinux, its kernel gives every
new file a label of the host's policy, and takes none that this policy does not know (Linux, selinux/hooks.c:
selinux_inode_init_security, selinux_inode_setxattr). So none is written into the tree, nor read there.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from builder.errors import BuildError
from builder.formats.file_contexts import FileContexts

ATTRIBUTE = "security.selinux"


@dataclass(frozen=True, kw_only=True, slots=True)
class Labels:
    """Knows the label of each path; without `contexts`, the policy's, no file gets one.

    `folders`: each folder that becomes a file system, or a subvolume, and its mount point.
    """

    contexts: FileContexts | None = None
    folders: Mapping[bytes, str] = field(default_factory=dict)
    _found: dict[bytes, bytes | None] = field(default_factory=dict, repr=False)

    def of(self, path: bytes, mode: int) -> bytes | None:
        """Return the value of security.selinux of a path of st_mode `mode`; None: it has none.

        Raises:
            BuildError: the policy's file contexts cannot be read.
        """
        if self.contexts is None:
            return None
        if path not in self._found:
            try:
                label = self.contexts.lookup(self._in_image(path), mode)
            except (re.error, RecursionError) as error:
                raise BuildError(
                    f"the file contexts of the image's SELinux policy cannot be read: {error}",
                    hint="a package or a script has left something else in contexts/files/ of the policy",
                ) from error
            self._found[path] = None if label is None else label.encode() + b"\0"
        return self._found[path]

    def _in_image(self, path: bytes) -> str:
        above = [top for top in self.folders if path == top or path.startswith(top + b"/")]
        top = max(above, key=len)
        return self.folders[top].rstrip("/") + os.fsdecode(path[len(top) :]) or "/"
