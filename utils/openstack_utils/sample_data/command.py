# SPDX-License-Identifier: MIT
"""openstack-keystone-sample-data: log in, read, plan, apply, write the files, report."""

import os
import sys

from ..host import signals
from ..host.console import Console, exit_code
from ..host.workers import Workers
from ..keystone import login
from ..keystone.client import RemoteError
from . import arguments, profiles, report, reporting
from . import files as sample_files
from . import plan as sample_plan
from .apply import NOT_DONE, Stopped, apply_plan, foresee
from .model import User
from .passwords_of_run import PasswordsOfRun
from .profiles import Choices, build, identity_urls
from .state import KeystoneState, read_state


def main(argv=None):
    """Run the command with these arguments, or the process's; return the exit code."""

    def work():
        signals.catch(signals.interrupt)
        options = arguments.parse(sys.argv[1:] if argv is None else argv)
        return Run(options, os.environ, Console(options.quiet, options.verbose)).run()

    return exit_code(work)


class Run:
    """One run of the command."""

    def __init__(self, options, environment, console):
        self.options = options
        self.environment = environment
        self.console = console
        self.workers = Workers(options.threads)
        self.kept = PasswordsOfRun(options, environment, console)
        self.passwords = self.kept.passwords
        self.deleted = []

    def run(self):
        """Do it all; return the exit code."""
        options, console = self.options, self.console
        login.check_conf(options.keystone_conf)
        sample_files.check_folder(options)
        sample_files.check_clouds_file(options.clouds_file)
        keystone = login.Login(options, self.environment, self.passwords, console)
        self.kept.adopt_admin(keystone.credentials)
        desired, choices = self._desired(keystone)
        self.kept.warn_of_defaults()
        session = keystone.log_in(identity_urls(choices), choices.region)
        if keystone.is_bootstrapped:
            desired = self._with_admin(desired)
        try:
            state, plan = self._plan(session, desired)
            plan = self._mend(session, desired, state, plan)
            if options.prune:
                state, plan = self._prune(session, desired, state, plan)
            desired = self.kept.keep(desired, plan)
            self.kept.warn_of_borrowed(plan)
            outcomes = self._apply(session, plan)
        except Stopped as stopped:
            return reporting.report_stop(options, console, stopped, self.deleted)
        session.done()
        files = sample_files.Writer(options, choices, desired, console)
        written = files.write(outcomes, state, session) if not options.dry_run else []
        reporting.report_end(options, console, outcomes, self.deleted, written)
        return 1 if any(outcome.result == "conflict" for outcome in outcomes) else 0

    def _with_admin(self, desired):
        """Return the desired objects with admin, whom bootstrap has made, among them."""
        if any(user.name == "admin" for user in desired.users):
            return desired
        password, name = self.passwords(["ADMIN_PASSWORD"])
        return desired._replace(users=(User("admin", password, name),) + desired.users)

    def _desired(self, keystone):
        options = self.options
        region = (
            options.region or self.environment.get("REGION") or keystone.credentials.region or "RegionOne"
        )
        choices = Choices(
            options.profile,
            keystone.credentials.url,
            region,
            options.services,
            self._installed(keystone.catalogue),
            () if options.all_services else profiles.absent(keystone.catalogue, options.profile),
            options.optional,
            options.endpoints,
            options.strict_2012,
            options.addresses,
            options.port,
        )
        if options.file:
            from . import from_yaml

            return from_yaml.read_desired(options.file, choices, self.passwords), choices
        return build(keystone.catalogue, choices, self.passwords), choices

    def _installed(self, catalogue):
        """Return the projects of this host whose services are registered where none are named."""
        options = self.options
        if options.file or options.services or options.all_services:
            return ()
        found = profiles.installed(catalogue, options.profile)
        if found:
            names = ", ".join(found)
            self.console.note("registers what is installed here: %s (all: --all-services)" % names)
        return found

    def _plan(self, session, desired):
        options = self.options
        if session.is_empty:
            state = KeystoneState()
        else:
            test = login.test_password if options.update else None
            state = read_state(session, desired, self.workers, test_password=test)
        state.passwords.update(session.wrong_passwords)
        return state, self._steps(session, desired, state)

    def _steps(self, session, desired, state):
        update, forced = self.options.update, session.wrong_passwords
        return sample_plan.make_plan(desired, state, update=update, forced=forced)

    def _mend(self, session, desired, state, plan):
        """Take away the doubles of runs that could not look again; return the plan after that."""
        doubles = sample_plan.find_own_doubles(desired, state)
        if not doubles:
            return plan
        for each in doubles:
            self.console.note("double     %s, of a run that was cut short" % each.name)
        self._delete(session, doubles, plan)
        state.forget(each.id for each in doubles)
        return self._steps(session, desired, state)

    def _prune(self, session, desired, state, plan):
        surplus = sample_plan.find_surplus(desired, state)
        if not surplus:
            return state, plan
        for each in surplus:
            self.console.say("surplus    %s" % each.name)
        if not self.options.dry_run:
            self._confirm(len(surplus))
        self._delete(session, surplus, plan)
        return (state, plan) if self.options.dry_run else self._plan(session, desired)

    def _delete(self, session, surplus, plan):
        """Delete Surplus, or only count it as deleted (--dry-run)."""
        if self.options.dry_run:
            self.deleted += surplus
            return
        for each in surplus:
            try:
                session.identity.call("DELETE", each.path)
            except RemoteError as error:
                # Gone with its service, or by somebody else.
                if error.status != 404:
                    raise Stopped(error, _not_done(plan)) from None
            self.deleted.append(each)
            self.console.note("deleted    %s" % each.name)

    def _confirm(self, number):
        if not self.options.yes:
            self.console.need_yes("delete these %d objects?" % number, "--prune: nothing deleted")

    def _apply(self, session, plan):
        options, console = self.options, self.console

        def show(outcome):
            report.show_outcome(console, outcome, options.dry_run)

        if options.dry_run:
            outcomes = foresee(plan)
            for outcome in outcomes:
                show(outcome)
            return outcomes
        for step in plan:
            if step.action in (sample_plan.KEEP, sample_plan.CONFLICT):
                show(foresee([step])[0])
        return apply_plan(session, plan, self.workers, show=show, note=console.note)


def _not_done(plan):
    from .apply import StepOutcome

    return [
        StepOutcome(step, NOT_DONE) if step.action in (sample_plan.CREATE, sample_plan.UPDATE) else each
        for step, each in zip(plan, foresee(plan))
    ]
