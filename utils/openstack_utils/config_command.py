# SPDX-License-Identifier: MIT
"""openstack-config itself: runs a Request, prints results, gives the exit code."""

import os
import sys

from . import config_arguments, document, transaction
from .dialects import dialect as load_dialect
from .edits import Editor
from .errors import MissingError, StorageError, UsageError, UtilityError


def main(argv=None):
    """Run openstack-config with the arguments behind its name; return the exit code."""
    arguments = [_text(word) for word in (sys.argv[1:] if argv is None else argv)]
    console = Console()
    strict = "--strict-exit" in arguments
    try:
        request = config_arguments.parse(arguments)
        console.crudini = request.option("dialect") == "crudini"
        code = Command(request, console).run()
        console.flush()
        return code
    except UtilityError as error:
        console.error(error)
        return error.exit_code if strict else 1
    except transaction.Interrupted as stop:
        return 128 + stop.number
    except KeyboardInterrupt:
        return 130


def _text(word):
    """An argument as text: UTF-8 whatever the locale, other bytes kept as they are."""
    return document.decode(os.fsencode(word))[0]


class Console:
    """stdout and stderr, in UTF-8 whatever the locale. Results are written when they are whole."""

    def __init__(self):
        self.crudini = False
        self.parts = []

    def result(self, text):
        self.parts.append(document.encode(text))

    def flush(self):
        data, self.parts = b"".join(self.parts), []
        if not data:
            return
        try:
            transaction.write_all(1, data)
        except OSError as error:
            raise UtilityError("stdout: %s" % os.strerror(error.errno)) from error

    def say(self, text):
        try:
            transaction.write_all(2, document.encode(text + "\n"))
        except OSError:
            # Nobody is listening: the exit code still tells.
            pass

    def error(self, error):
        if self.crudini and error.plain:
            self.say(error.plain)
            return
        self.say("error: " + one_line(error.message))
        if error.hint:
            self.say("hint: " + one_line(error.hint))


def one_line(text):
    return text.replace("\r", "\\r").replace("\n", "\\n")


class Command:
    """One call: its request, its dialect, and the files it has read."""

    def __init__(self, request, console):
        self.request = request
        self.console = console
        self.dialect = load_dialect(request.option("dialect") or "oslo")
        self.read = {}

    def run(self):
        request = self.request
        if request.option("help") or request.option("version"):
            from . import config_help

            self.console.result(config_help.text(request.option("version")))
            return 0
        kind = request.operations[0].kind
        if kind == "get":
            return self.get()
        return self.change()

    def editor(self, path, data):
        """An Editor over the bytes of a file."""
        text, undecodable = document.decode(data or b"")
        parsed = self.dialect.parse(text)
        if undecodable:
            parsed.problems.insert(0, undecodable)
        request = self.request
        space = None
        if request.ini_option("nospace") or request.ini_option("space"):
            space = request.ini_option("space")
        return Editor(parsed, self.dialect, exact=bool(request.option("escape")), space=space)

    def get(self):
        for operation in self.request.operations:
            editor = self._reader(operation.path)
            try:
                self._print(editor, operation)
            except MissingError as error:
                self.console.flush()
                raise named(operation.path, error) from None
        return 0

    def _reader(self, path):
        if path not in self.read:
            data = transaction.read_all(0, "stdin") if path == "-" else transaction.read_file(path)
            self.read[path] = editor = self.editor(path, data)
            for problem in editor.document.problems if self.dialect.STRICT else ():
                self.console.say(
                    "warning: %s:%d: %s; oslo.config cannot read this file"
                    % (path, problem.line, problem.reason)
                )
        return self.read[path]

    def _print(self, editor, operation):
        if operation.section is None:
            lines = editor.sections()
        elif operation.name is None:
            lines = editor.names(operation.section)
        else:
            values = editor.get(operation.section, operation.name)
            lines = [value or "" for value in (values if operation.all else values[-1:])]
        self.console.result("".join([line + "\n" for line in lines]))

    def change(self):
        operations = self.request.operations
        with transaction.Transaction(self._note) as files:
            paths = [operation.path for operation in operations]
            create = any(operation.kind == "set" for operation in operations)
            opened = files.open(paths, create=create)
            editors = {}
            for operation in operations:
                file = opened[operation.path]
                if file not in editors:
                    editors[file] = self.editor(file.path, file.data)
                try:
                    self.apply(editors[file], operation)
                except (MissingError, StorageError) as error:
                    raise named(file.path, error) from None
            for file, editor in editors.items():
                file.new = document.encode(editor.document.text())
                self.verify(file, editor)
            for file in files.commit():
                if file.data is None:
                    self._note("created %s (mode 0640)" % file.path)
        return 0

    def _note(self, text):
        self.console.say("note: " + text)

    def apply(self, editor, operation):
        section, name = operation.section, operation.name
        if operation.kind == "set":
            if name is None:
                editor.add_section(section)
            else:
                editor.set(section, name, operation.value)
        elif operation.kind == "del":
            if name is None:
                editor.delete_section(section)
            else:
                editor.delete(section, name)

    def verify(self, file, editor):
        """Read the result as the service will: refuse what would not come back as meant."""
        if file.new == file.data:
            return
        text, undecodable = document.decode(file.new)
        again = self.dialect.parse(text)
        problems = again.problems + ([undecodable] if undecodable else [])
        if problems and self.dialect.STRICT:
            raise UsageError(
                "%s:%d: %s; oslo.config could not read the file"
                % (file.path, problems[0].line, problems[0].reason),
                hint="repair that line first, or use --dialect crudini or systemd",
            )
        if contents(again, self.dialect) != contents(editor.document, self.dialect):
            raise StorageError("%s: the result would not be read back as meant" % file.path)


def contents(parsed, dialect):
    """What a document says, by its dialect: sections and their options, in order."""
    return [
        (section.name, [(i.name, dialect.read_value(i)) for i in section.items if i.kind == 2])
        for section in parsed.sections
    ]


def named(path, error):
    """The same error with the file's name in front."""
    return type(error)("%s: %s" % (path, error.message), hint=error.hint, plain=error.plain)
