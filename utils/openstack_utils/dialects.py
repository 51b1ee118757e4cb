# SPDX-License-Identifier: MIT
"""The dialects: how text is read and written. Each is a module with the same functions.

`parse(text)` gives a Document, `read_value(item)` an option's value, `render(...)` the Item for a
new value, `fold(name)` the form in which names are compared, `check_section` and `check_name`
refuse what cannot be written. `HAS_GLOBAL` says whether options may stand above the first header,
`STRICT` whether a file its reader cannot read is refused or only warned about.
"""

NAMES = ("oslo", "crudini", "systemd")


def dialect(name="oslo"):
    """Return the dialect called `name`; only that one is imported."""
    if name == "crudini":
        from . import crudini as found
    elif name == "systemd":
        from . import systemd as found
    else:
        from . import oslo as found
    return found
