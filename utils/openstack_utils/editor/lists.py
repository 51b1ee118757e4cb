# SPDX-License-Identifier: MIT
"""Values that are lists: adding and removing one item (`--list`, `--list-sep`)."""

DEFAULT_SEPARATOR = ","


class ListStyle:
    """How a value's items are separated.

    `separator` None is the comma, written with the blank after it that the value already has
    (", " when it has but one item); an empty one is any blanks, and keeps one item per line when
    the value has that form; anything else separates as it stands.
    """

    def __init__(self, separator=None):
        self.separator = separator

    def split(self, value):
        if self.separator == "":
            return value.split()
        if not value:
            return []
        separator = DEFAULT_SEPARATOR if self.separator is None else self.separator
        if separator.strip():
            separator = separator.strip()
        return [item.strip() for item in value.split(separator)]

    def join(self, items, value):
        """`items` as one value in the style of the old `value`."""
        if self.separator == "":
            if "\n" not in value:
                return " ".join(items)
            return ("\n" if value.startswith("\n") else "") + "\n".join(items)
        if self.separator is not None:
            return self.separator.join(items)
        spaced = "," not in value or ", " in value or ",\t" in value
        return (", " if spaced else ",").join(items)

    def add(self, value, item):
        """`value` with `item`, unless it is there; a value of None was not set."""
        if value is None:
            return item
        items = self.split(value)
        if item in items:
            return self.join(items, value)
        while items and not items[-1] and self.separator is None and len(items) == 1:
            items.pop()
        return self.join(items + [item], value)

    def remove(self, value, item):
        """`value` without `item`."""
        items = self.split(value or "")
        if item in items:
            items.remove(item)
        return self.join(items, value or "")
