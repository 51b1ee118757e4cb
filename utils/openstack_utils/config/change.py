# SPDX-License-Identifier: MIT
"""openstack-config's operations that change files: edit in memory, verify, then write."""

from ..editor import document
from ..errors import MissingError, StorageError, UsageError, UtilityError
from ..storage import descriptors, transaction
from .command import one_line, write_stdout
from .get import named, open_editor, read_data, report_problems

CREATING = ("set", "merge", "add")


class Change:
    """One call that changes files. `run` does everything and returns the exit code."""

    def __init__(self, request, dialect, console):
        self.request = request
        self.dialect = dialect
        self.console = console
        self.existing = request.option("existing")
        self.changes = []

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
                value = document.decode(read_data(operation.value_file))[0]
                operation.arguments.append(_without_last_newline(value))
        self.source = None
        if merging:
            origin = "-" if source is None else source
            name = "stdin" if origin == "-" else origin
            self.source = open_editor(self.request, self.dialect, name, read_data(origin))
            report_problems(self.source, self.dialect, name, self.console)

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
            if inplace:
                from ..storage import inplace as writer

                written = writer.commit(files, self._suffix())
            else:
                written = files.commit(self._suffix())
            for file in written:
                if file.data is None:
                    self.console.note("created %s (mode 0640)" % file.path)
        self._tell_changes()
        return 0

    def _suffix(self):
        backup = self.request.option("backup")
        return ".bak" if backup is True else backup

    def edit(self, path, data, operations=None):
        """The new bytes of a file after its operations."""
        editor = open_editor(self.request, self.dialect, path, data)
        verbose = self.request.option("verbose")
        for operation in operations or self.request.operations:
            before = editor.document.text() if verbose else None
            try:
                self._apply(editor, operation)
            except UtilityError as error:
                raise named(path, error) from None
            changed = verbose and editor.document.text() != before
            self.changes.append((operation, changed))
        self._lay_out(editor.document)
        return self._verify(path, data, editor)

    def _lay_out(self, parsed):
        request = self.request
        if request.ini_option("space") or request.ini_option("nospace"):
            from ..editor import spacing

            spacing.space_assignments(parsed, request.ini_option("space"))
        if request.ini_option("sectionspace"):
            from ..editor import spacing

            spacing.space_sections(parsed)

    def _apply(self, editor, operation):
        kind, section, name = operation.kind, operation.section, operation.name
        if kind == "merge":
            from . import merge

            editor.exact = editor.exact or "quotes"
            merge.merge(editor, self.source, section, self._set_one, self._need_existing)
            return
        if kind in ("set", "add", "del"):
            self._need_existing(editor, section, name if kind != "add" else None)
        if name is None:
            if kind == "set" and section == "DEFAULT" and self.dialect.INHERITS:
                editor.head_global()
            elif kind == "set":
                editor.add_section(section)
            elif kind == "del":
                editor.delete_section(section)
        elif kind == "set" and operation.all:
            editor.set_all(section, name, operation.arguments[3:])
        elif kind == "set":
            self._set_one(editor, section, name, operation.value)
        elif kind == "add":
            editor.add(section, name, operation.value)
        elif kind == "del":
            self._delete(editor, section, name, operation.value)
        else:
            from ..editor import comments

            change = comments.comment if kind == "comment" else comments.uncomment
            change(editor, section, name, operation.value)

    def _set_one(self, editor, section, name, value):
        if section == "DEFAULT" and self.dialect.INHERITS:
            editor.head_global()
        if self._list is None or value is None:
            editor.set(section, name, value)
            return
        if editor.exact is True and self.dialect.NAME == "oslo":
            value = self.dialect.escape(value)
        if self.dialect.INHERITS and not editor.has_section(section):
            # The new section then has [DEFAULT]'s list to add to.
            editor.add_section(section)
        old = (editor.values(section, name) or [None])[-1]
        self._set_list(editor, section, name, self._list.add(old, value))

    @staticmethod
    def _set_list(editor, section, name, value):
        """Set a value made from one that was read: its quotes are text, its `$` are not."""
        exact, editor.exact = editor.exact, "quotes"
        editor.set(section, name, value)
        editor.exact = exact

    def _delete(self, editor, section, name, value):
        if value is None:
            editor.delete(section, name)
        elif self._list is None:
            if not editor.delete_value(section, name, value) and self.existing in ("all", "param"):
                raise MissingError("parameter not found: %s = %s" % (name, value))
        elif editor.values(section, name):
            old = editor.values(section, name)[-1]
            self._set_list(editor, section, name, self._list.remove(old, value))

    @property
    def _list(self):
        """The style of --list, or None without it."""
        if not self.request.option("list"):
            return None
        from ..editor import lists

        return lists.ListStyle(self.request.option("list-sep"))

    def _need_existing(self, editor, section, name):
        if self.existing in ("all", "section", "param"):
            editor.need_section(section)
        if self.existing in ("all", "param") and name is not None:
            editor.need_option(section, name)

    def _verify(self, path, data, editor):
        """Read the result as its service will; refuse what would not come back as meant."""
        text = editor.document.text()
        new = document.encode(text)
        if new == data:
            return new
        undecodable = document.find_undecodable(text)
        again = self.dialect.parse(text, self.request.ini_option("ignoreindent"))
        problems = ([undecodable] if undecodable else []) + again.problems
        if problems and self.dialect.UNREADABLE == "refuse":
            raise UsageError(
                "%s:%d: %s: oslo.config could not read the result"
                % (path, problems[0].line, problems[0].reason),
                hint="repair that line first; for files of other programs use --dialect "
                "crudini or --dialect systemd",
            )
        lost = _first_difference(editor.document, again, self.dialect)
        if lost and self.dialect.UNREADABLE == "error":
            self.console.warn("%s: %s will not be read back as given" % (path, lost))
        elif lost:
            raise StorageError("%s: %s would not be read back as given" % (path, lost))
        return new

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
            writer = None
            if self.request.option("inplace"):
                from ..storage.inplace import commit as writer
            transaction.write_output(output, new, self.console.note, writer)
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
            words = ["--" + operation.kind] + operation.told
            state = "changed: " if changed else "unchanged: "
            self.console.say(state + one_line(" ".join([shell_quote(word) for word in words])))


def _without_last_newline(text):
    if text.endswith("\r\n"):
        return text[:-2]
    return text[:-1] if text.endswith("\n") else text


def _first_difference(meant, found, dialect):
    """Name the first option or section that reads differently from what was meant, or None."""
    if len(meant.sections) != len(found.sections):
        return "a section"
    for section, other in zip(meant.sections, found.sections):
        where = section.name or "DEFAULT"
        if section.name != other.name:
            return "the section [%s]" % where
        ours = [item for item in section.items if item.kind == document.OPTION]
        theirs = [item for item in other.items if item.kind == document.OPTION]
        for item, read in zip(ours, theirs):
            if item.name == read.name and item.text == read.text and item.value is None:
                continue
            if item.name != read.name or dialect.read_value(item) != dialect.read_value(read):
                return "%s in [%s]" % (item.name, where)
        if len(ours) != len(theirs):
            return "an option of [%s]" % where
    return None
