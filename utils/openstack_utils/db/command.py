# SPDX-License-Identifier: MIT
"""openstack-db: reads the options, gets into the servers, does the services at the same time, tells."""

import json
import os
import sys
import time

from ..errors import MissingError, UnreachableError, UsageError, UtilityError
from ..host import passwords, signals
from ..host.console import Console, exit_code, is_terminal
from ..host.masking import Secrets
from ..host.signals import Stop
from ..host.workers import Workers
from . import arguments, names
from .catalogue import Catalogue, Places
from .check import Check, Drop, Update
from .init import Init
from .server import local
from .server.login import RootLogin, place_of
from .task import FAILED, NONE, ServiceOutcome, Task, urls_by_database

# A service's command needs some hundred megabytes, and one processor while it imports.
AT_ONCE = max(4, os.cpu_count() or 1)


def main(argv=None):
    """Run the command with the arguments behind its name; return the exit code."""

    def task():
        options = arguments.parse(sys.argv[1:] if argv is None else argv)
        run = Run(options, Console(options.quiet))
        run.catch_signals()
        return run.run()

    return exit_code(task)


class Run:
    """One run of the command."""

    def __init__(self, options, console):
        self.options = options
        self.console = console
        self.stop = Stop()
        self.catalogue = Catalogue(Places(options.root, options.config_dir))
        self.secrets = Secrets(self.catalogue.names)
        self.password = None
        self.root_password = None
        self.connections = {}
        self.is_working = False

    def catch_signals(self):
        """While services are worked on a signal lets them take back what they made; else it ends us."""

        def handle(number, frame):
            del frame
            if not self.is_working:
                raise KeyboardInterrupt
            self.stop.request(number)

        signals.catch(handle)

    def run(self):
        """Do it all; return the exit code."""
        outcomes, services = self._services()
        self._read_passwords()
        width = max([len(service.name) for service in services] or [0])
        tasks = [
            Task(service, self.options, self.console, self.secrets, self.stop, width) for service in services
        ]
        ready = []
        for task in tasks:
            try:
                self._prepare(task)
                ready.append(task)
            except UtilityError as error:
                task.fail(error)
                outcomes.append(task.outcome(FAILED, error))
        if self.options.action == "drop" and not self.options.dry_run:
            self._confirm_drop(ready)
        outcomes += self._do_all(ready)
        order = [task.service.name for task in tasks]
        outcomes.sort(key=lambda each: order.index(each.name) if each.name in order else -1)
        self._tell(outcomes)
        return next((each.exit_code for each in outcomes if each.exit_code), 0)

    # Before

    def _services(self):
        """Return (Outcomes of what has no database, the Services)."""
        options, catalogue = self.options, self.catalogue
        if options.all_installed:
            services = catalogue.installed(options.release)
            if not services:
                raise UtilityError("no service with a database is installed here")
            return [], services
        outcomes, services = [], []
        for name in dict.fromkeys(catalogue.resolve(word) for word in options.service):
            if not catalogue.has_database(name):
                outcomes.append(ServiceOutcome(name, NONE))
                continue
            services.append(catalogue.service(name, options.release))
        return outcomes, services

    def _read_passwords(self):
        options, console = self.options, self.console
        for name in ("password", "rootpw"):
            if getattr(options, name) is not None:
                console.warn("--%s shows in the list of processes: --%s-file does not" % (name, name))
        if options.password is not None:
            self.password = passwords.check(options.password, "the password")
        elif options.password_file:
            self.password = passwords.read_password(options.password_file, "the password")
        if options.rootpw is not None:
            self.root_password = passwords.check(options.rootpw, "root's password")
        elif options.rootpw_file:
            self.root_password = passwords.read_password(options.rootpw_file, "root's password")
        if self.password == "":
            raise UsageError("the password is empty")
        self.secrets.add(self.password)
        self.secrets.add(self.root_password)

    def _prepare(self, task):
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
            self._confirm_engine(task, urls)
        task.admin = self._connection(place_of(task.engine, options, old))
        if options.action == "init" and not options.dry_run:
            self._confirm_names(task, names.foreign(catalogued, task.service))

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

    def _connection(self, place):
        """Return the connection as root; one for all services of a server."""
        if place not in self.connections:
            login = RootLogin(place, self.secrets, self.root_password, self._ask_root, self._ensure)
            connection = self.connections[place] = login.log_in()
            if connection.is_fresh and place.engine == "mysql":
                self._set_root_password(connection)
        return self.connections[place]

    def _set_root_password(self, connection):
        """Give root of a server that this run has installed the password that was given, or asked for."""
        password = self.root_password
        if password is None and is_terminal():
            password = passwords.ask_twice("new password of the database server's root")
        if not password:
            self.console.warn(
                "root of the new server has no password: --rootpw-file gives one on the first run"
            )
            return
        self.secrets.add(password)
        with connection.translated_errors():
            local.set_root_password(connection.driver, password)

    def _ask_root(self):
        if self.options.rootpw_file == "-" or not is_terminal():
            return None
        return self.secrets.add(passwords.ask("password of the database server's root"))

    def _ensure(self, engine, error):
        """Make the local server run, where that is known how; else the error stays."""
        options = self.options
        if options.action != "init" or options.dry_run or options.root or options.config_dir:
            hint = "install and start it, or say where it is: --host, --port, --socket"
            raise UnreachableError(error.message, hint=hint) from None
        return local.ensure(engine, options.root, self._ask, self.console.note)

    def _confirm_engine(self, task, urls):
        """Ask before a URL of another kind of database is replaced."""
        others = {url.scheme.partition("+")[0] for url in urls.values() if url.engine != task.engine}
        if others and not self.options.dry_run:
            question = "%s: the configuration names %s: replace it by %s?" % (
                task.service.name, " and ".join(sorted(others)), task.engine,
            )  # fmt: skip
            self._need_yes(question)

    def _confirm_names(self, task, foreign):
        """Ask before anything is made under names that are the configuration's, not the catalogue's."""
        databases = {each.name for each in task.service.databases}
        missing = databases.difference(task.admin.databases(sorted(databases)))
        for account in {each.account for each in task.service.databases}:
            missing.update([] if task.admin.hosts(account) else [account])
        asked = [words for words in foreign if words.split()[-1] in missing]
        if asked:
            question = "%s: the configuration names the %s, which the server does not have: make it?"
            self._need_yes(question % (task.service.name, " and the ".join(asked)))

    def _confirm_drop(self, tasks):
        lines = []
        for task in tasks:
            lines += ["%s: %s" % (task.service.name, change) for change in Drop(task).plan()]
        if lines and not self.options.yes:
            for line in lines:
                self.console.say(line)
            self._need_yes("drop this, with all that is in it?")

    def _need_yes(self, question):
        if not self.options.yes:
            self.console.need_yes(question)

    def _ask(self, question):
        """Ask on the terminal; --yes answers yes."""
        return self.options.yes or self.console.ask(question)

    # The work

    def _do_all(self, tasks):
        """Do the services at the same time; return their Outcomes, in their order."""
        outcomes = {}

        def do(task):
            started = time.monotonic()
            try:
                outcome = self._action(task)()
            except BaseException as problem:
                error = task.as_error(problem)
                task.fail(error)
                outcome = task.outcome(FAILED, error)
            outcome.seconds = time.monotonic() - started
            outcomes[task] = outcome

        self.is_working = True
        try:
            Workers(AT_ONCE).run([lambda task=task: do(task) for task in tasks])
        finally:
            self.is_working = False
        return [outcomes[task] for task in tasks]

    def _action(self, task):
        options = self.options
        if options.action == "check":
            return Check(task).run
        if options.action == "update":
            return Update(task).run
        made = Init(task, self.password) if options.action == "init" else Drop(task)
        return made.dry_run if options.dry_run else made.run

    # After

    def _tell(self, outcomes):
        if self.options.json:
            data = {
                "action": self.options.action,
                "dry_run": self.options.dry_run,
                "services": [outcome.data() for outcome in outcomes],
                "warnings": self.console.warnings,
            }
            self.console.result(json.dumps(data, indent=1) + "\n")
            return
        width = max([len(outcome.name) for outcome in outcomes] or [0])
        for outcome in outcomes:
            text = "%s  %s" % (outcome.name.ljust(width), outcome.result)
            states = outcome.facts.get("databases")
            if isinstance(states, dict) and len(states) > 1:
                text += "  (%s)" % ", ".join("%s %s" % pair for pair in states.items())
            for line in outcome.facts.get("plan", ()):
                text += "\n  " + line
            self.console.result(text + "\n")
