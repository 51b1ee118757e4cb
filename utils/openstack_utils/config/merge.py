# SPDX-License-Identifier: MIT
"""Applying a whole file of settings to another (`--merge`, `--from`)."""

from ..errors import MissingError


def merge(editor, source, section, set_one, need_existing):
    """Set in `editor` everything that the Editor `source` holds.

    With `section` all settings go there, whatever section they stand in. An option that the source
    repeats gets all of the source's values. `set_one(editor, section, name, value)` sets a single
    one. `need_existing(editor, section, name)` raises what --existing asks for: a missing section
    is an error, a missing option is left out, so that only what is there is brought up to date.
    """
    names = _section_names(source)
    for name in names if section is None else [section]:
        need_existing(editor, name, None)
        if section is None and not editor.is_global(name):
            editor.add_section(name)
    for name in names:
        target = name if section is None else section
        for option, values in _values(source, name).items():
            try:
                need_existing(editor, target, option)
            except MissingError:
                continue
            if len(values) > 1:
                editor.set_all(target, option, values)
            else:
                set_one(editor, target, option, values[0])


def _section_names(source):
    """The source's sections, the area above all headers first and as ''."""
    names = {"": True} if source.document.sections[0].items else {}
    for section in source.document.sections[1:]:
        names[section.name] = True
    return list(names)


def _values(source, name):
    wanted = name or None
    values = {}
    for section in source.document.sections:
        if section.name == wanted:
            for item in section.items:
                if source.is_option(item):
                    values.setdefault(item.name, []).append(source.value_of(item))
    return values
