# SPDX-License-Identifier: MIT
"""The undo log: what a run makes on the server and in files, and how all of it is taken back.

A change is noted in the journal before it is made. After a failure the newest is taken back first; a run
after a SIGKILL takes over what the journal has.
"""

import os
import time

from ..errors import UnreachableError, UtilityError
from .files import backup_of
from .journal import Backup
from .server.connection import ServerError
from .server.statements import ACCOUNT, CHARSET, DATABASE, GRANT, PASSWORD, TABLES

# How long a database may be in use by a command that has just been ended.
RELEASE_SECONDS = 5
# The tables in which alembic and its predecessor keep the version, and where it is in them.
VERSIONS = (("alembic_version", "version_num"), ("migrate_version", "version"))


class UndoLog:
    """The changes of one service in one run."""

    def __init__(self, task):
        self.task = task
        self.journal = task.journal
        # What can be taken back: (Change, the statement that does it or None for the usual one).
        self.made = []

    def own(self, kind):
        """Return the changes of a kind that are this run's, or an unfinished one's before it."""
        return [change for change, _ in self.made if change.kind == kind]

    def resume(self):
        """Take over what an unfinished run has left.

        A database whose first migration was cut short is of no use to anybody: it is emptied.
        """
        task, journal = self.task, self.journal
        if not journal.read():
            return
        task.say("continues a run that was interrupted")
        for change in journal.changes:
            task.admin.settle(change)
        there = task.admin.databases([each.name for each in task.service.databases])
        for change in list(journal.changes):
            if not self._is_there(change, there):
                journal.forget(change)
            elif change.kind in (DATABASE, TABLES) and self._is_half_made(change.database):
                task.admin.clear(change.database)
        self.made = [(change, None) for change in journal.changes if change.kind != PASSWORD]

    def _is_there(self, change, databases):
        if change.kind in (CHARSET, DATABASE, TABLES):
            return change.database in databases
        if change.kind == GRANT:
            return change in self.task.admin.grants(change.account)
        return change.host in self.task.admin.hosts(change.account)

    def _is_half_made(self, database):
        """Whether a database has tables, and no version of them is noted yet."""
        admin = self.task.admin
        tables = admin.table_names(database)
        for table, column in VERSIONS:
            if table in tables:
                return not admin.rows_of(database, table, column)
        return bool(tables)

    # Changing

    def change_server(self, changes, password, charset):
        """Make Changes, in their order."""
        task = self.task
        made = [str(change) for change in changes if change.kind in (ACCOUNT, DATABASE, PASSWORD)]
        if made:
            task.say("makes %s" % ", ".join(made))
        for change in changes:
            task.stop.check()
            back = None
            if change.kind == PASSWORD:
                back = task.admin.old_password(change.account, change.host)
            self.journal.add(change)
            try:
                task.admin.make(change, password, charset)
            except UnreachableError:
                # Perhaps it was made all the same.
                self.made.append((change, back))
                raise
            except BaseException:
                self.journal.forget(change)
                raise
            self.made.append((change, back))

    def change_files(self, values):
        """Set options, {option: text}."""
        task, journal = self.task, self.journal
        if not values:
            return
        task.stop.check()
        paths = list(dict.fromkeys(option.path for option in values))
        task.say("writes %s" % ", ".join(paths))
        # An unfinished run has kept the text from before it: that is the one to go back to. All old texts
        # are kept before the first file changes: where one is missing none has changed.
        again = {old.path: old for old in journal.files if os.path.exists(old.backup)}
        journal.set_files([again.get(path) or Backup(path, backup_of(path)) for path in paths])
        try:
            written = task.files.write(values, backup=not again.keys() >= set(paths))
        except BaseException:
            journal.set_files(again.values())
            raise
        journal.set_files(written)

    # Taking back

    def take_back(self):
        """Take back what can be; return (what was taken back, what remains), in words."""
        taken, left = [], []
        for old in list(self.journal.files):
            try:
                if self.task.files.restore(old):
                    taken.append(old.path)
                self.journal.set_files(each for each in self.journal.files if each != old)
            except (UtilityError, OSError) as problem:
                left.append("%s (%s)" % (old.path, problem))
        is_gone = False
        for change, back in reversed(self.made):
            try:
                if not is_gone:
                    self._take_back(change, back)
                    taken.append(str(change))
                    self.journal.forget(change)
                    continue
            except UtilityError as problem:
                is_gone = isinstance(problem, UnreachableError)
                self.task.say("cannot take back the %s: %s" % (change, problem.message))
            left.append(str(change))
        if not left:
            self.journal.close()
        return taken, left

    def _take_back(self, change, back):
        admin = self.task.admin
        deadline = time.monotonic() + RELEASE_SECONDS
        while True:
            try:
                if back is not None:
                    admin.query(back)
                elif change.kind == PASSWORD:
                    raise UtilityError("this server does not show the old one")
                else:
                    admin.drop(change)
                return
            except UnreachableError:
                if time.monotonic() > deadline:
                    raise
                self._reconnect()
            except ServerError as error:
                # Gone with its database, or never made.
                if error.is_absent:
                    return
                if not error.is_in_use or time.monotonic() > deadline:
                    raise
            time.sleep(0.2)

    def _reconnect(self):
        try:
            self.task.admin.reconnect()
        except UnreachableError:
            # The next turn tries again, until it is too late.
            return
