# SPDX-License-Identifier: MIT
"""openstack-db: reads the options, does the services at the same time, prints what became of them."""

import json
import os
import sys
import time

from ..errors import UtilityError
from ..host.console import Console, exit_code
from ..host.masking import Secrets
from ..host.signals import Stop
from ..host.workers import Workers
from . import arguments
from .access import Access
from .catalogue import Catalogue, Places
from .check import Check, Drop, Update
from .init import Init
from .preparation import Preparation
from .task import FAILED, NONE, ServiceOutcome, ServiceTask

# A service's command needs some hundred megabytes, and one processor while it imports.
AT_ONCE = max(4, os.cpu_count() or 1)


def main(argv=None):
    """Run the command with these arguments, or the process's; return the exit code."""

    def work():
        options = arguments.parse(sys.argv[1:] if argv is None else argv)
        run = Run(options, Console(options.quiet))
        run.stop.catch_signals()
        return run.run()

    return exit_code(work)


class Run:
    """One run of the command."""

    def __init__(self, options, console):
        self.options = options
        self.console = console
        self.stop = Stop()
        self.catalogue = Catalogue(Places(options.root, options.config_dir))
        self.secrets = Secrets(self.catalogue.names)
        self.access = Access(options, console, self.secrets)

    def run(self):
        """Do it all; return the exit code."""
        outcomes, services = self._services()
        self.access.read_passwords()
        preparation = Preparation(self.options, self.console, self.access)
        width = max([len(service.name) for service in services] or [0])
        tasks = [
            ServiceTask(service, self.options, self.console, self.secrets, self.stop, width)
            for service in services
        ]
        ready = []
        for task in tasks:
            try:
                preparation.prepare(task)
                ready.append(task)
            except UtilityError as error:
                task.fail(error)
                outcomes.append(task.outcome(FAILED, error))
        if self.options.action == "drop" and not self.options.dry_run:
            preparation.confirm_drop(ready)
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

        self.stop.is_working = True
        try:
            Workers(AT_ONCE).run([lambda task=task: do(task) for task in tasks])
        finally:
            self.stop.is_working = False
        return [outcomes[task] for task in tasks]

    def _action(self, task):
        options = self.options
        if options.action == "check":
            return Check(task).run
        if options.action == "update":
            return Update(task).run
        made = Init(task, self.access.password) if options.action == "init" else Drop(task)
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
