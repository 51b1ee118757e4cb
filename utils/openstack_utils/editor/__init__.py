# SPDX-License-Identifier: MIT
"""Ini files as text: reading and editing them in three dialects, with every other byte kept.

A dialect is how text is read and written: a module with the same functions as the others.

`parse(text)` gives a Document, `read_value(item)` an option's value, `render(...)` the Item for a
new value, `fold(name)` the form in which names are compared, `check_section` and `check_name`
refuse what cannot be written, `meaning(value)` is what the reader makes of a written value. Its
constants say whether options may stand above the first header (HAS_GLOBAL), whether [DEFAULT] is
that area too (DEFAULT_IS_GLOBAL) and lends its options to the others (INHERITS), whether a new
option goes after its commented example (BEHIND_EXAMPLE), and what happens to a file the reader
cannot read (UNREADABLE: "refuse", "error" or "warning").
"""

NAMES = ("oslo", "crudini", "systemd")


def load_dialect(name="oslo"):
    """Return the dialect called `name`; only that one is imported."""
    if name == "crudini":
        from . import crudini

        return crudini
    if name == "systemd":
        from . import systemd

        return systemd
    from . import oslo

    return oslo
