# SPDX-License-Identifier: MIT
"""Changing a Document: set, add, delete.

An Editor works on one document in memory by the rules of one dialect, and changes only the lines
an edit is about. Files are the business of `transaction`.
"""

from . import placement
from .document import OPTION
from .reader import Reader


class Editor(Reader):
    """A Reader that changes its document."""

    def set(self, section, name, value):
        """Give the option one value: of a repeated option the last, which is the one that counts
        for everything but a multi-valued option."""
        found = self.find(section, name)
        if not found:
            self.insert(section, name, value)
        elif not self._holds(found[-1][1], value):
            self.replace(found[-1], value)

    def set_all(self, section, name, values):
        """Make `values`, in order, all the values of the option."""
        found = self.find(section, name)
        for pair, value in zip(found, values):
            if not self._holds(pair[1], value):
                self.replace(pair, value)
        for occurrence, item in found[len(values) :]:
            occurrence.items.remove(item)
        for value in values[len(found) :]:
            self.add(section, name, value)

    def add(self, section, name, value):
        """Add one more value to the option, right after its last one."""
        found = self.find(section, name)
        if not found:
            self.insert(section, name, value)
            return
        occurrence, like = found[-1]
        copied = like if like.kind == OPTION else None
        item = self.render(occurrence, like.name, value, copied)
        index = occurrence.items.index(like) + 1
        placement.insert_item(self.document, occurrence, index, item)

    def delete(self, section, name):
        """Remove every value of the option; False when there was none."""
        return self._remove(self.find(section, name))

    def delete_value(self, section, name, value):
        """Remove the option's lines that hold `value`; False when there are none."""
        found = self.find(section, name)
        return self._remove([pair for pair in found if (self.value_of(pair[1]) or "") == value])

    @staticmethod
    def _remove(pairs):
        for occurrence, item in pairs:
            occurrence.items.remove(item)
        return bool(pairs)

    def delete_section(self, name):
        """Remove a section, all its occurrences; False when there was none."""
        found = self.find_sections(name)
        for section in found:
            if section.name is None or (self.is_global(name) and self.dialect.INHERITS):
                section.items = [item for item in section.items if not self.is_option(item)]
            if section.name is not None:
                placement.remove_section(self.document, section, self._end_of(section))
        return bool(found)

    def add_section(self, name):
        """Make sure the section has a header; return its last occurrence."""
        headed = [section for section in self.find_sections(name) if section.name is not None]
        if headed:
            return headed[-1]
        if name == "" and self.dialect.HAS_GLOBAL:
            return self.document.sections[0]
        self.dialect.check_section(name or "DEFAULT")
        if self.is_global(name) and len(self.document.sections) > 1:
            return placement.put_default_first(self.document, self.dialect.BEHIND_EXAMPLE)
        always_blank = not self.dialect.BEHIND_EXAMPLE
        return placement.append_section(self.document, name or "DEFAULT", always_blank)

    def head_global(self):
        """Put options above the first header under a [DEFAULT] of their own, as crudini does."""
        top = self.document.sections[0]
        headed = any(section.name == "DEFAULT" for section in self.document.sections)
        if not headed or any(map(self.is_option, top.items)):
            placement.put_default_first(self.document, False)

    def insert(self, section, name, value):
        """A new option: after its commented-out example if there is one, else at the end."""
        self.dialect.check_name(name)
        for occurrence in self.find_sections(section) if self.dialect.BEHIND_EXAMPLE else ():
            index = placement.behind_example(occurrence, name)
            if index is not None and (occurrence.name is not None or self.dialect.HAS_GLOBAL):
                break
        else:
            occurrence = self.add_section(section)
            index = self._end_of(occurrence)
        item = self.render(occurrence, name, value)
        placement.insert_item(self.document, occurrence, index, item)

    def replace(self, pair, value):
        occurrence, item = pair
        index = occurrence.items.index(item)
        occurrence.items[index] = self.render(occurrence, item.name, value, item)

    def has_flags(self):
        """Whether an option is in the file without `=` and a value."""
        items = [item for section in self.document.sections for item in section.items]
        return any(item.kind != OPTION for item in items if self.is_option(item))

    # Inside

    def render(self, section, name, value, like=None):
        return self.dialect.render(
            name,
            value,
            like,
            keeping=self.keeping,
            newline=self.document.newline,
            indent=self._indent(section) if self.keep_indent and like is None else "",
            area=section.name,
        )

    def _holds(self, item, value):
        if item.kind != OPTION:
            return value is None and self.dialect.INHERITS
        return self.dialect.read_value(item) == self.dialect.meaning(value, self.keeping)

    def _end_of(self, section):
        if self.dialect.BEHIND_EXAMPLE:
            return placement.end_of(self.document, section)
        return placement.behind_last_option(section, self.is_option)

    def _indent(self, section):
        """The indentation of a section's last option, or of its header."""
        text = section.header
        for item in section.items:
            if self.is_option(item):
                text = item.text
        return text[: len(text) - len(text.lstrip())] if text.strip() else ""
