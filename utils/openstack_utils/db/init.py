# SPDX-License-Identifier: MIT
"""--init: databases, accounts, configuration and tables of a service; all of it, or nothing."""

from ..errors import UtilityError
from ..host.signals import Interrupted
from . import plan as db_plan
from . import schema
from .desired import Chooser
from .files import option_value
from .server.connection import DeniedError
from .server.statements import ACCOUNT, DATABASE, TABLES, Change
from .task import CREATED, FAILED, UNCHANGED, as_error
from .undo import Making


class Init:
    """--init of one service. `password` is the one of the command line, or None."""

    def __init__(self, work, password=None):
        self.work = work
        self.service = work.service
        self.chooser = Chooser(work, password)
        self.making = Making(work)

    def run(self):
        """Do it; return the Outcome. After an error what was done is taken back."""
        work = self.work
        with work.locked():
            try:
                return self._run()
            except (Exception, Interrupted) as problem:
                error = as_error(problem)
                work.fail(error)
                taken, left = self.making.take_back()
        if taken:
            work.say("taken back: %s" % ", ".join(taken))
        if left:
            work.say("left behind: %s; the next --init or --drop takes them" % ", ".join(left))
        return work.outcome(FAILED, error, taken_back=taken, left_behind=left)

    def dry_run(self):
        """Return the Outcome of what would be done, as text."""
        work, service = self.work, self.service
        wanted, there = self._look()
        plan = db_plan.make_plan(service, wanted, there)
        lines = [
            statement.shown()
            for change in plan.changes
            for statement in work.admin.dialect.make(change, wanted.password, wanted.charset)
        ]
        names = {option: database.name for option, database in service.options}
        lines += ["%s = %s" % (each, wanted.urls[names[each]].masked()) for each in plan.values]
        commands, _ = db_plan.commands_of(service, self._new_databases(there), option_value)
        lines += [" ".join(service.argv(command.run, wanted.urls)) for command in commands]
        return work.outcome(CREATED if lines else UNCHANGED, plan=lines)

    def _run(self):
        work, service, making = self.work, self.service, self.making
        making.resume()
        wanted, there = self._look()
        self._check_accounts(wanted, there)
        new = self._new_databases(there)
        own = making.own(ACCOUNT)
        if wanted.is_given and not own and self._is_let_in(wanted, there):
            wanted = wanted._replace(is_given=False)
        plan = db_plan.make_plan(service, wanted, there, own)
        commands, left_out = db_plan.commands_of(service, new, option_value)
        if not plan.changes and not plan.values and not commands:
            self._connect_all(wanted)
            work.journal.close()
            work.say("unchanged")
            return work.outcome(UNCHANGED, databases=sorted(wanted.urls))
        # What is missing for the commands is told before anything is changed.
        programs = work.programs(commands)
        # Tables in a database that was there, and empty, are made by this run too.
        tables = [Change(TABLES, name) for name in new if commands and name in there.databases]
        making.change_server(plan.changes + tuple(tables), wanted.password, wanted.charset)
        making.change_files(plan.values)
        self._connect_all(wanted)
        work.tell_left_out(left_out, wanted.urls)
        work.sync(programs, commands, wanted.urls)
        self._check_tables(wanted, new if commands else ())
        work.stop.check()
        work.journal.close()
        work.say("done")
        return work.outcome(
            CREATED,
            databases=sorted(wanted.urls),
            accounts=wanted.accounts(service),
            files=sorted({option.path for option in plan.values}),
            log=work.log if commands else None,
        )

    # What is there

    def _look(self):
        """Return what is Wanted, and what is There."""
        admin, values = self.work.admin, self.work.files.read()
        wanted = self.chooser.choose(values)
        accounts, grants = set(), set()
        for account in {each.account for each in self.service.databases}:
            hosts = admin.hosts(account)
            accounts.update(Change(ACCOUNT, "", account, host) for host in hosts)
            if hosts:
                grants.update(admin.grants(account))
        databases = admin.databases(list(wanted.urls))
        there = db_plan.There(
            frozenset(databases), frozenset(accounts), frozenset(grants), values
        )
        return wanted, there

    def _new_databases(self, there):
        """Return the databases that need tables. Refuses old tables, which --update is for."""
        admin, service = self.work.admin, self.service
        own = {change.database for kind in (DATABASE, TABLES) for change in self.making.own(kind)}
        new, old, graphs = [], [], None
        for each in service.databases:
            if each.name not in there.databases or each.name in own:
                new.append(each.name)
                continue
            tables = admin.table_names(each.name)
            if not tables:
                new.append(each.name)
            elif each.migrations and "alembic_version" in tables:
                graphs = schema.read_graphs(service) if graphs is None else graphs
                revisions = set(admin.rows_of(each.name, "alembic_version", "version_num"))
                graph = graphs.get(each.migrations)
                if schema.judge(graph, revisions, tables) == schema.BEHIND:
                    old.append(each.name)
            elif each.migrations:
                text = "%s has tables of an unknown version, which stay: --update migrates them"
                self.work.say(text % each.name)
        if old and not new:
            message = "%s: its tables are older than the installed code" % ", ".join(old)
            raise UtilityError(message, hint="--update migrates them")
        return new

    def _check_accounts(self, wanted, there):
        """Refuse to guess the password of an account that is there."""
        if wanted.is_given or self.chooser.generated is None:
            return
        own = self.making.own(ACCOUNT)
        for change in wanted.account_changes(self.service):
            if change in there.accounts and change not in own:
                raise UtilityError(
                    "the %s is there, and no file has its password" % (change,),
                    hint="--password-file gives it, --generate-password sets a new one,"
                    " --drop takes all away",
                )

    def _is_let_in(self, wanted, there):
        """Whether all accounts are there and have the password of this run already."""
        if not there.accounts.issuperset(wanted.account_changes(self.service)):
            return False
        try:
            self._connect_all(wanted)
        except UtilityError:
            return False
        return True

    def _connect_all(self, wanted):
        """Log in as the service, to each of its databases."""
        for url in wanted.urls.values():
            try:
                self.work.connect(url).close()
            except DeniedError as error:
                message = "%s: the account may be there with another password" % error.message
                hint = "--password-file or --generate-password sets it anew"
                raise UtilityError(message, hint=hint) from None

    def _check_tables(self, wanted, names):
        for name in names:
            connection = self.work.connect(wanted.urls[name])
            try:
                if not connection.table_names():
                    raise UtilityError("%s has no tables, although its command ended well" % name)
            finally:
                connection.close()
