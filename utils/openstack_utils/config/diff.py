# SPDX-License-Identifier: MIT
"""--diff: what an edit changes, as a unified diff."""

import difflib

from ..editor.document import decode, split_lines


def unified(path, old, new):
    """The unified diff from `old` (None for a new file) to `new`; '' when they are equal."""
    if old == new:
        return ""
    before = split_lines(decode(old or b"")[0])
    after = split_lines(decode(new)[0])
    name = "/dev/null" if old is None else path
    lines = []
    for line in difflib.unified_diff(before, after, name, path):
        ended = line.endswith(("\n", "\r"))
        lines.append(line if ended else line + "\n\\ No newline at end of file\n")
    return "".join(lines)
