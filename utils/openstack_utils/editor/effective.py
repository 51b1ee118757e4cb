# SPDX-License-Identifier: MIT
"""What several files say together: the values that oslo.config ends with, and what they override.

Files are read one after another, and what is read last wins (oslo.config, ConfigOpts._parse_config_files). A
`$name` is the option of that name in the same section, or in [DEFAULT]; `${section.name}` names another
section. Defaults that are in a service's code are not known here: what names one stays as it is written.
"""

import re

from ..errors import MissingError, UsageError
from . import document, oslo
from .lines import numbered_options

# As oslo.config's own template: `$$`, `$name`, `${name}`, with the name of a section before a dot.
REFERENCE = re.compile(r"\$(?:(?P<escaped>\$)|(?P<named>[A-Za-z_][\w.]*)|\{(?P<braced>[A-Za-z_][\w.]*)\})")


def normalize(section):
    """Sections are found without regard to case, DEFAULT excepted (cfg._normalize_group_name)."""
    return section.lower() if section not in ("", "DEFAULT") else "DEFAULT"


class Setting:
    """An option set in a file: its value as it is written, file and line."""

    def __init__(self, path, line, section, name, value):
        self.path = path
        self.line = line
        self.section = section
        self.name = name
        self.value = value


class Effective:
    """What several files say together: `settings` maps (section, name) to Settings, the last one counts.

    It is asked as a Reader of one file is; of an option that repeats all values count, those of all files.
    """

    def __init__(self):
        self.settings = {}
        self.names = {}

    def add(self, path, data):
        """Read one more file, which wins over those before. Raises UsageError where oslo.config stops."""
        text, undecodable = document.decode(data)
        parsed = oslo.parse(text)
        problems = ([undecodable] if undecodable else []) + parsed.problems
        if problems:
            message = "%s:%d: %s; oslo.config cannot read this file"
            raise UsageError(message % (path, problems[0].line, problems[0].reason))
        self.names.update((normalize(each.name), True) for each in parsed.sections if each.name is not None)
        for section, item, line in numbered_options(parsed):
            key = (normalize(section), item.name)
            setting = Setting(path, line, key[0], item.name, oslo.read_value(item))
            self.settings.setdefault(key, []).append(setting)

    def resolve(self, text, section, under=()):
        """Return (a value with its references resolved, the names that could not be)."""
        unresolved = []
        return self._resolve(text, normalize(section), under, unresolved), unresolved

    def value(self, section, name):
        """Return the same of the value that an option ends with."""
        return self.resolve(self.settings[section, name][-1].value, section, ((section, name),))

    def _resolve(self, text, section, under, unresolved):
        def one(found):
            if found.group("escaped"):
                return "$"
            name = found.group("named") or found.group("braced")
            key = self._key(name, section)
            if key is None or key in under:
                unresolved.append(name)
                return found.group()
            return self._resolve(self.settings[key][-1].value, key[0], under + (key,), unresolved)

        return REFERENCE.sub(one, text.replace("\\$", "$$"))

    def _key(self, name, section):
        group, dot, option = name.rpartition(".")
        candidates = [(normalize(group), option)] if dot else [(section, name), ("DEFAULT", name)]
        return next((key for key in candidates if key in self.settings), None)

    # As a Reader

    def sections(self):
        """Return the names of all sections."""
        return list(self.names)

    def listing(self, section):
        """Return the options of a section, {name: values}. Raises MissingError."""
        section = self._need_section(section)
        return {name: self._values(section, name) for group, name in self.settings if group == section}

    def get(self, section, name):
        """Return all values of an option. Raises MissingError."""
        section = self._need_section(section)
        if (section, name) not in self.settings:
            raise MissingError("parameter not found: %s in [%s]" % (name, section))
        return self._values(section, name)

    def _values(self, section, name):
        under = ((section, name),)
        return [self.resolve(each.value, section, under)[0] for each in self.settings[section, name]]

    def _need_section(self, section):
        section = normalize(section)
        if section != "DEFAULT" and section not in self.names:
            raise MissingError("section not found: %s" % section)
        return section
