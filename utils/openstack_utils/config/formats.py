# SPDX-License-Identifier: MIT
"""The output of --get: plain, `sh`, `ini`, `lines`, and JSON."""

import re

from ..errors import UtilityError

IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
SAFE = re.compile(r"[A-Za-z0-9_@%+=:,./-]+\Z")


def shell_quote(text):
    """`text` as one word of a shell."""
    if SAFE.match(text):
        return text
    return "'" + text.replace("'", "'\"'\"'") + "'"


def plain_sections(names):
    return "".join(name + "\n" for name in names)


def plain_values(values):
    return "".join((value or "") + "\n" for value in values)


def render(style, editor, section, name, every, spaced=True):
    """What `--get` prints for one operation with `--format=style`.

    Without `spaced`, `ini` has no blanks around the `=`. With `every` (--all) a repeated option is
    printed once for each of its values.
    """
    style = "ini=" if style == "ini" and not spaced else style
    if name is not None:
        found = {name: editor.get(section, name)}
        return "".join(_options(style, section or "DEFAULT", found, every, None))
    if section is not None:
        found = editor.listing(section)
        head = ["[%s]\n" % (section or "DEFAULT")] if style.startswith("ini") else []
        return "".join(head + _options(style, section or "DEFAULT", found, every, None))
    parts = []
    for known in editor.sections():
        if style.startswith("ini"):
            parts.append("[%s]\n" % known)
            continue
        found = editor.listing(known)
        prefix = None if known == "DEFAULT" else known
        lines = _options(style, known, found, every, prefix)
        parts += lines if lines or style == "sh" else ["[ %s ]\n" % known]
    return "".join(parts)


def _options(style, section, found, every, prefix):
    """One text for each option (or each value, with `every`)."""
    parts = []
    for name, values in found.items():
        for value in values if every else values[-1:]:
            parts.append(_option(style, section, name, value or "", prefix))
    return parts


def _option(style, section, name, value, prefix):
    if style.startswith("ini"):
        sign = "=" if style == "ini=" else " = "
        return name + sign + value.replace("\n", "\n ") + "\n"
    if style == "lines":
        assigned = " = " + value.replace("\n", "\\n") if value else ""
        return "[ %s ] %s%s\n" % (section, name, assigned)
    variable = name if prefix is None else "%s_%s" % (prefix, name)
    if not IDENTIFIER.match(variable):
        raise UtilityError(
            "'%s' cannot be the name of a shell variable" % variable,
            hint="use --format=lines or --json",
            plain='Invalid sh identifier "%s"' % variable,
        )
    return "%s=%s\n" % (variable, shell_quote(value))


def render_json(editor, section, name, every):
    """The same as one line of JSON: a value, an object of options, or one of sections."""
    import json

    if name is not None:
        data = _choose(editor.get(section, name), every)
    elif section is not None:
        data = _object(editor.listing(section), every)
    else:
        data = {known: _object(editor.listing(known), every) for known in editor.sections()}
    return as_utf8(json.dumps(data, ensure_ascii=False)) + "\n"


def as_utf8(text):
    """Return JSON without bytes that are not UTF-8: as the escapes of JSON that Python reads back."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _object(found, every):
    return {name: _choose(values, every) for name, values in found.items()}


def _choose(values, every):
    return values if every else values[-1]
