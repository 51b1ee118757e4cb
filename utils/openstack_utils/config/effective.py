# SPDX-License-Identifier: MIT
"""--effective: the values that oslo.config ends with, from which file and line, and what they override.

Files are read one after another, and what is read last wins (oslo.config, ConfigOpts._parse_config_files). A
`$name` is the option of that name in the same section, or in [DEFAULT]; `${section.name}` names another
section. Defaults that are in a service's code are not known here: what names one stays as it is written.
"""

import re

from ..editor import document, oslo
from ..errors import MissingError, UsageError
from .check import numbered_options
from .reading import read_data
from .schema import normalize

# As oslo.config's own template: `$$`, `$name`, `${name}`, with the name of a section before a dot.
REFERENCE = re.compile(r"\$(?:(?P<escaped>\$)|(?P<named>[A-Za-z_][\w.]*)|\{(?P<braced>[A-Za-z_][\w.]*)\})")


class Setting:
    """An option set in a file: its value as it is written, file and line."""

    def __init__(self, path, line, section, name, value):
        self.path = path
        self.line = line
        self.section = section
        self.name = name
        self.value = value

    def place(self):
        return "%s:%d" % (self.path, self.line)


class Effective:
    """What several files say together: `settings` maps (section, name) to Settings, the last one counts."""

    def __init__(self):
        self.settings = {}

    def add(self, path, data):
        """Read one more file, which wins over those before. Raises UsageError where oslo.config stops."""
        text, undecodable = document.decode(data)
        parsed = oslo.parse(text)
        problems = ([undecodable] if undecodable else []) + parsed.problems
        if problems:
            message = "%s:%d: %s; oslo.config cannot read this file"
            raise UsageError(message % (path, problems[0].line, problems[0].reason))
        for section, item, line in numbered_options(parsed):
            key = (normalize(section), item.name)
            setting = Setting(path, line, key[0], item.name, oslo.read_value(item))
            self.settings.setdefault(key, []).append(setting)

    def value(self, section, name):
        """Return (value with its references resolved, names that could not be)."""
        unresolved = []
        value = self._resolve(self.settings[section, name][-1].value, section, ((section, name),), unresolved)
        return value, unresolved

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


def effective(request, console):
    """Print what the files of a request say together; return the exit code."""
    found = Effective()
    for path in _files(request):
        found.add(path, read_data(path))
    chosen = [key for key in found.settings if _is_chosen(key, request.option("only"))]
    if not chosen and request.option("only") is not None:
        raise MissingError("parameter not found: %s" % request.option("only"))
    rows = [_row(found, key) for key in chosen]
    if request.option("json"):
        import json

        from .formats import as_utf8

        console.result(as_utf8(json.dumps(rows, ensure_ascii=False)) + "\n")
    else:
        console.result("".join(_lines(row) for row in rows))
    return 0


def _files(request):
    from . import sources

    arguments, service = request.operations[0].arguments, request.option("service")
    if service is None and not arguments:
        raise UsageError("--effective takes FILE..., or --service NAME", hint="openstack-config --help")
    files = sources.of_service(service) if service is not None else []
    return files + arguments + sources.in_folders(request.options.get("config-dir", ()))


def _is_chosen(key, only):
    if only is None:
        return True
    section, slash, name = only.partition("/")
    return key[0] == normalize(section) and (not slash or key[1] == name)


def _row(found, key):
    settings = found.settings[key]
    value, unresolved = found.value(*key)
    last = settings[-1]
    row = {"section": key[0], "option": key[1], "value": value, "file": last.path, "line": last.line}
    if value != last.value:
        row["written"] = last.value
    if unresolved:
        row["unresolved"] = unresolved
    row["overrides"] = [
        {"file": each.path, "line": each.line, "value": each.value} for each in reversed(settings[:-1])
    ]
    return row


def _lines(row):
    text = "[%s] %s = %s\n    from %s:%d" % (
        row["section"], row["option"], row["value"].replace("\n", "\n        "), row["file"], row["line"],
    )  # fmt: skip
    if "written" in row:
        text += ", written as %s" % row["written"].replace("\n", "\\n")
    text += "\n"
    for name in row.get("unresolved", ()):
        text += "    $%s is set in no file: the default of the service's code counts\n" % name
    for each in row["overrides"]:
        value = each["value"].replace("\n", "\\n")
        text += "    overrides %s:%d, %s\n" % (each["file"], each["line"], value)
    return text
