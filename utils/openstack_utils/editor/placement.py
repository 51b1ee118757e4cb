# SPDX-License-Identifier: MIT
"""Where new options and sections go, and what remains of a deleted section."""

from .document import BLANK, COMMENT, Item, Section


def commented_name(text):
    """The option name in a commented-out example such as `#name = value`, or None."""
    body = text[1:]
    if body[:1] == " ":
        body = body[1:]
    for index, character in enumerate(body):
        if character in "=:":
            name = body[:index].rstrip()
            return name if name and name == name.lstrip() else None
    return None


def behind_example(section, name):
    """Index after the first run of commented-out examples of `name`, with all their lines, or None."""
    found = None
    for index, item in enumerate(section.items):
        if item.kind == COMMENT and name in item.text and commented_name(item.text) == name:
            found = index
        elif found is not None and not is_further(item):
            break
        elif found is not None:
            found = index
    return None if found is None else found + 1


def is_further(item):
    """Whether a comment line continues an example: `#` and an indented rest."""
    body = item.text[1:]
    return item.kind == COMMENT and bool(body.strip()) and body.startswith(("  ", "\t"))


def end_of(document, section):
    """Index where a section's own lines end: before trailing blanks, and before a comment that
    stands right above the next header and so belongs to that."""
    items = section.items
    end = len(items)
    if section is not document.sections[-1]:
        while end and items[end - 1].kind == COMMENT:
            end -= 1
        if items[end - 1].kind != BLANK if end else section.name is not None:
            end = len(items)
    while end and items[end - 1].kind == BLANK:
        end -= 1
    return end


def behind_last_option(section, is_option):
    """Index after the section's last option, 0 if it has none."""
    for index in range(len(section.items), 0, -1):
        if is_option(section.items[index - 1]):
            return index
    return 0


def insert_item(document, section, index, item):
    if index == len(section.items):
        document.end_last_line(section)
        if section is not document.sections[-1]:
            _terminate(document, item)
    else:
        _terminate(document, item)
    section.items.insert(index, item)


def _terminate(document, item):
    if not item.text.endswith(("\n", "\r")):
        item.text += document.newline


def append_section(document, name, always_blank=False):
    """A new section at the end of the file, a blank line before it; return the Section."""
    section = Section(name, "[%s]%s" % (name, document.newline))
    last = document.sections[-1]
    document.end_last_line(last)
    if last.text() and (always_blank or not ends_blank(last)):
        last.items.append(Item(BLANK, document.newline))
    document.sections.append(section)
    return section


def put_default_first(document, behind_heading=True):
    """A new [DEFAULT] before the first section, after a heading comment that no section owns.

    Without `behind_heading` it becomes the first line of the file.
    """
    section = Section("DEFAULT", "[DEFAULT]" + document.newline)
    top = document.sections[0]
    if not behind_heading:
        section.items, top.items = top.items, []
        document.sections.insert(1, section)
        return section
    index = end_of(document, top)
    while index < len(top.items) and top.items[index].kind == BLANK:
        index += 1
    section.items = [Item(BLANK, document.newline)] + top.items[index:]
    top.items = top.items[:index]
    document.sections.insert(1, section)
    return section


def remove_section(document, section, end):
    """Take out a section up to its item `end`; what is below goes to the section before."""
    index = document.sections.index(section)
    kept = section.items[end:]
    before = document.sections[index - 1]
    del document.sections[index]
    at_end = before is document.sections[-1] and all(item.kind == BLANK for item in kept)
    if at_end or ends_blank(before) or not before.text():
        while kept and kept[0].kind == BLANK:
            del kept[0]
    before.items.extend(kept)
    while at_end and ends_blank(before):
        before.items.pop()


def ends_blank(section):
    return bool(section.items) and section.items[-1].kind == BLANK
