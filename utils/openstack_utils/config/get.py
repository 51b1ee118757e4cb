# SPDX-License-Identifier: MIT
"""openstack-config --get, and reading a file for every other operation."""

from ..editor import document
from ..editor.edits import Editor
from ..errors import UtilityError
from ..storage import descriptors


def get(request, dialect, console):
    """Run all --get operations; what was found before an error is printed all the same."""
    editors = {}
    for operation in request.operations:
        path = operation.path
        if path not in editors:
            editors[path] = open_editor(request, dialect, path, read_data(path))
            report_problems(editors[path], dialect, path, console)
        try:
            console.result(_render(request, editors[path], operation))
        except UtilityError as error:
            console.flush()
            raise named(path, error) from None
    return 0


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


def read_data(path):
    """The bytes of a file, or of stdin for `-`."""
    if path != "-":
        return descriptors.read_file(path)
    try:
        return descriptors.read_all(0, "stdin")
    except UtilityError as error:
        if isinstance(error.__cause__, OSError) and error.__cause__.errno == 9:
            raise UtilityError("stdin: is closed", plain="stdin is closed") from None
        raise


def open_editor(request, dialect, path, data):
    """An Editor over the bytes of a file; raises UtilityError if the dialect cannot read them."""
    text, undecodable = document.decode(data or b"")
    ignore_indent = request.ini_option("ignoreindent")
    parsed = dialect.parse(text, ignore_indent)
    if undecodable:
        parsed.problems.insert(0, undecodable)
    if parsed.problems and dialect.UNREADABLE == "error":
        problem = parsed.problems[0]
        message = "%s:%d: %s" % (path, problem.line, problem.reason)
        raise UtilityError(message, plain="Error parsing " + message)
    return Editor(parsed, dialect, bool(request.option("escape")), ignore_indent)


def report_problems(editor, dialect, path, console):
    """Warn of the first line that the file's own reader will not read."""
    problems = editor.document.problems
    if problems:
        reader = "oslo.config cannot read this file" if dialect.NAME == "oslo" else "skipped"
        console.warn("%s:%d: %s; %s" % (path, problems[0].line, problems[0].reason, reader))


def named(path, error):
    """The same error with the file's name in front."""
    if error.message.startswith(path):
        return error
    return type(error)("%s: %s" % (path, error.message), hint=error.hint, plain=error.plain)
