# SPDX-License-Identifier: MIT
"""openstack-config --get."""

from ..errors import UtilityError, named
from .reading import need_index, open_file, read_data, report_problems


def get(request, dialect, console):
    """Run all --get operations; what was found before an error is printed all the same."""
    editors = {}
    for operation in request.operations:
        path = operation.path
        if path not in editors:
            editors[path] = _open(request, dialect, path, console)
        try:
            if operation.section is not None:
                need_index(editors[path], operation.section)
            console.result(_render(request, editors[path], operation))
        except UtilityError as error:
            console.flush()
            raise named(path or request.option("service"), error) from None
    return 0


def _open(request, dialect, path, console):
    """What answers for a FILE: a Reader of it, or all files that are read together with it."""
    if "service" not in request.options and "config-dir" not in request.options:
        reader = open_file(request, dialect, path, read_data(path))
        report_problems(reader, dialect, path, console)
        return reader
    from . import together

    return together.View(together.find_files(request, [path] if path else []), console)


def _render(request, editor, operation):
    section, name = operation.section, operation.name
    if request.option("json"):
        from . import formats

        return formats.render_json(editor, section, name, operation.all)
    if request.option("format"):
        from . import formats

        spaced = not request.ini_option("nospace")
        style = request.option("format")
        return formats.render(style, editor, section, name, operation.all, spaced)
    if section is None:
        lines = editor.sections()
    elif name is None:
        lines = editor.listing(section)
    else:
        values = editor.get(section, name)
        lines = [value or "" for value in (values if operation.all else values[-1:])]
    return "".join([line + "\n" for line in lines])
