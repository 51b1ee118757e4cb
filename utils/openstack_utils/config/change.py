# SPDX-License-Identifier: MIT
"""openstack-config's operations that change files: edit in memory, verify, then write."""

from ..editor import document
from ..editor.edits import Editor
from ..errors import MissingError, StorageError, UsageError, UtilityError, named
from ..host.console import one_line, write_stdout
from ..storage import descriptors, transaction
from .apply import Applying, verified
from .reading import open_file, read_data

CREATING = ("set", "merge", "add")


class FileChange:
    """One call that changes files. `run` does everything and returns the exit code."""

    def __init__(self, request, dialect, console):
        self.request = request
        self.dialect = dialect
        self.console = console
        self.existing = request.option("existing")
        self.changes = []
        # The settings of --merge.
        self.source = None

    def run(self):
        self._check_default()
        self.read_inputs()
        path = self.request.operations[0].path
        if path == "-":
            data = read_data("-")
            self._finish_one("-", data, self.edit("-", data))
            return 0
        if self.request.option("output") is not None:
            data = self._read_or_empty(path)
            self._finish_one(path, data, self.edit(path, data or b""))
            return 0
        while True:
            try:
                return self._transact()
            except MissingError as error:
                # crudini's --del finds nothing to delete in a file that is not there.
                kinds = {operation.kind for operation in self.request.operations}
                absent = (error.plain or "").startswith("[Errno 2]")
                if not (self.dialect.INHERITS and absent and kinds == {"del"} and not self.existing):
                    raise
                self.changes = [(operation, False) for operation in self.request.operations]
                self._tell_changes()
                return 0
            except transaction.Changed:
                # Somebody created the file between our look and our write: look again.
                self.changes = []

    def _check_default(self):
        """Where '' and DEFAULT are the same area, crudini takes only one of them in a call."""
        sections = {o.section for o in self.request.operations if o.kind in ("set", "add")}
        if self.dialect.INHERITS and {"", "DEFAULT"} <= sections:
            message = "Conflicting DEFAULT section specifications"
            raise UsageError(message, plain=message)

    def read_inputs(self):
        """Fetch values from files and the settings to merge, before any file is locked."""
        operations = self.request.operations
        readers = [operation for operation in operations if operation.value_file == "-"]
        source = self.request.option("from")
        merging = operations[0].kind == "merge"
        if len(readers) + (operations[0].path == "-") + (merging and source in (None, "-")) > 1:
            raise UsageError("stdin can be read only once", plain="stdin is closed")
        for operation in operations:
            if operation.value_file is not None:
                value = _without_last_newline(document.decode(read_data(operation.value_file))[0])
                if not value and not self.request.option("empty"):
                    where = "stdin" if operation.value_file == "-" else operation.value_file
                    raise UsageError("%s: the value is empty" % where, hint="--empty writes an empty value")
                operation.arguments.append(value)
        if merging:
            origin = "-" if source is None else source
            name = "stdin" if origin == "-" else origin
            # Editors of Windows begin a file with a byte order mark.
            data = read_data(origin)
            data = data[3:] if data.startswith(b"\xef\xbb\xbf") else data
            self.source = open_file(self.request, self.dialect, name, data)
            self._check_source(self.source.document.problems, name, operations[0].section)
            self._check_names(self.source, name)

    def _check_source(self, problems, name, section):
        """Hold the settings of --merge to the rules of the file that they go into.

        Raises UsageError, with file and line, for what its reader would not read: a part of the settings is
        worse than none. With `section` they need no header.
        """
        if section is not None:
            problems = [problem for problem in problems if not problem.headless]
        if not problems:
            return
        first = problems[0]
        text = "%s:%d: %s" % (name, first.line, first.reason)
        if self.dialect.UNREADABLE == "warning":
            self.console.warn("%s; skipped" % text)
            return
        hint = "--merge FILE SECTION puts settings without a [section] into one" if first.headless else None
        raise UsageError(text + "; nothing is changed", hint=hint)

    def _check_names(self, source, name):
        """Refuse an option that no plain line can hold: oslo.config reads \\v;x = 1 as the option ;x."""
        line = 1
        for section in source.document.sections:
            line += len(document.split_lines(section.header))
            for item in section.items:
                try:
                    if source.is_option(item):
                        self.dialect.check_name(item.name)
                except StorageError as error:
                    raise UsageError("%s:%d: %s; nothing is changed" % (name, line, error.message)) from None
                line += len(document.split_lines(item.text))

    def _read_or_empty(self, path):
        try:
            return descriptors.read_file(path)
        except MissingError:
            if self._creatable():
                return None
            raise

    def _creatable(self):
        """The files that may be missing: those that something is set in."""
        if self.existing is not None:
            return []
        return [o.path for o in self.request.operations if o.kind in CREATING]

    def _transact(self):
        request = self.request
        inplace = bool(request.option("inplace"))
        with transaction.Transaction(self.console.note) as files:
            paths = [operation.path for operation in request.operations]
            opened = files.open(paths, create=self._creatable(), inplace=inplace)
            for file in files.files:
                operations = [o for o in request.operations if opened[o.path] is file]
                file.new = self.edit(file.path, file.data, operations)
            self._show_diff([(file.path, file.data, file.new) for file in files.files])
            if request.option("dry-run"):
                self._tell_dry_run(files.files)
                return 0
            commit = self._writer()
            written = commit(files, self._suffix()) if commit else files.commit(self._suffix())
            for file in written:
                if file.data is None:
                    self.console.note("created %s (mode 0640)" % file.path)
        self._tell_changes()
        return 0

    def _writer(self):
        """What writes files in place; None without --inplace."""
        if not self.request.option("inplace"):
            return None
        from ..storage import inplace

        return inplace.commit

    def _suffix(self):
        backup = self.request.option("backup")
        return ".bak" if backup is True else backup

    def edit(self, path, data, operations=None):
        """The new bytes of a file after its operations."""
        editor = open_file(self.request, self.dialect, path, data, Editor)
        apply = Applying(self.request, self.dialect, self.source)
        verbose = self.request.option("verbose")
        for operation in operations or self.request.operations:
            before = editor.document.text() if verbose else None
            try:
                apply.do(editor, operation)
            except UtilityError as error:
                raise named(path, error) from None
            changed = verbose and editor.document.text() != before
            self.changes.append((operation, changed))
        self._lay_out(editor.document)
        return verified(path, data, editor, self.request, self.console)

    def _lay_out(self, parsed):
        request = self.request
        if request.ini_option("space") or request.ini_option("nospace"):
            from ..editor import spacing

            spacing.space_assignments(parsed, request.ini_option("space"))
        if request.ini_option("sectionspace"):
            from ..editor import spacing

            spacing.space_sections(parsed)

    def _finish_one(self, path, data, new):
        """The result of the single file of a call with --output or stdin."""
        output = self.request.option("output") or "-"
        self._show_diff([(path, data, new)])
        if self.request.option("dry-run"):
            return
        if output == "-":
            if not self.request.option("diff"):
                write_stdout(new)
        else:
            transaction.write_output(output, new, self.console.note, self._writer())
        self._tell_changes()

    def _show_diff(self, triples):
        if self.request.option("diff"):
            from . import diff

            for path, old, new in triples:
                self.console.result(diff.unified(path, old, new))

    def _tell_dry_run(self, files):
        for file in files:
            state = "unchanged"
            if file.new != (file.data or b""):
                state = "would create" if file.data is None else "would change"
            self.console.note("%s: %s" % (state, file.path))

    def _tell_changes(self):
        """--verbose: what changed; in crudini's dialect one line, with the last operation."""
        if not self.request.option("verbose"):
            return
        from .formats import shell_quote

        changes = self.changes
        if self.console.crudini:
            changes = [(changes[-1][0], any(changed for _, changed in changes))]
        for operation, changed in changes:
            words = ["--" + operation.kind] + operation.shown
            state = "changed: " if changed else "unchanged: "
            self.console.say(state + one_line(" ".join([shell_quote(word) for word in words])))


def _without_last_newline(text):
    if text.endswith("\r\n"):
        return text[:-2]
    return text[:-1] if text.endswith("\n") else text
