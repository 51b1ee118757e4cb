# SPDX-License-Identifier: MIT
"""Reading and changing a Document: get, set, add, delete.

An Editor works on one document in memory by the rules of one dialect, and changes only the lines
an edit is about. Files are the business of `transaction`.
"""

from ..errors import MissingError
from . import placement
from .document import AS_WRITTEN, OPTION, OTHER

GLOBAL = ("", "DEFAULT")


class Editor:
    """One document, one dialect.

    `keeping` says what of a value is written so that it is read back as given: AS_WRITTEN, KEEP_QUOTES or
    KEEP_ALL of `document`.
    """

    def __init__(self, document, dialect, keeping=AS_WRITTEN, keep_indent=False):
        self.document = document
        self.dialect = dialect
        self.keeping = keeping
        self.keep_indent = keep_indent

    # Looking

    def is_global(self, name):
        return name == "" or (name == "DEFAULT" and self.dialect.DEFAULT_IS_GLOBAL)

    def sections(self):
        """The names of all sections, each once; DEFAULT, with the global area, is the first."""
        names = {}
        if self.dialect.DEFAULT_IS_GLOBAL and self.options("DEFAULT"):
            names["DEFAULT"] = True
        for section in self.document.sections:
            if section.name is not None:
                names[section.name] = True
        if self.dialect.INHERITS and not self.options("DEFAULT"):
            names.pop("DEFAULT", None)
        return list(names)

    def find_sections(self, name):
        """All occurrences of a section; '' and DEFAULT also mean the area above all headers."""
        names = [name]
        if self.is_global(name):
            names = [None, "DEFAULT"] if self.dialect.DEFAULT_IS_GLOBAL else [None]
        return [section for section in self.document.sections if section.name in names]

    def has_section(self, name):
        """Whether a section is there; the global area always is."""
        return self.is_global(name) or bool(self.find_sections(name))

    @staticmethod
    def is_option(item):
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
        fold = self.dialect.fold
        folded = fold(name)
        return [pair for pair in self.options(section) if fold(pair[1].name) == folded]

    def listing(self, section):
        """The options of a section as {name: values}, in file order; a flag's value is None."""
        self.need_section(section)
        listed = {}
        for _, item in self.options(section):
            listed.setdefault(item.name, []).append(self.value_of(item))
        if self.dialect.INHERITS and not self.is_global(section):
            inherited, own = self._effective("DEFAULT"), self._effective(section)
            for name in list(listed):
                folded = self.dialect.fold(name)
                if folded in inherited and inherited[folded] == own[folded]:
                    del listed[name]
        return listed

    def _effective(self, section):
        """The last value of every option of a section, by folded name."""
        fold = self.dialect.fold
        return {fold(item.name): self.value_of(item) for _, item in self.options(section)}

    def values(self, section, name):
        """All values of an option, in file order; a flag's value is None."""
        found = self.find(section, name)
        if not found and self.dialect.INHERITS and self.has_section(section):
            found = self.find("DEFAULT", name)
        return [self.value_of(item) for _, item in found]

    def get(self, section, name):
        """All values of an option that must be there."""
        self.need_section(section)
        self.need_option(section, name)
        return self.values(section, name)

    def value_of(self, item):
        return None if item.kind == OTHER else self.dialect.read_value(item)

    def need_section(self, section):
        if not self.has_section(section):
            raise MissingError(
                "section not found: %s" % section,
                hint=self._near(section, self.sections(), "section"),
                plain="Section not found: %s" % section,
            )

    def need_option(self, section, name):
        if not self.values(section, name):
            raise MissingError(
                "parameter not found: %s in [%s]" % (name, section or "DEFAULT"),
                hint=self._near(name, [i.name for _, i in self.options(section)], "parameter"),
                plain="Parameter not found: %s" % name,
            )

    @staticmethod
    def _near(name, names, kind):
        """A hint when only the case, or `-` and `_`, differ."""
        plain = name.lower().replace("-", "_")
        for other in names:
            if other.lower().replace("-", "_") == plain:
                return "the file has the %s '%s'" % (kind, other)
        return None

    # Changing

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
        """Add one more value to the option, right behind its last one."""
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
        """A new option: behind its commented-out example if there is one, else at the end."""
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
