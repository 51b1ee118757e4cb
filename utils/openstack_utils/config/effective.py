# SPDX-License-Identifier: MIT
"""--effective: the values that a service ends with, from which file and line, and what they override."""

from ..editor.effective import normalize
from ..errors import MissingError, UsageError
from . import together


def effective(request, console):
    """Print what the files of a request say together; return the exit code."""
    found = together.read(_files(request))
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
    arguments = request.operations[0].arguments
    if request.option("service") is None and not arguments:
        raise UsageError("--effective takes FILE..., or --service NAME", hint="openstack-config --help")
    return together.find_files(request, arguments)


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
