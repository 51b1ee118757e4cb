# SPDX-License-Identifier: MIT
"""Commenting options out, and bringing commented-out ones back."""

from ..errors import MissingError, StorageError
from .document import COMMENT, Item, split_lines
from .placement import commented_name, is_further


def comment(editor, section, name, value=None):
    """Comment out an option, all its values or only `value`; False when it already is.

    Raises MissingError when there is no such option, commented out or not.
    """
    found = editor.find(section, name)
    if value is not None:
        found = [pair for pair in found if (editor.value_of(pair[1]) or "") == value]
    if not found:
        if _examples(editor, section, name):
            return False
        editor.need_section(section)
        raise _missing(name, section, value)
    for occurrence, item in found:
        index = occurrence.items.index(item)
        first, *further = split_lines(item.text)
        items = [Item(COMMENT, "#" + first)]
        # One more blank before a line indented by one, so that uncommenting knows it again.
        items += [Item(COMMENT, "#" + _deepen(line)) for line in further]
        occurrence.items[index : index + 1] = items
    return True


def _deepen(line):
    blanks = len(line) - len(line.lstrip(" \t"))
    return " " + line if blanks == 1 and line[0] == " " else line


def example_value(editor, section, name):
    """Return the value of the first commented-out example of an option, or None."""
    for occurrence, index, count in _examples(editor, section, name):
        item = _parse_one(editor, occurrence, _bare(occurrence, index, count))
        if item is not None:
            return editor.value_of(item) or ""
    return None


def uncomment(editor, section, name, value=None):
    """Bring back a commented-out option: the first example, or the one that holds `value`.

    False when the option is active already (with that value). Raises MissingError when there is
    no such example, StorageError when it holds the placeholder `<None>`.
    """
    active = editor.values(section, name) if editor.find(section, name) else []
    if active and (value is None or value in active):
        return False
    for occurrence, index, count in _examples(editor, section, name):
        item = _parse_one(editor, occurrence, _bare(occurrence, index, count))
        if item is None:
            continue
        found = editor.value_of(item) or ""
        if value is not None and found != value:
            continue
        if found == "<None>":
            raise StorageError(
                "the example of %s in [%s] has no value" % (name, section or "DEFAULT"),
                hint="give it one with --set",
            )
        occurrence.items[index : index + count] = [item]
        return True
    editor.need_section(section)
    raise _missing(name, section, value)


def _bare(section, index, count):
    """The text of an example without its comment signs."""
    lines = [item.text for item in section.items[index : index + count]]
    return "".join([lines[0][1:].lstrip(" ")] + [line[1:] for line in lines[1:]])


def _parse_one(editor, section, text):
    """The single option in `text`, read as a part of `section`; None if it is none."""
    header = "" if section.name is None else "[x]\n"
    parsed = editor.dialect.parse(header + text)
    items = parsed.sections[-1].items
    return items[0] if len(items) == 1 and editor.is_option(items[0]) else None


def _examples(editor, section, name):
    """All (occurrence, index, number of lines) of commented-out examples of an option."""
    fold = editor.dialect.fold
    found = []
    for occurrence in editor.find_sections(section):
        items = occurrence.items
        for index, item in enumerate(items):
            if item.kind != COMMENT:
                continue
            commented = commented_name(item.text)
            if commented is None or fold(commented) != fold(name):
                continue
            end = index + 1
            while end < len(items) and _continues(editor, items[end - 1], items[end]):
                end += 1
            found.append((occurrence, index, end - index))
    return found


def _continues(editor, line, next_line):
    """Whether a comment line belongs to the example that the one above is of."""
    if editor.dialect.NAME == "systemd" and line.text.rstrip("\r\n").endswith("\\"):
        return next_line.kind == COMMENT
    return is_further(next_line)


def _missing(name, section, value):
    what = name if value is None else "%s = %s" % (name, value)
    return MissingError(
        "parameter not found: %s in [%s], not even commented out" % (what, section or "DEFAULT"),
        plain="Parameter not found: %s" % name,
    )
