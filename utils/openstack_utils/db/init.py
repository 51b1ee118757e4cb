# SPDX-License-Identifier: MIT
"""--init: databases, accounts, configuration and tables of a service; all of it, or nothing."""

from ..errors import Interrupted, UtilityError
from . import charsets, schema
from . import plan as db_plan
from .desired import Chooser
from .files import option_value
from .server.connection import DeniedError
from .server.statements import ACCOUNT, DATABASE, TABLES, ServerChange
from .task import CREATED, FAILED, UNCHANGED, WOULD
from .undo import UndoLog


class Init:
    """--init of one service. `password` is the one of the command line, or None."""

    def __init__(self, task, password=None):
        self.task = task
        self.chooser = Chooser(task, password)
        self.undo = UndoLog(task)

    @property
    def service(self):
        return self.task.service

    def run(self):
        """Do it; return the Outcome. After an error what was done is taken back."""
        task = self.task
        with task.locked():
            try:
                return self._run()
            except (Exception, Interrupted) as problem:
                error = task.as_error(problem)
                task.fail(error)
                taken, left = self.undo.take_back()
        if taken:
            task.say("taken back: %s" % ", ".join(taken))
        if left:
            task.say("left over: %s; the next --init or --drop removes them" % ", ".join(left))
        return task.outcome(FAILED, error, taken_back=taken, left_behind=left)

    def dry_run(self):
        """Return the Outcome of what would be done, as text."""
        task, service = self.task, self.service
        desired, state = self._look()
        new = self._new_databases(state)
        conversions, state = self._conversions(new, desired, state)
        plan = db_plan.make_plan(service, desired, state)
        lines = [
            statement.shown()
            for change in conversions + plan.changes
            for statement in task.admin.dialect.make(change, desired.password, desired.charset)
        ]
        names = {option: database.name for option, database in service.options}
        lines += ["%s = %s" % (each, desired.urls[names[each]].masked()) for each in plan.values]
        commands, _ = db_plan.commands_of(service, new, option_value)
        lines += [" ".join(service.argv(command.run, desired.urls)) for command in commands]
        return task.outcome(WOULD[CREATED] if lines else UNCHANGED, plan=lines)

    def _run(self):
        task, service, undo = self.task, self.service, self.undo
        undo.resume()
        desired, state = self._look()
        self._check_accounts(desired, state)
        new = self._new_databases(state)
        own = undo.own(ACCOUNT)
        if desired.is_given and not own and self._is_let_in(desired, state):
            desired = desired._replace(is_given=False)
        conversions, state = self._conversions(new, desired, state)
        plan = db_plan.make_plan(service, desired, state, own)
        commands, left_out = db_plan.commands_of(service, new, option_value)
        if not plan.changes and not plan.values and not commands:
            self._connect_all(desired)
            task.journal.close()
            task.say("unchanged")
            return task.outcome(UNCHANGED, databases=sorted(desired.urls))
        # What is missing for the commands is reported before anything is changed.
        programs = task.programs(commands)
        changes = conversions + plan.changes
        # Tables in a database that was there, and empty, are made by this run too.
        tables = [ServerChange(TABLES, name) for name in new if commands and name in state.databases]
        undo.change_server(changes + tuple(tables), desired.password, desired.charset)
        undo.change_files(plan.values)
        self._connect_all(desired)
        task.tell_left_out(left_out, desired.urls)
        task.sync(programs, commands, desired.urls)
        self._check_tables(desired, new if commands else ())
        task.stop.check()
        task.journal.close()
        task.say("done")
        return task.outcome(
            CREATED,
            databases=sorted(desired.urls),
            accounts=desired.accounts(service),
            files=sorted({option.path for option in plan.values}),
            log=task.log if commands else None,
        )

    # What is there

    def _look(self):
        """Return the Desired state, and the State."""
        admin, values = self.task.admin, self.task.files.read()
        desired = self.chooser.choose(values)
        accounts, grants = set(), set()
        for account in {each.account for each in self.service.databases}:
            hosts = admin.hosts(account)
            accounts.update(ServerChange(ACCOUNT, "", account, host) for host in hosts)
            if hosts:
                grants.update(admin.grants(account))
        databases = admin.databases(list(desired.urls))
        state = db_plan.ServerState(frozenset(databases), frozenset(accounts), frozenset(grants), values)
        return desired, state

    def _new_databases(self, state):
        """Return the databases that need tables. Refuses old tables, which --update is for."""
        admin, service = self.task.admin, self.service
        own = {change.database for kind in (DATABASE, TABLES) for change in self.undo.own(kind)}
        new, old, graphs = [], [], None
        for each in service.databases:
            if each.name not in state.databases or each.name in own:
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
                self.task.say(text % each.name)
        if old and not new:
            message = "%s: its tables are older than the installed code" % ", ".join(old)
            raise UtilityError(message, hint="--update migrates them")
        return new

    def _conversions(self, new, desired, state):
        """Return (Changes that give empty databases the right character set, the State that they leave)."""
        task, changes, lost = self.task, [], set()
        for name, now, wanted, change in charsets.find(task, new, state.databases, desired.charset):
            task.say("%s is empty: its character set %s becomes %s" % (name, now, wanted))
            changes.append(change)
            if change.host:
                # A database in its place has the grants of its owner only.
                lost.update(each for each in state.grants if each.database == name)
                lost = {each for each in lost if each.account != change.account}
        return tuple(changes), state._replace(grants=state.grants - lost)

    def _check_accounts(self, desired, state):
        """Refuse to guess the password of an account that is there."""
        if desired.is_given or self.chooser.generated is None:
            return
        own = self.undo.own(ACCOUNT)
        for change in desired.account_changes(self.service):
            if change in state.accounts and change not in own:
                raise UtilityError(
                    "the %s exists, but no configuration file has its password" % (change,),
                    hint="--password-file gives it, --generate-password sets a new one,"
                    " --drop removes all of it",
                )

    def _is_let_in(self, desired, state):
        """Whether all accounts are there and have the password of this run already."""
        if not state.accounts.issuperset(desired.account_changes(self.service)):
            return False
        try:
            self._connect_all(desired)
        except UtilityError:
            return False
        return True

    def _connect_all(self, desired):
        """Log in as the service, to each of its databases."""
        for url in desired.urls.values():
            try:
                connection = self.task.connect(url)
            except DeniedError as error:
                if error.hint:
                    raise
                self._explain_denied(error, url)
                message = "%s: the account may be there with another password" % error.message
                hint = "--password-file or --generate-password sets a new one"
                if self.task.options.grant_from:
                    message = "%s: --grant-from lets it in from %s only" % (
                        error.message, ", ".join(self.task.options.grant_from),
                    )  # fmt: skip
                    hint = "name this host with another --grant-from: the tables are made from here"
                raise UtilityError(message, hint=hint) from None
            try:
                # An expired password lets in, and does nothing.
                connection.query("SELECT 1")
            finally:
                connection.close()

    def _explain_denied(self, error, url):
        """Raise what helps where MySQL says no more than that access is denied.

        An account may require TLS. And of the accounts for a host the one with the most exact host is taken
        first, ''@localhost before keystone@%.
        """
        if self.task.engine != "mysql":
            return
        if self.task.admin.requires_tls(url.user) and "ssl_ca" not in url.options():
            message = "%s: the account requires TLS" % error.message
            raise UtilityError(message, hint="--ssl-ca FILE uses TLS, and writes it into the URL") from None
        hosts = sorted(self.task.admin.hosts(""))
        if hosts:
            names = ", ".join("''@'%s'" % host for host in hosts)
            message = "%s: accounts without a name come first: %s" % (error.message, names)
            drop = "; ".join("DROP USER ''@'%s'" % host for host in hosts)
            raise UtilityError(message, hint="%s; or --grant-from names this host" % drop) from None

    def _check_tables(self, desired, names):
        for name in names:
            connection = self.task.connect(desired.urls[name])
            try:
                if not connection.table_names():
                    raise UtilityError("%s has no tables, although its command ended well" % name)
            finally:
                connection.close()
