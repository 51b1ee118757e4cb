# SPDX-License-Identifier: MIT
"""Reading the files that openstack-config is about."""

from ..editor import document
from ..editor.reader import Reader
from ..errors import MissingError, UtilityError
from ..storage import descriptors


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


def open_file(request, dialect, path, data, kind=Reader):
    """Return a Reader, or an Editor as `kind`, of the bytes of a file.

    Raises UtilityError if the dialect cannot read them.
    """
    text, undecodable = document.decode(data or b"")
    ignore_indent = request.ini_option("ignoreindent")
    parsed = dialect.parse(text, ignore_indent)
    if undecodable:
        parsed.problems.insert(0, undecodable)
    if parsed.problems and dialect.UNREADABLE == "error":
        problem = parsed.problems[0]
        message = "%s:%d: %s" % (path, problem.line, problem.reason)
        raise UtilityError(message, plain="Error parsing " + message)
    keeping = document.KEEP_ALL if request.option("escape") else document.AS_WRITTEN
    reader = kind(parsed, dialect, keeping, ignore_indent)
    reader.section_index = request.option("section-index")
    return reader


def need_index(reader, section):
    """Raise MissingError where --section-index asks for more sections of a name than there are."""
    index = reader.section_index
    if index is None or reader.find_sections(section):
        return
    reader.section_index = None
    number = len([each for each in reader.find_sections(section) if each.name is not None])
    raise MissingError("section not found: %s, number %d of %d" % (section, index, number))


def report_problems(editor, dialect, path, console):
    """Warn of the first line that the file's own reader will not read."""
    problems = editor.document.problems
    if problems:
        reader = "oslo.config cannot read this file" if dialect.NAME == "oslo" else "skipped"
        if problems[0].reason == document.INDENTED:
            reader += " (--ini-options=ignoreindent reads indented files of other programs)"
        console.warn("%s:%d: %s; %s" % (path, problems[0].line, problems[0].reason, reader))
