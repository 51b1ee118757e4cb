# SPDX-License-Identifier: MIT
"""Reading and changing a Document: get, set, add, delete, comment, uncomment.

An Editor works on one document in memory by the rules of one dialect. It changes only the lines an
edit is about, and remembers whether it changed any. Files are the business of `transaction`.
"""

from .document import BLANK, COMMENT, OPTION, OTHER, Section
from .errors import MissingError, StorageError, UsageError

GLOBAL = ("", "DEFAULT")


class Editor:
    """One document, one dialect.

    `exact` writes values so that they are read back as given (`--escape`), `space` is True or
    False for ` = ` or `=` in touched lines and None to keep what is there, `section_blank` keeps
    one blank line between sections.
    """

    def __init__(self, document, dialect, exact=False, space=None, section_blank=False):
        self.document = document
        self.dialect = dialect
        self.exact = exact
        self.space = space
        self.section_blank = section_blank

    # Looking

    def sections(self):
        """The names of all sections, each once, in file order; DEFAULT covers the global area."""
        names = {}
        for section in self.document.sections:
            if section.name is not None:
                names[section.name] = True
            elif any(self.is_option(item) for item in section.items):
                names["DEFAULT"] = True
        return list(names)

    def find_sections(self, name):
        """All occurrences of a section; '' and DEFAULT also mean the area above all headers."""
        if name in GLOBAL:
            return [s for s in self.document.sections if s.name is None or s.name == "DEFAULT"]
        return [s for s in self.document.sections if s.name == name]

    def has_section(self, name):
        found = self.find_sections(name)
        return any(s.name is not None or any(map(self.is_option, s.items)) for s in found)

    def is_option(self, item):
        return item.kind == OPTION or (item.kind == OTHER and item.name is not None)

    def options(self, section):
        """All (occurrence, item) of a section, in file order."""
        return [
            (occurrence, item)
            for occurrence in self.find_sections(section)
            for item in occurrence.items
            if self.is_option(item)
        ]

    def find(self, section, name):
        """All (occurrence, item) of one option, in file order."""
        folded = self.dialect.fold(name)
        fold = self.dialect.fold
        return [pair for pair in self.options(section) if fold(pair[1].name) == folded]

    def names(self, section):
        """The option names of a section, each once, in file order."""
        self.need_section(section)
        names = {}
        for _, item in self.options(section):
            names.setdefault(self.dialect.fold(item.name), item.name)
        return list(names.values())

    def values(self, section, name):
        """All values of an option, in file order; a flag's value is None."""
        return [self.value_of(item) for _, item in self.find(section, name)]

    def get(self, section, name):
        """All values of an option that must be there."""
        self.need_section(section)
        values = self.values(section, name)
        if not values:
            raise missing_parameter(section, name)
        return values

    def value_of(self, item):
        return None if item.kind == OTHER else self.dialect.read_value(item)

    def need_section(self, section):
        if not self.has_section(section):
            raise missing_section(section)

    # Changing

    def set(self, section, name, value):
        """Give the option one value: the last of a repeated option is the one that counts."""
        found = self.find(section, name)
        if not found:
            self.insert(section, name, value)
            return
        occurrence, item = found[-1]
        if item.kind == OPTION and self.dialect.read_value(item) == self.meant(value):
            return
        self.replace(occurrence, item, value)

    def set_all(self, section, name, values):
        """Make `values`, in order, all the values of the option."""
        found = self.find(section, name)
        for (occurrence, item), value in zip(found, values):
            if item.kind != OPTION or self.dialect.read_value(item) != self.meant(value):
                self.replace(occurrence, item, value)
        for occurrence, item in found[len(values) :]:
            occurrence.items.remove(item)
        for value in values[len(found) :]:
            self.add(section, name, value)

    def add(self, section, name, value):
        """Add one more value to the option, right behind its last one."""
        found = self.find(section, name)
        if not found:
            self.insert(section, name, value)
            return
        occurrence, like = found[-1]
        item = self.render(like.name, value, like if like.kind == OPTION else None)
        self._insert_at(occurrence, occurrence.items.index(like) + 1, item)

    def delete(self, section, name):
        """Remove every value of the option; False when there was none."""
        found = self.find(section, name)
        for occurrence, item in found:
            occurrence.items.remove(item)
        return bool(found)

    def delete_value(self, section, name, value):
        """Remove the option's lines that hold `value`; False when there are none."""
        found = [
            (occurrence, item)
            for occurrence, item in self.find(section, name)
            if self.value_of(item) == value
        ]
        for occurrence, item in found:
            occurrence.items.remove(item)
        return bool(found)

    def delete_section(self, name):
        """Remove a section, all its occurrences; the next section keeps the comment above it."""
        if not self.has_section(name):
            return False
        for section in self.find_sections(name):
            kept = section.items[_end_of(section, self._is_last(section)) :]
            if section.name is None:
                section.items = [i for i in section.items if not self.is_option(i)]
                continue
            index = self.document.sections.index(section)
            del self.document.sections[index]
            self._close_gap(self.document.sections[index - 1], kept)
        return True

    def add_section(self, name):
        """Make sure the section has a header; return its first occurrence."""
        for section in self.find_sections(name):
            if section.name is not None:
                return section
        self.dialect.check_section(name)
        return self._new_section(name or "DEFAULT")

    # Inside

    def render(self, name, value, like=None):
        self.dialect.check_name(name)
        return self.dialect.render(
            name, value, like, exact=self.exact, space=self.space, newline=self.document.newline
        )

    def meant(self, value):
        """What the dialect's reader makes of `value` once written."""
        return self.dialect.render("x", value, exact=self.exact).value

    def replace(self, occurrence, item, value):
        index = occurrence.items.index(item)
        occurrence.items[index] = self.render(item.name, value, item)

    def insert(self, section, name, value):
        """A new option: behind its commented-out example if there is one, else at the end."""
        item = self.render(name, value)
        occurrences = self.find_sections(section)
        for occurrence in occurrences:
            index = self._behind_example(occurrence, name)
            if index is not None and (occurrence.name is not None or self.dialect.HAS_GLOBAL):
                self._insert_at(occurrence, index, item)
                return
        target = self._target(section, occurrences)
        self._insert_at(target, _end_of(target, self._is_last(target)), item)

    def _target(self, section, occurrences):
        """The occurrence that gets a new option, made if there is none."""
        headed = [s for s in occurrences if s.name is not None]
        if headed:
            return headed[0]
        if section == "" and self.dialect.HAS_GLOBAL:
            return self.document.sections[0]
        return self.add_section(section)

    def _behind_example(self, section, name):
        found = None
        for index, item in enumerate(section.items):
            if item.kind == COMMENT and commented_name(item.text) == name:
                found = index
            elif found is not None:
                break
        return None if found is None else found + 1

    def _insert_at(self, section, index, item):
        if index == len(section.items):
            self.document.end_last_line(section)
        section.items.insert(index, item)

    def _close_gap(self, before, kept):
        """Hand what a deleted section leaves to the one before it, without doubling blanks."""
        at_end = self._is_last(before)
        if _ends_blank(before) or not before.text() or (at_end and not any_text(kept)):
            while kept and kept[0].kind == BLANK:
                del kept[0]
        before.items.extend(kept)
        if at_end and not any_text(kept):
            while _ends_blank(before):
                before.items.pop()

    def _is_last(self, section):
        return section is self.document.sections[-1]

    def _new_section(self, name):
        document = self.document
        newline = document.newline
        section = Section(name, "[%s]%s" % (name, newline))
        last = document.sections[-1]
        if name == "DEFAULT" and len(document.sections) > 1:
            return self._default_first(section)
        document.end_last_line(last)
        if last.text() and not _ends_blank(last):
            last.items.append(_blank(newline))
        document.sections.append(section)
        return section

    def _default_first(self, section):
        """[DEFAULT] goes in front, behind a heading comment that no section owns."""
        top = self.document.sections[0]
        index = _end_of(top, False)
        while index < len(top.items) and top.items[index].kind == BLANK:
            index += 1
        section.items = [_blank(self.document.newline)] + top.items[index:]
        top.items = top.items[:index]
        self.document.sections.insert(1, section)
        return section


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


def _end_of(section, last):
    """Where a section's own lines end: before trailing blanks and the next header's comment."""
    items = section.items
    end = len(items)
    if not last:
        while end and items[end - 1].kind == COMMENT:
            end -= 1
        if items[end - 1].kind != BLANK if end else section.name is not None:
            end = len(items)
    while end and items[end - 1].kind == BLANK:
        end -= 1
    return end


def any_text(items):
    return any(item.kind != BLANK for item in items)


def _ends_blank(section):
    return bool(section.items) and section.items[-1].kind == BLANK


def _blank(newline):
    from .document import Item

    return Item(BLANK, newline)


def missing_section(name):
    return MissingError("section not found: %s" % name, plain="Section not found: %s" % name)


def missing_parameter(section, name):
    return MissingError(
        "parameter not found: %s in [%s]" % (name, section or "DEFAULT"),
        plain="Parameter not found: %s" % name,
    )


__all__ = ["Editor", "StorageError", "UsageError", "commented_name"]
