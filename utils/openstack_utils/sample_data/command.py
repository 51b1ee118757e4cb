# SPDX-License-Identifier: MIT
"""openstack-keystone-sample-data: log in, read, plan, apply, write the files, report."""

import os
import sys

from ..host import signals
from ..host.console import Console, exit_code
from ..host.workers import Workers
from ..keystone import login
from ..keystone.client import RemoteError
from . import arguments, profiles, report
from . import files as sample_files
from . import plan as sample_plan
from .apply import NOT_DONE, Stopped, apply_plan, foresee
from .model import User
from .passwords import DEFAULT, FILE_NAME, Passwords, read_passwords, render_passwords
from .profiles import Choices, build, identity_urls, variable
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
        self.passwords = self._read_passwords()
        self.deleted = []

    def run(self):
        """Do it all; return the exit code."""
        options, console = self.options, self.console
        login.check_conf(options.keystone_conf)
        sample_files.check_folder(options)
        sample_files.check_clouds_file(options.clouds_file)
        keystone = login.Login(options, self.environment, self.passwords, console)
        self._adopt_admin_password(keystone.credentials)
        desired, choices = self._desired(keystone)
        self._warn_of_passwords()
        session = keystone.log_in(identity_urls(choices), choices.region)
        if keystone.is_bootstrapped:
            desired = self._with_admin(desired)
        try:
            state, plan = self._plan(session, desired)
            if options.prune:
                state, plan = self._prune(session, desired, state, plan)
            desired = self._keep_passwords(desired, plan)
            self._warn_of_borrowed(plan)
            outcomes = self._apply(session, plan)
        except Stopped as stopped:
            return self._stopped(stopped)
        session.done()
        files = sample_files.Writer(options, choices, desired, console)
        written = files.write(outcomes, state, session) if not options.dry_run else []
        self._tell(outcomes, written)
        return 1 if any(outcome.result == "conflict" for outcome in outcomes) else 0

    def _adopt_admin_password(self, credentials):
        """The admin who logs in is the admin of the sample data: that password stays."""
        password = credentials.auth.get("password")
        if password and credentials.user == "admin" and self.passwords.lookup("ADMIN_PASSWORD") is None:
            self.passwords.given["ADMIN_PASSWORD"] = password

    def _with_admin(self, desired):
        """Return the desired objects with admin, whom bootstrap has made, among them."""
        if any(user.name == "admin" for user in desired.users):
            return desired
        password, name = self.passwords(["ADMIN_PASSWORD"])
        return desired._replace(users=(User("admin", password, name),) + desired.users)

    def _read_passwords(self):
        options, given = self.options, {}
        if options.passwords_file:
            given = read_passwords(options.passwords_file, sys.stdin)
        passwords = Passwords(given, self.environment, options.generate_passwords)
        if os.path.exists(self._password_file):
            passwords.kept = read_passwords(self._password_file, sys.stdin)
        return passwords

    @property
    def _password_file(self):
        return os.path.join(self.options.output, FILE_NAME)

    def _keep_passwords(self, desired, plan):
        """Write new passwords down before anybody has them: a killed run must not lose one.

        A password that was made for a user who was there already, and whose own stays, is nobody's:
        return the wanted objects without it.
        """
        getting = {step.wanted.name for step in plan if _gets_password(step)}
        lost = [
            user
            for user in desired.users
            if user.variable in self.passwords.made and user.name not in getting
        ]
        for user in lost:
            del self.passwords.made[user.variable]
            self.console.note("the password of %s is not known; --update sets a new one" % user.name)
        if self.passwords.made and not self.options.dry_run:
            values = dict(self.passwords.kept, **self.passwords.made)
            if sample_files.write(self._password_file, render_passwords(values)):
                self.console.note("written    %s" % self._password_file)
        users = tuple(user._replace(password="") if user in lost else user for user in desired.users)
        return desired._replace(users=users)

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

    def _warn_of_passwords(self):
        passwords, warn = self.passwords, self.console.warn
        if passwords.defaulted:
            names = ", ".join(sorted(set(passwords.defaulted)))
            warn('%s not set: the default "%s" is used, which everybody knows' % (names, DEFAULT))

    def _warn_of_borrowed(self, plan):
        """Say who is about to get the password of admin."""
        getting = [variable(step.wanted.name) for step in plan if _gets_password(step)]
        names = ", ".join(sorted(set(getting).intersection(self.passwords.borrowed)))
        if names:
            self.console.warn("%s not set: ADMIN_PASSWORD is used" % names)

    def _plan(self, session, desired):
        options = self.options
        if session.is_empty:
            state = KeystoneState()
        else:
            test = login.test_password if options.update else None
            state = read_state(session, desired, self.workers, test_password=test)
        state.passwords.update(session.wrong_passwords)
        plan = sample_plan.make_plan(desired, state, update=options.update, forced=session.wrong_passwords)
        return state, plan

    def _prune(self, session, desired, state, plan):
        surplus = sample_plan.find_surplus(desired, state)
        if not surplus:
            return state, plan
        for each in surplus:
            self.console.say("surplus    %s" % each.name)
        if self.options.dry_run:
            self.deleted = surplus
            return state, plan
        self._confirm(len(surplus))
        for each in surplus:
            try:
                session.identity.call("DELETE", each.path)
            except RemoteError as error:
                # Gone with its service, or by somebody else.
                if error.status != 404:
                    raise Stopped(error, _not_done(plan)) from None
            self.deleted.append(each)
            self.console.note("deleted    %s" % each.name)
        return self._plan(session, desired)

    def _confirm(self, number):
        if not self.options.yes:
            self.console.need_yes("delete these %d objects?" % number, "--prune: nothing deleted")

    def _apply(self, session, plan):
        options, console = self.options, self.console

        def show(outcome):
            report.tell_outcome(console, outcome, options.dry_run)

        if options.dry_run:
            outcomes = foresee(plan)
            for outcome in outcomes:
                show(outcome)
            return outcomes
        for step in plan:
            if step.action in (sample_plan.KEEP, sample_plan.CONFLICT):
                show(foresee([step])[0])
        return apply_plan(session, plan, self.workers, show=show, note=console.note)

    def _stopped(self, stopped):
        """Say what was and what was not done; return the exit code."""
        console, outcomes = self.console, stopped.outcomes
        interrupted = isinstance(stopped.cause, KeyboardInterrupt)
        if interrupted:
            console.say("error: interrupted")
        else:
            console.error(stopped.cause)
        for result in ("created", "updated", NOT_DONE):
            names = [_label(outcome) for outcome in outcomes if outcome.result == result]
            if names:
                console.say("%s (%d): %s" % (result, len(names), ", ".join(names)))
        console.say("the next run goes on from here")
        if self.options.json:
            message = "interrupted" if interrupted else stopped.cause.message
            console.result(self._json(outcomes, error=message))
        return 130 if interrupted else stopped.cause.exit_code

    def _tell(self, outcomes, written):
        options, console = self.options, self.console
        differing = [each for each in outcomes if each.result == "unchanged" and each.step.changes]
        if any(change[0] in ("url", "enabled") for each in differing for change in each.step.changes):
            console.warn("objects that differ: %d; --update mends them" % len(differing))
        elif differing:
            console.note("objects described otherwise: %d; --update changes that" % len(differing))
        if any(outcome.result == "conflict" for outcome in outcomes):
            console.warn("something is there twice: --prune --yes keeps one of each, or delete it by hand")
        if not options.update:
            tested = [each for each in outcomes if each.step.kind == "user" and each.result == "unchanged"]
            if tested:
                console.note("the passwords of users who were there are not tested; --update does it")
        if options.json:
            console.result(self._json(outcomes, files=written))
            return
        if not options.quiet:
            console.result(report.render_tables(outcomes))
        console.result(report.render_summary(outcomes, self.deleted, options.dry_run) + "\n")

    def _json(self, outcomes, **more):
        return report.render_json(
            outcomes,
            profile=None if self.options.file else self.options.profile,
            dry_run=self.options.dry_run,
            passwords_tested=self.options.update,
            deleted=[each.name for each in self.deleted],
            warnings=self.console.warnings,
            **more,
        )


def _gets_password(step):
    """Say whether a step gives a user the wanted password."""
    changes = [change[0] for change in step.changes]
    return step.kind == "user" and (step.found is None or "password" in changes)


def _label(outcome):
    return "%s %s" % (outcome.step.kind, outcome.step.name)


def _not_done(plan):
    from .apply import StepOutcome

    return [
        StepOutcome(step, NOT_DONE) if step.action in (sample_plan.CREATE, sample_plan.UPDATE) else each
        for step, each in zip(plan, foresee(plan))
    ]
