# SPDX-License-Identifier: MIT
"""The ini editor for other programs: the engine of openstack-config as a small interface.

    from openstack_utils import ini

    ini.read("/etc/keystone/keystone.conf").values("database", "connection")

    with ini.edit(["/etc/glance/glance-api.conf", "/etc/glance/glance-registry.conf"]) as files:
        for file in files:
            file.set("database", "connection", url)

`edit` locks the files, and replaces all of them when the block ends, or none if it raises: see
`transaction` for what that guarantees. Values are written so that oslo.config reads exactly what
was given (`exact=False` writes them as they stand, so that `$name` is substituted). What is said
about a service's file is checked before it is written; StorageError and UsageError name file,
line and reason. All errors are `openstack_utils.errors.UtilityError`.
"""

from .editor import comments, document, oslo
from .editor.edits import Editor
from .errors import UsageError, UtilityError, named
from .storage import descriptors, inplace, transaction


class IniFile:
    """One file being read or edited, by oslo.config's rules.

    Editing methods come from `edits.Editor`; a missing section is made, a new option goes
    after its commented-out example.
    """

    def __init__(self, path, data, exact=True):
        self.path = path
        self.data = data
        text, undecodable = document.decode(data or b"")
        parsed = oslo.parse(text)
        if undecodable:
            parsed.problems.insert(0, undecodable)
        self.problems = parsed.problems
        self._editor = Editor(parsed, oslo, document.KEEP_ALL if exact else document.AS_WRITTEN)

    def sections(self):
        """The names of all sections, each once, in file order."""
        return self._editor.sections()

    def names(self, section):
        """The names of a section's options, each once; [] when there is no such section."""
        if not self._editor.has_section(section):
            return []
        return list(self._editor.listing(section))

    def values(self, section, name):
        """All values of an option, [] when it is not set."""
        return [value or "" for value in self._editor.values(section, name)]

    def value(self, section, name, default=None):
        """The value that counts, `default` when the option is not set."""
        return (self.values(section, name) or [default])[-1]

    def set(self, section, name, value):
        """Set an option to one value."""
        self._guard(self._editor.set, section, name, value)

    def set_all(self, section, name, values):
        """Give a multi-valued option exactly `values`."""
        self._guard(self._editor.set_all, section, name, values)

    def add(self, section, name, value):
        """Give a multi-valued option one more value."""
        self._guard(self._editor.add, section, name, value)

    def delete(self, section, name, value=None):
        """Remove an option, or only the line with `value`; False when there was none."""
        if value is None:
            return self._editor.delete(section, name)
        return self._editor.delete_value(section, name, value)

    def delete_section(self, section):
        """Remove a section with all that is in it; False when there was none."""
        return self._editor.delete_section(section)

    def comment(self, section, name):
        """Comment an option out; False when it is not set."""
        if not self._editor.find(section, name):
            return False
        return self._guard(comments.comment, self._editor, section, name)

    def uncomment(self, section, name):
        """Bring a commented-out option back; raises MissingError when there is none."""
        return self._guard(comments.uncomment, self._editor, section, name)

    def example(self, section, name):
        """The value of a commented-out option, None when there is none."""
        return comments.example_value(self._editor, section, name)

    def text(self):
        """The bytes of the file as edited so far."""
        return document.encode(self._editor.document.text())

    def verify(self):
        """Raise UsageError unless oslo.config will read the edited file."""
        text = self._editor.document.text()
        undecodable = document.find_undecodable(text)
        again = oslo.parse(text)
        for problem in ([undecodable] if undecodable else []) + again.problems:
            message = "%s:%d: %s: oslo.config could not read the result"
            raise UsageError(message % (self.path, problem.line, problem.reason))
        return document.encode(text)

    def _guard(self, edit, *arguments):
        try:
            return edit(*arguments)
        except UtilityError as error:
            raise named(self.path, error) from None


def read(path):
    """Read a file; its `problems` are lines that oslo.config will not read."""
    return IniFile(path, descriptors.read_file(path))


class edit:
    """Edit several files in one transaction; see the module's own text.

    `create` makes missing files (mode 0640), `backup` is a suffix under which the old text stays,
    `notify` is called with sentences for the user, `check` while another writer is waited for. `inplace`
    writes into the files themselves, which a SIGKILL can cut short (see `inplace`).
    """

    def __init__(self, paths, create=False, backup=None, exact=True, notify=None, check=None, inplace=False):
        self.paths = list(paths)
        self.create = create
        self.backup = backup
        self.exact = exact
        self.inplace = inplace
        self.transaction = transaction.Transaction(notify, check)
        self.pairs = []

    def __enter__(self):
        self.transaction.__enter__()
        try:
            opened = self.transaction.open(self.paths, self.paths if self.create else (), self.inplace)
            self.pairs = [(opened[path], IniFile(path, opened[path].data, self.exact)) for path in self.paths]
        except BaseException:
            self.transaction.__exit__()
            raise
        return [file for _, file in self.pairs]

    def __exit__(self, kind, *ignored):
        try:
            if kind is None:
                for target, file in self.pairs:
                    if file.text() != target.data:
                        target.new = file.verify()
                if self.inplace:
                    inplace.commit(self.transaction, self.backup)
                else:
                    self.transaction.commit(self.backup)
        except transaction.Changed:
            raise UtilityError("a file was created by somebody else meanwhile") from None
        finally:
            self.transaction.__exit__()
        return False
