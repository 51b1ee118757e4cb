# SPDX-License-Identifier: MIT
"""Looking things up in a Document by the rules of one dialect."""

from ..errors import MissingError
from .document import AS_WRITTEN, OPTION, OTHER

GLOBAL = ("", "DEFAULT")


class Reader:
    """One document, one dialect.

    `keeping` says what of a value is written so that it is read back as given: AS_WRITTEN, KEEP_QUOTES or
    KEEP_ALL of `document`.
    """

    def __init__(self, document, dialect, keeping=AS_WRITTEN, keep_indent=False):
        self.document = document
        self.dialect = dialect
        self.keeping = keeping
        self.keep_indent = keep_indent
        # Of several sections of one name: which one is meant, from 1; None: all of them together.
        self.section_index = None

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
        found = [section for section in self.document.sections if section.name in names]
        if self.section_index is None:
            return found
        return found[self.section_index - 1 : self.section_index]

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
            # A listing of crudini tells spellings apart, though its --get of one option does not.
            inherited = {item.name: self.value_of(item) for _, item in self.options("DEFAULT")}
            for name in inherited.keys() & set(listed):
                if listed[name][-1] == inherited[name]:
                    del listed[name]
        return listed

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
