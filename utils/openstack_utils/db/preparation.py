# SPDX-License-Identifier: MIT
"""What is found out and asked before anything is changed: names, engine, the server, what will be lost."""

from ..errors import MissingError, UsageError, UtilityError
from . import charsets, names
from .check import Drop
from .server.login import is_here, place_of, service_place
from .task import urls_by_database
from .urls import DEFAULT_PORTS


class Preparation:
    """Prepares the tasks of one run."""

    def __init__(self, options, console, access):
        self.options = options
        self.console = console
        self.access = access

    def prepare(self, task):
        """Find out what a service needs a human or root for, before anything is changed."""
        options = self.options
        if options.action in ("check", "update"):
            return
        values, catalogued = self._values(task), task.service
        urls = urls_by_database(catalogued, values)
        old = next((url for url in urls.values() if url.engine), None)
        task.engine = options.engine or (old.engine if old else "mysql")
        task.adopt(values)
        names.check_own(task.service)
        if task.engine == "postgresql" and options.grant_from:
            raise UsageError(
                "--grant-from is MySQL's", hint="with PostgreSQL pg_hba.conf says who may come from where"
            )
        for database in task.service.databases:
            if task.engine not in database.engines:
                message = "%s does not run on %s" % (task.service.name, task.engine)
                raise UsageError(message, hint="--engine %s" % " or ".join(database.engines))
        if options.action == "init":
            self._check_move(task, old)
            self._confirm_engine(task, urls)
        task.admin = self.access.connection(place_of(task.engine, options, old))
        if options.action == "init" and not options.dry_run:
            self._confirm_names(task, names.foreign(catalogued, task.service))
            self._confirm_encodings(task)

    def _values(self, task):
        try:
            values = task.files.read()
            task.files.check_overrides()
            return values
        except MissingError:
            # What is left of a service that was removed can be dropped all the same.
            if self.options.action == "drop":
                return {}
            raise

    def _check_move(self, task, old):
        """Refuse to move to another server than the URL's while tables remain on the old one."""
        if old is None or old.engine != task.engine or not (self.options.host or self.options.port):
            return
        here, there = service_place(old), place_of(task.engine, self.options, old)
        port = DEFAULT_PORTS[task.engine]
        is_same_host = here.host == there.host or (is_here(here.host) and is_here(there.host))
        if is_same_host and (here.port or port) == (there.port or port):
            return
        try:
            connection = task.connect(old)
            try:
                tables = connection.table_names()
            finally:
                connection.close()
        except UtilityError:
            # Nothing there that would be lost.
            return
        if tables:
            message = "the tables are in %s at %s: --init does not move them to %s"
            hint = "dump and load them, set the URL with openstack-config, and run --check"
            raise UsageError(message % (old.database, here, there), hint=hint)

    def _confirm_engine(self, task, urls):
        """Ask before a URL of another kind of database is replaced."""
        others = {url.scheme.partition("+")[0] for url in urls.values() if url.engine != task.engine}
        if others and not self.options.dry_run:
            question = "%s: the configuration names %s: replace it by %s?" % (
                task.service.name, " and ".join(sorted(others)), task.engine,
            )  # fmt: skip
            self.access.need_yes(question)

    def _confirm_names(self, task, foreign):
        """Ask before anything is made under names that are the configuration's, not the catalogue's."""
        databases = {each.name for each in task.service.databases}
        missing = databases.difference(task.admin.databases(sorted(databases)))
        for account in {each.account for each in task.service.databases}:
            missing.update([] if task.admin.hosts(account) else [account])
        asked = [words for words in foreign if words.split()[-1] in missing]
        if asked:
            question = "%s: the configuration names the %s, which the server does not have: make it?"
            self.access.need_yes(question % (task.service.name, " and the ".join(asked)))

    def _confirm_encodings(self, task):
        """Ask before an empty database of PostgreSQL makes room for one of another encoding."""
        if task.engine != "postgresql":
            return
        there = task.admin.databases([each.name for each in task.service.databases])
        empty = [name for name in sorted(there) if not task.admin.table_names(name)]
        for each in charsets.find(task, empty, empty, ""):
            question = "%s: the empty database %s has the encoding %s: drop it, and make it again with %s?"
            self.access.need_yes(question % (task.service.name, each.database, each.now, each.wanted))

    def confirm_drop(self, tasks):
        lines = []
        for task in tasks:
            lines += ["%s: %s" % (task.service.name, change) for change in Drop(task).plan()]
        if lines and not self.options.yes:
            for line in lines:
                self.console.say(line)
            self.access.need_yes("drop this, with all that is in it?")
