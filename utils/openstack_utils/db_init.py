# SPDX-License-Identifier: MIT
"""--init: databases, accounts, configuration and tables of a service; all of it, or nothing.

What this run makes is noted in the journal first. When anything fails it is taken back, the newest
first; what was there before is never touched.
"""

import socket
import time

from . import db_plan, db_schema, db_secrets
from .credentials import is_local
from .db_connections import DeniedError, ServerError
from .db_files import backup_of, option_value
from .db_journal import Kept
from .db_login import is_here
from .db_statements import ACCOUNT, DATABASE, GRANT, PASSWORD, Change
from .db_urls import DEFAULT_PORTS, LOOPBACK
from .db_work import CREATED, FAILED, UNCHANGED, as_error, urls_by_database
from .errors import UnreachableError, UtilityError
from .interruption import Interrupted

# How long a database may be in use by a command that has just been ended.
RELEASE_SECONDS = 5


class Init:
    """--init of one service. `password` is the one of this run, or None for the one that is there."""

    def __init__(self, work, password=None):
        self.work = work
        self.service = work.service
        self.given = password
        self.generated = None
        # What can be taken back: (Change, the statement that does it or None for the usual one).
        self.made = []

    def run(self):
        """Do it; return the Outcome. After an error what was done is taken back."""
        with self.work.locked():
            try:
                return self._run()
            except (Exception, Interrupted) as error:
                return self._failed(as_error(error))

    def dry_run(self):
        """Return the Outcome of doing nothing, after printing what would be done."""
        work = self.work
        values = work.files.read()
        wanted = self._wanted(values)
        there = self._there(wanted, values)
        plan = db_plan.make_plan(self.service, wanted, there)
        lines = []
        for change in plan.changes:
            for statement in work.admin.dialect.make(change, wanted.password, wanted.charset):
                lines.append(statement.shown())
        for option in plan.values:
            url = next(wanted.urls[each.name] for found, each in self.service.options if found == option)
            lines.append("%s = %s" % (option, url.masked()))
        new = self._new_databases(there)
        commands, _ = db_plan.commands_of(self.service, new, option_value)
        lines += [" ".join(self.service.argv(command.run, wanted.urls)) for command in commands]
        return work.outcome(CREATED if lines else UNCHANGED, plan=lines)

    # Steps

    def _run(self):
        work, service = self.work, self.service
        resumed = self._resume()
        values = work.files.read()
        wanted = self._wanted(values)
        there = self._there(wanted, values)
        self._check_accounts(wanted, there)
        new = self._new_databases(there, resumed)
        own = [change for change, _ in self.made if change.kind == ACCOUNT]
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
        self._change_server(plan, wanted)
        self._change_files(plan)
        self._connect_all(wanted)
        work.tell_left_out(left_out, wanted.urls)
        work.sync(programs, commands, wanted.urls)
        self._check_tables(wanted, [name for name in new if commands])
        work.stop.check()
        work.journal.close()
        work.say("done")
        return work.outcome(
            CREATED,
            databases=sorted(wanted.urls),
            accounts=sorted({"%s@%s" % (each.account, host) if host else each.account
                             for each in service.databases for host in wanted.hosts}),
            files=sorted({option.path for option in plan.values}),
            log=work.log if commands else None,
        )  # fmt: skip

    def _resume(self):
        """Take over what an unfinished run has left; return whether there was one.

        A database whose first migration was cut short is of no use to anybody: it is made anew.
        """
        work = self.work
        if not work.journal.read():
            return False
        work.say("goes on where a run that was cut short stopped")
        names = [each.name for each in self.service.databases]
        there = work.admin.databases(names)
        for change in list(work.journal.changes):
            if not self._is_there(change, there):
                work.journal.forget(change)
            elif change.kind == DATABASE and self._is_half_made(change.database):
                work.admin.drop(change)
                work.journal.forget(change)
        self.made = [(change, None) for change in work.journal.changes if change.kind != PASSWORD]
        return True

    def _is_there(self, change, databases):
        if change.kind == DATABASE:
            return change.database in databases
        if change.kind == GRANT:
            return change in self.work.admin.grants(change.account)
        return change.host in self.work.admin.hosts(change.account)

    def _is_half_made(self, database):
        admin = self.work.admin
        tables = admin.table_names(database)
        if not tables:
            return False
        for table, column in (("alembic_version", "version_num"), ("migrate_version", "version")):
            if table in tables:
                return not admin.rows_of(database, table, column)
        return True

    def _wanted(self, values):
        work, service, options = self.work, self.service, self.work.options
        old = urls_by_database(service, values)
        port, at, listens, seen = work.admin.facts()
        is_new = not any(url.engine == work.engine for url in old.values())
        preferences = db_plan.Preferences(
            work.engine, options.host or "", str(options.port or ""), "", options.ssl_ca
        )
        if not options.host and (is_new or options.socket):
            if not listens:
                preferences = preferences._replace(socket=at)
            elif work.admin.place.socket and port != DEFAULT_PORTS[work.engine]:
                preferences = preferences._replace(port=str(port))
        password, is_given = self._password(old)
        urls = {
            each.name: db_plan.compose(
                old.get(each.name), each, password, preferences, service.drivers
            )
            for each in service.databases
            if not each.beside
        }
        for each in service.databases:
            if each.beside:
                urls[each.name] = urls[each.beside]._replace(database=each.name)
        work.secrets.add(password)
        hosts = self._hosts(urls, seen)
        charset = options.charset or service.charset
        is_owned = work.engine == "postgresql"
        return db_plan.Wanted(urls, hosts, charset, password, is_owned, is_given)

    def _password(self, old):
        """Return (password, whether this run asked for it)."""
        if self.given is not None:
            return self.given, True
        if self.work.options.generate_password:
            self.generated = self.generated or db_secrets.generate()
            return self.generated, True
        for url in old.values():
            if url.engine == self.work.engine and url.password:
                return url.password, False
        self.generated = self.generated or db_secrets.generate()
        return self.generated, False

    def _hosts(self, urls, seen):
        """The hosts that the account may log in from."""
        work = self.work
        if work.engine == "postgresql":
            return ("",)
        if work.options.grant_from:
            return tuple(dict.fromkeys(work.options.grant_from))
        place = work.admin.place
        if not place.socket and not is_here(place.host):
            return (seen,)
        hosts = ["localhost", "127.0.0.1"]
        for url in urls.values():
            # By an address of its own a host reaches itself from that address.
            if url.host and url.host not in LOOPBACK and is_local("//%s" % url.host):
                hosts.append(_address(url.host))
        return tuple(dict.fromkeys(hosts))

    def _there(self, wanted, values):
        admin = self.work.admin
        names = list(wanted.urls)
        accounts, grants = set(), set()
        for account in {each.account for each in self.service.databases}:
            hosts = admin.hosts(account)
            accounts.update(Change(ACCOUNT, "", account, host) for host in hosts)
            if hosts:
                grants.update(admin.grants(account))
        return db_plan.There(
            frozenset(admin.databases(names)),
            frozenset(accounts),
            frozenset(grants),
            values,
        )

    def _check_accounts(self, wanted, there):
        """Refuse to guess the password of an account that is there."""
        if wanted.is_given or self.generated is None:
            return
        own = {change for change, _ in self.made}
        for account in {each.account for each in self.service.databases}:
            for host in wanted.hosts:
                change = Change(ACCOUNT, "", account, host)
                if change in there.accounts and change not in own:
                    raise UtilityError(
                        "the %s is there, and no file has its password" % (change,),
                        hint="--password-file gives it, --generate-password sets a new one,"
                        " --drop takes all away",
                    )

    def _is_let_in(self, wanted, there):
        """Whether all accounts are there and have the password of this run already."""
        for each in self.service.databases:
            for host in wanted.hosts:
                if Change(ACCOUNT, "", each.account, host) not in there.accounts:
                    return False
        try:
            self._connect_all(wanted)
        except UtilityError:
            return False
        return True

    def _new_databases(self, there, resumed=False):
        """Return the databases that need tables. Refuses old tables, which --update is for."""
        admin, service = self.work.admin, self.service
        own = {change.database for change, _ in self.made if change.kind == DATABASE}
        new, old, graphs = [], [], None
        for each in service.databases:
            if each.name not in there.databases:
                new.append(each.name)
                continue
            tables = admin.table_names(each.name)
            if not tables or (resumed and each.name in own):
                new.append(each.name)
            elif each.migrations and "alembic_version" in tables:
                graphs = db_schema.read_graphs(service) if graphs is None else graphs
                revisions = set(admin.rows_of(each.name, "alembic_version", "version_num"))
                graph = graphs.get(each.migrations)
                if db_schema.judge(graph, revisions, tables) == db_schema.BEHIND:
                    old.append(each.name)
        if old and not new:
            message = "%s: its tables are older than the installed code" % ", ".join(old)
            raise UtilityError(message, hint="--update migrates them")
        return new

    def _change_server(self, plan, wanted):
        work = self.work
        if plan.changes:
            work.say("makes %s" % ", ".join(str(each) for each in plan.changes if each.kind != GRANT))
        for change in plan.changes:
            work.stop.check()
            back = None
            if change.kind == PASSWORD:
                back = work.admin.old_password(change.account, change.host)
            work.journal.add(change)
            try:
                work.admin.make(change, wanted.password, wanted.charset)
            except UnreachableError:
                # Perhaps it was made all the same.
                self.made.append((change, back))
                raise
            except BaseException:
                work.journal.forget(change)
                raise
            self.made.append((change, back))

    def _change_files(self, plan):
        work, journal = self.work, self.work.journal
        if not plan.values:
            return
        work.stop.check()
        paths = list(dict.fromkeys(option.path for option in plan.values))
        work.say("writes %s" % ", ".join(paths))
        # An unfinished run has kept the text from before it: that is the one to go back to.
        again = {kept.path: kept for kept in journal.files}
        planned = [again.get(path) or Kept(path, backup_of(path)) for path in paths]
        journal.set_files(planned)
        try:
            written = work.files.write(plan.values, backup=not again)
        except BaseException:
            journal.set_files(again.values())
            raise
        journal.set_files(written)

    def _connect_all(self, wanted):
        """Log in as the service, to each of its databases."""
        for url in wanted.urls.values():
            try:
                self.work.connect(url).close()
            except DeniedError as error:
                message = "%s: the account may be there with another password" % error.message
                raise UtilityError(
                    message, hint="--password-file or --generate-password sets it anew"
                ) from None

    def _check_tables(self, wanted, names):
        for name in names:
            connection = self.work.connect(wanted.urls[name])
            try:
                if not connection.table_names():
                    raise UtilityError("%s has no tables, although its command ended well" % name)
            finally:
                connection.close()

    # Taking back

    def _failed(self, error):
        """Take back what this run has made; return the Outcome."""
        work = self.work
        work.fail(error)
        taken, left = [], []
        for kept in list(work.journal.files):
            try:
                if work.files.restore(kept):
                    taken.append(kept.path)
                work.journal.files.remove(kept)
            except (UtilityError, OSError) as problem:
                left.append("%s (%s)" % (kept.path, problem))
        is_gone = False
        for change, back in reversed(self.made):
            try:
                if not is_gone:
                    self._take_back(change, back)
                    taken.append(str(change))
                    work.journal.forget(change)
                    continue
            except UtilityError as problem:
                is_gone = isinstance(problem, UnreachableError)
                work.say("cannot take back the %s: %s" % (change, problem.message))
            left.append(str(change))
        if not left:
            work.journal.close()
        if taken:
            work.say("taken back: %s" % ", ".join(taken))
        if left:
            work.say("left behind: %s; the next --init or --drop takes them" % ", ".join(left))
        return work.outcome(FAILED, error, taken_back=taken, left_behind=left)

    def _take_back(self, change, back):
        admin = self.work.admin
        deadline = time.monotonic() + RELEASE_SECONDS
        while True:
            try:
                if back is not None:
                    admin.query(back)
                elif change.kind == PASSWORD:
                    raise UtilityError("this server does not tell the old one")
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
            self.work.admin.reconnect()
        except UnreachableError:
            # The next turn tries again, until it is too late.
            return


def _address(host):
    """Return the address behind a name of this host."""
    found = socket.getaddrinfo(host.strip("[]"), 0, type=socket.SOCK_STREAM)
    return found[0][4][0]
