# SPDX-License-Identifier: MIT
"""--check, --update and --drop."""

from ..errors import Interrupted, MissingError, UnreachableError, UtilityError
from ..host.processes import how_it_ended
from . import plan as db_plan
from . import schema
from .files import option_value
from .server.connection import DeniedError, MissingDatabase
from .server.statements import ACCOUNT, DATABASE, ServerChange
from .task import DROPPED, FAILED, UNCHANGED, UPDATED, WOULD

DENIED, UNREACHABLE, UNSET = "denied", "unreachable", "not set"
# The state of a service is the worst of its databases'.
ORDER = (
    UNREACHABLE, UNSET, DENIED, schema.MISSING, schema.EMPTY, schema.BEHIND, schema.UNKNOWN,
    schema.CURRENT,
)  # fmt: skip


class Check:
    """--check of one service: with the URLs of its files, as the service, without root."""

    def __init__(self, task):
        self.task = task

    @property
    def service(self):
        return self.task.service

    def run(self):
        """Return the Outcome; its result is the state of the service."""
        try:
            states, error = self._states()
        except (UtilityError, Interrupted) as problem:
            error = self.task.as_error(problem)
            self.task.fail(error)
            return self.task.outcome(FAILED, error)
        state = min(states.values(), key=ORDER.index)
        if error is not None:
            self.task.fail(error)
        elif state != schema.CURRENT:
            # The result says all.
            error = UtilityError("the database is not current")
        return self.task.outcome(state, error, databases=states)

    def _states(self):
        """Return ({database: state}, the error that explains the worst of them or None)."""
        task = self.task
        urls = task.adopt(task.files.read(with_defaults=True))
        task.engine = next((url.engine for url in urls.values()), None)
        states, found, error = {}, {}, None
        for each in self.service.databases:
            url = urls.get(each.name)
            if url is None or url.engine is None:
                states[each.name] = UNSET
                what = "names no server" if url is None else "is %s" % url.masked()
                error = error or UtilityError("the URL of %s %s" % (each.name, what))
                continue
            try:
                connection = task.connect(url)
                try:
                    found[each.name] = (connection.revisions(), connection.table_names())
                finally:
                    connection.close()
            except MissingDatabase:
                states[each.name] = schema.MISSING
            except DeniedError as problem:
                if problem.hint is None and url.engine == "mysql":
                    problem.hint = (
                        "another password counts, the account requires TLS (--ssl-ca), or one without a name"
                        " is taken first: --init says which"
                    )
                states[each.name], error = DENIED, error or problem
            except UnreachableError as problem:
                states[each.name], error = UNREACHABLE, problem
        said, why = self._ask_service() if len(found) == len(self.service.databases) else (None, None)
        graphs = schema.read_graphs(self.service) if found and said is None else {}
        for name, (revisions, tables) in found.items():
            graph = graphs.get(self.service.database(name).migrations)
            judged = schema.judge(graph, revisions, tables)
            states[name] = judged if said is None or judged == schema.EMPTY else said
            if states[name] == schema.UNKNOWN:
                error = error or why
        return {each.name: states[each.name] for each in self.service.databases}, error

    def _ask_service(self):
        """Return (what the service's own check says or None, why it says nothing or None)."""
        check, task = self.service.check, self.task
        if check is None or task.files.overrides:
            return None, None
        argv = self.service.argv(check["run"], {})
        try:
            code, lines = task.programs(()).logged(argv)
        except UtilityError as error:
            return None, error
        if code == 0:
            return schema.CURRENT, None
        if code in check["behind"]:
            return schema.BEHIND, None
        said = next((line.strip() for line in reversed(lines) if line.strip()), "no output")
        message = "%s %s: %s" % (" ".join(argv), how_it_ended(code), said)
        return None, UtilityError(message, hint="its whole output: %s" % task.log)


class Update:
    """--update of one service: its tables become those that the installed code wants."""

    def __init__(self, task):
        self.task = task

    @property
    def service(self):
        return self.task.service

    def run(self):
        task = self.task
        with task.locked():
            try:
                return self._run()
            except (UtilityError, OSError, Interrupted) as problem:
                error = task.as_error(problem)
                task.fail(error)
                return task.outcome(FAILED, error)

    def _run(self):
        task = self.task
        urls = task.adopt(task.files.read(with_defaults=True))
        task.files.check_overrides()
        service = self.service
        for each in service.databases:
            url = urls.get(each.name)
            if url is None or url.engine is None:
                raise UtilityError("no file has the URL of %s" % each.name, hint="--init sets it up")
            task.engine = url.engine
            try:
                connection = task.connect(url)
            except MissingDatabase as error:
                raise MissingError(error.message, hint="--init makes it") from None
            try:
                if not connection.table_names():
                    raise MissingError("%s is empty" % each.name, hint="--init makes its tables")
            finally:
                connection.close()
        commands, left_out = db_plan.commands_of(service, urls, option_value)
        if task.options.dry_run:
            lines = [" ".join(service.argv(command.run, urls)) for command in commands]
            return task.outcome(WOULD[UPDATED], plan=lines)
        programs = task.programs(commands)
        task.tell_left_out(left_out, urls)
        task.sync(programs, commands, urls)
        task.say("done")
        return task.outcome(UPDATED, databases=sorted(urls), log=task.log)


class Drop:
    """--drop of one service: all its databases, and its accounts at all hosts.

    `kept` maps the accounts that stay to the databases of others that they are used for.
    """

    def __init__(self, task):
        self.task = task
        self.kept = {}

    @property
    def service(self):
        return self.task.service

    def plan(self):
        """Return the Changes to take back: databases, then accounts."""
        admin = self.task.admin
        names = [each.name for each in self.service.databases]
        there = admin.databases(names)
        changes = [
            ServerChange(DATABASE, each.name, each.account)
            for each in self.service.databases
            if each.name in there
        ]
        for account in dict.fromkeys(each.account for each in self.service.databases):
            others = self._others(account, names)
            if others:
                self.kept[account] = others
                continue
            changes += [ServerChange(ACCOUNT, "", account, host) for host in sorted(admin.hosts(account))]
        return changes

    def _others(self, account, names):
        """Return the databases of somebody else that an account is used for: it stays then."""
        used = {change.database for change in self.task.admin.grants(account)}.difference(names)
        return sorted(self.task.admin.databases(sorted(used))) if used else []

    def dry_run(self):
        dialect = self.task.admin.dialect
        lines = [statement.shown() for each in self.plan() for statement in dialect.drop(each)]
        return self.task.outcome(WOULD[DROPPED] if lines else UNCHANGED, plan=lines)

    def run(self):
        task = self.task
        dropped = []
        with task.locked():
            try:
                self._drop(dropped)
            except (UtilityError, OSError, Interrupted) as problem:
                error = task.as_error(problem)
                task.fail(error)
                return task.outcome(FAILED, error, dropped=dropped)
        if not dropped:
            task.say("unchanged: it has neither database nor account")
        return task.outcome(DROPPED if dropped else UNCHANGED, dropped=dropped)

    def _drop(self, dropped):
        task = self.task
        plan = self.plan()
        for account, others in self.kept.items():
            task.say("the account %s stays: it is used for %s" % (account, ", ".join(others)))
        for change in plan:
            task.stop.check()
            task.say("drops the %s" % (change,))
            task.admin.drop(change)
            dropped.append(str(change))
        if task.journal.read():
            for old in task.journal.files:
                if task.files.restore(old):
                    task.say("puts back %s" % old.path)
            task.journal.close()
