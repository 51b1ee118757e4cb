# SPDX-License-Identifier: MIT
"""One operation of openstack-config done in memory, and the check that the result reads back as meant."""

from ..editor import document
from ..errors import MissingError, StorageError, UsageError
from .reading import need_index


class Applying:
    """The operations of one request; `source` are the settings of --merge."""

    def __init__(self, request, dialect, source=None):
        self.request = request
        self.dialect = dialect
        self.source = source
        self.existing = request.option("existing")

    def do(self, editor, operation):
        """Do one operation in an Editor. Raises MissingError, StorageError."""
        kind, section, name = operation.kind, operation.section, operation.name
        if kind == "merge":
            from . import merge

            editor.keeping = max(editor.keeping, document.KEEP_QUOTES)
            merge.merge(editor, self.source, section, self._set_one, self._need_existing)
            return
        need_index(editor, section)
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
        elif kind == "set" and operation.value is None:
            self._set_bare(editor, section, name)
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

    def _set_bare(self, editor, section, name):
        """--set without a value: empty; for crudini a flag in a file that has flags, unless it is a list."""
        is_flag = self.dialect.INHERITS and self._list is None and editor.has_flags()
        if section == "DEFAULT" and self.dialect.INHERITS:
            editor.head_global()
        editor.set(section, name, None if is_flag else "")

    def _set_one(self, editor, section, name, value):
        if section == "DEFAULT" and self.dialect.INHERITS:
            editor.head_global()
        if self._list is None or value is None:
            editor.set(section, name, value)
            return
        if editor.keeping == document.KEEP_ALL and self.dialect.NAME == "oslo":
            value = self.dialect.escape(value)
        if self.dialect.INHERITS and not editor.has_section(section):
            # The new section then has [DEFAULT]'s list to add to.
            editor.add_section(section)
        old = (editor.values(section, name) or [None])[-1]
        self._set_list(editor, section, name, self._list.add(old, value))

    @staticmethod
    def _set_list(editor, section, name, value):
        """Set a value made from one that was read: its quotes are text, its `$` are not."""
        keeping, editor.keeping = editor.keeping, document.KEEP_QUOTES
        editor.set(section, name, value)
        editor.keeping = keeping

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


def verified(path, data, editor, request, console):
    """Read the result as its service will; refuse what would not come back as meant."""
    text = editor.document.text()
    new = document.encode(text)
    if new == data:
        return new
    undecodable = document.find_undecodable(text)
    again = editor.dialect.parse(text, request.ini_option("ignoreindent"))
    problems = ([undecodable] if undecodable else []) + again.problems
    if problems and editor.dialect.UNREADABLE == "refuse":
        raise UsageError(
            "%s:%d: %s: oslo.config could not read the result" % (path, problems[0].line, problems[0].reason),
            hint="--ini-options=ignoreindent reads indented files of other programs"
            if problems[0].reason == document.INDENTED
            else "repair that line first; for files of other programs use --dialect crudini or systemd",
        )
    lost = _first_difference(editor.document, again, editor.dialect)
    if lost and editor.dialect.UNREADABLE == "error":
        console.warn("%s: %s will not be read back as given" % (path, lost))
    elif lost:
        raise StorageError("%s: %s would not be read back as given" % (path, lost))
    return new


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
