# SPDX-License-Identifier: MIT
"""openstack-demo-install: look, plan, check, then do one step after the other and say what each was."""

import fcntl
import json
import os
import sys
import threading
import time

from ..errors import AccessError, UsageError, UtilityError
from ..host.console import Console, exit_code
from ..host.signals import Stop
from ..host.workers import Task, Workers
from ..service.inits import find_init
from ..services import load_services
from . import arguments, before, host, plan, secrets, undo
from .act import Acting

NOT_DONE, FAILED = "not done", "failed"
# A step takes one processor at a time, or waits.
AT_ONCE = max(3, os.cpu_count() or 1)


def main(argv=None):
    """Run the command with the arguments after its name; return the exit code."""

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
        self.results = {}
        self.errors = {}
        self.stop = Stop()
        self.telling = threading.Lock()

    def run(self):
        """Do it all; return the exit code. Raises UtilityError before the first step."""
        options = self.options
        catalogue, init = load_services(), find_init()
        if init.name != "systemd":
            raise AccessError("systemd does not run here, which today's services need")
        wish = self._wish()
        here = host.look(catalogue, init)
        made = plan.make_plan(catalogue, here, wish)
        if options.undo:
            left = before.read(wish.record), secrets.read(wish.passwords)
            return self._undo(undo.make_plan(made, wish, *left), init)
        if options.dry_run:
            return self._show(made)
        if os.geteuid() != 0:
            raise AccessError("only root may set up services", hint="sudo %s" % arguments.PROGRAM)
        with _Alone(options.output):
            passwords = secrets.read(options.passwords)
            host.check_files(made, passwords)
            if plan.NETWORKS in made.projects:
                fault = host.find_tunnel_fault(here.datapath, wish.address)
                if fault:
                    self.console.warn(fault)
            if options.role == plan.COMPUTE:
                secrets.need(options.passwords, made.secrets, passwords, options.join)
            is_controller = options.role == plan.CONTROLLER
            return self._do(made, Acting(init, passwords, is_controller, self.stop, self._warn))

    def _undo(self, made, init):
        """Take back what runs have made; refuse where none has, as all of it is somebody else's."""
        options = self.options
        if options.dry_run:
            return self._show(made)
        if os.geteuid() != 0:
            raise AccessError("only root may set up services", hint="sudo %s" % arguments.PROGRAM)
        with _Alone(options.output):
            if not os.path.exists(options.passwords):
                message = "%s is not there: no run of this command has set up these services"
                hint = "--output names the folder with the passwords of an earlier run"
                raise UsageError(message % options.passwords, hint=hint)
            if not options.yes:
                question = "stop %s, and drop their databases with all that is in them?"
                self.console.need_yes(question % ", ".join(made.projects))
            return self._do(made, Acting(init, {}, False, self.stop, self._warn))

    def _wish(self):
        options = self.options
        address = options.address or (host.address_towards(options.join) if options.join else "127.0.0.1")
        return plan.Wish(
            options.services, options.role, options.join or address, address, options.hypervisor,
            options.region, options.passwords, options.output, options.network or "",
            os.path.join(options.output, before.NAME), options.nova_volumes or "", options.size,
        )  # fmt: skip

    def _show(self, made):
        if self.options.json:
            self._print(made)
        else:
            texts = ["# %s\n%s\n" % (step.title, "\n".join(step.commands())) for step in made.steps]
            self.console.result("\n".join(texts))
        return 0

    def _do(self, made, acting):
        """Do the steps, each as soon as those are done that it waits for; return the exit code."""
        tasks = [
            Task(lambda step=step: self._do_step(step, acting), step, made.waits_for(step))
            for step in made.steps
        ]
        self.stop.is_working = True
        try:
            Workers(AT_ONCE).run_tasks(tasks)
        except UtilityError:
            return self._stopped(made)
        finally:
            self.stop.is_working = False
        if self.options.json:
            self._print(made)
        elif not self.options.quiet:
            self.console.result(self._summary(made))
        return 0

    def _do_step(self, step, acting):
        self.stop.check()
        with self.telling:
            self.console.note("# %s" % step.title)
            for command in step.commands():
                self.console.note("  %s" % command)
        begun = time.monotonic()
        try:
            self.results[step] = acting.do(step)
        except UtilityError as error:
            self.errors[step] = error
            raise
        with self.telling:
            seconds = time.monotonic() - begun
            self.console.note("  %s -> %s (%.1f s)" % (step.title, self.results[step], seconds))

    def _warn(self, text):
        """Say once what several steps may warn of: the databases of all services are on one server."""
        with self.telling:
            if text not in self.console.warnings:
                self.console.warn(text)

    def _stopped(self, made):
        """Say what stands and what does not; return the exit code."""
        is_interrupted = self.stop.number is not None
        # A program that was asked to end may report an error: its step did not fail.
        failed = [] if is_interrupted else [step for step in made.steps if step in self.errors]
        for step in failed:
            error = self.errors[step]
            self.console.error(UtilityError("%s: %s" % (step.title, error.message), hint=error.hint))
            self.results[step] = FAILED
        if is_interrupted:
            self.console.say("error: interrupted")
        done = [step.title for step in made.steps if self.results.get(step, FAILED) != FAILED]
        left = [step.title for step in made.steps if step.title not in done]
        self.console.say("done: %s" % ("; ".join(done) or "nothing"))
        self.console.say("not done: %s" % "; ".join(left))
        self.console.say("the same command goes on from here")
        if self.options.json:
            self._print(made, "interrupted" if is_interrupted else self.errors[failed[0]].message)
        return 130 if is_interrupted else self.errors[failed[0]].exit_code

    def _summary(self, made):
        changed = sum(result == "changed" for result in self.results.values())
        text = "%s: steps changed: %d, unchanged: %d\n" % (
            ", ".join(made.projects), changed, len(made.steps) - changed,
        )  # fmt: skip
        if self.options.role == plan.CONTROLLER and not self.options.undo:
            text += "source %s\n" % os.path.join(self.options.output, "keystonerc_admin")
        return text

    def _print(self, made, error=None):
        data = {
            "dry_run": self.options.dry_run,
            "role": self.options.role,
            "projects": list(made.projects),
            "steps": [
                {
                    "title": step.title,
                    "commands": list(step.commands()),
                    "result": self.results.get(step, NOT_DONE),
                }
                for step in made.steps
            ],
            "warnings": self.console.warnings,
        }
        if error:
            data["error"] = error
        self.console.result(json.dumps(data, indent=1) + "\n")


class _Alone:
    """Keeps a second run with the same passwords away, for as long as this one lives."""

    def __init__(self, folder):
        self.folder = folder

    def __enter__(self):
        self.descriptor = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(self.descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self.descriptor)
            raise UtilityError("another run is at work with %s" % self.folder) from None

    def __exit__(self, *ignored):
        os.close(self.descriptor)
