# SPDX-License-Identifier: MIT
"""openstack-service: reads the words, finds the services, shows them or has the host act on them."""

import json
import sys

from ..errors import UtilityError
from ..host.console import Console, exit_code
from ..services import load_services
from . import acting, arguments, rows, verbs
from .inits import find_init
from .known import Known
from .selection import HostServices, choose


def main(argv=None):
    """Run the command with these arguments, or the process's; return the exit code."""

    def work():
        options = arguments.parse(sys.argv[1:] if argv is None else argv)
        known = Known(load_services())
        init = find_init()
        return Run(options, Console(options.quiet), HostServices(known, init)).run()

    return exit_code(work)


class Run:
    """One run of the command."""

    def __init__(self, options, console, host):
        self.options = options
        self.console = console
        self.host = host
        self.verb = options.action

    def run(self):
        """Do it; return the exit code. Raises UtilityError."""
        host, options = self.host, self.options
        # A word that is none, and a verb that init has not: before anything is asked of init.
        matchers = host.matchers(options.prefix)
        if self.verb not in verbs.ASKED:
            host.init.argv(self.verb, ["x"], options.now)
        selected = host.with_states(host.select(matchers))
        chosen, left_out = choose(selected, self.verb, options.all, options.now)
        for service, why in left_out:
            self.console.note("leaves out %s: it %s" % (service.unit, why))
        if not chosen and self.verb != "list":
            raise self._nothing(selected, left_out)
        if self.verb in verbs.ASKED:
            return self._answer(chosen)
        return self._act(chosen, left_out)

    def _nothing(self, selected, left_out):
        named = " of %s" % ", ".join(self.options.prefix) if self.options.prefix else ""
        if left_out:
            return UtilityError("%s: nothing is left to act on" % self.verb)
        if not selected:
            return UtilityError("no OpenStack service%s is installed here" % named)
        names = ", ".join(each.unit for each in selected[:5]) + (" ..." if len(selected) > 5 else "")
        hint = "--all takes the installed ones: %s" % names
        return UtilityError("no OpenStack service%s is enabled here" % named, hint=hint)

    # Asking

    def _answer(self, services):
        """Print how services stand; return 0, or 1 where is-... is not so."""
        if self.options.json:
            self._print({"action": self.verb, "services": [rows.data(each) for each in services]})
        elif self.verb == "list":
            self.console.result("".join(each.unit + "\n" for each in services))
        elif self.verb == "status":
            self.console.result(rows.table([rows.row(each) for each in services]))
        elif not self.options.quiet:
            self.console.result(rows.table([[each.unit, self._word(each)] for each in services]))
        questions = {
            "is-active": lambda state: state.is_active,
            "is-enabled": lambda state: state.is_enabled,
            "is-failed": lambda state: state.active == "failed",
        }
        is_so = questions.get(self.verb)
        return int(is_so is not None and not all(is_so(each.state) for each in services))

    def _word(self, service):
        return (service.state.boot or "-") if self.verb == "is-enabled" else service.state.active

    # Acting

    def _act(self, services, left_out):
        init, options = self.host.init, self.options
        if self.verb in verbs.SHOWN:
            argv = init.argv(self.verb, [each.host or each.unit for each in services])
            return self._plan([(services[0], argv)], left_out) if options.dry_run else acting.show(argv)
        commands = [(each, init.argv(self.verb, [each.unit], options.now)) for each in services]
        if options.dry_run:
            return self._plan(commands, left_out)
        outcomes = acting.act(commands, self.console.note)
        now = {each.unit: each for each in self.host.with_states(services)}
        after = [each._replace(service=now.get(each.service.unit, each.service)) for each in outcomes]
        failed = [each for each in after if each.result == acting.FAILED]
        for each in failed:
            self.console.say("error: %s: %s" % (each.service.unit, each.error))
        if options.json:
            self._print(self._data(after, left_out))
        else:
            self.console.result(rows.table([rows.row(each.service) for each in after]))
        return int(bool(failed))

    def _plan(self, commands, left_out):
        """Print the commands that would be run."""
        if self.options.json:
            planned = [acting.Outcome(each, argv, acting.NOT_DONE) for each, argv in commands]
            self._print(self._data(planned, left_out))
        else:
            self.console.result("".join(" ".join(argv) + "\n" for _, argv in commands))
        return 0

    def _data(self, outcomes, left_out):
        return {
            "action": self.verb,
            "dry_run": self.options.dry_run,
            "services": [
                dict(
                    rows.data(each.service),
                    command=each.argv,
                    result=each.result,
                    **({"error": each.error} if each.error else {}),
                )
                for each in outcomes
            ],
            "left_out": [{"service": each.unit, "reason": why} for each, why in left_out],
        }

    def _print(self, found):
        self.console.result(json.dumps(found, indent=1) + "\n")
