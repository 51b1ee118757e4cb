# SPDX-License-Identifier: MIT
"""Doing the steps. Each looks first whether it is done, so that a second run changes nothing."""

import http.client
import os
import re
import threading
import time

from .. import ini, json_text
from ..errors import AccessError, UnreachableError, UtilityError
from ..host import processes
from ..host.programs import RunAs
from ..host.signals import Stop
from . import before, network, secrets, steps, volumes

UNCHANGED, CHANGED = "unchanged", "changed"
# The programs take back what they have begun when they are asked to end.
PATIENCE = 60
PATIENCE_FOR_ANSWER = 180
# What `systemctl is-enabled` says of units that start at boot, by themselves or with others.
AT_BOOT = ("enabled", "enabled-runtime", "static", "alias", "indirect", "generated", "transient")
KINDS = {4: AccessError, 5: UnreachableError}
# They die with us when we are killed, and the next run finds no other at work.
OURSELVES = RunAs("root")


class Acting:
    """Does the steps of one plan, some at the same time; `passwords` come from the file.

    `stop` is the Stop of the run: when it is requested, programs under way are asked to end. `warn` gets
    what programs of ours warn of.
    """

    def __init__(self, init, passwords, make_passwords=True, stop=None, warn=None):
        self.init = init
        self.passwords = passwords
        self.make_passwords = make_passwords
        self.stop = stop or Stop()
        self.warn = warn or (lambda _text: None)
        # The record of what options had before is one file for all.
        self.recording = threading.Lock()

    def do(self, step):
        """Do a step; return CHANGED or UNCHANGED. Raises UtilityError."""
        has_changed = self._doing[type(step)](self, step)
        return CHANGED if has_changed else UNCHANGED

    def _secrets(self, step):
        if not self.make_passwords:
            return False
        self.passwords, has_changed = secrets.complete(step.path, step.names, self.passwords)
        return has_changed

    def _configure(self, step):
        paths = list(dict.fromkeys(edit.path for edit in step.edits))
        with self.recording, ini.edit(paths) as files:
            named = dict(zip(paths, files))
            texts = [file.text() for file in files]
            if step.record:
                places = [(edit.path, edit.section, edit.key) for edit in step.edits]
                before.remember(step.record, named, places)
            for edit in step.edits:
                named[edit.path].set(edit.section, edit.key, edit.real(self.passwords))
            return texts != [file.text() for file in files]

    def _database(self, step):
        if step.record:
            paths = dict.fromkeys(place[0] for place in step.places)
            with self.recording:
                before.remember(step.record, {path: ini.read(path) for path in paths}, step.places)
        return any(each["result"] != UNCHANGED for each in self._report(step)["services"])

    def _prepare(self, step):
        if os.path.exists(step.makes):
            return False
        for argv in step.argvs:
            self._run(argv)
        if not os.path.exists(step.makes):
            raise UtilityError("%s ended well, but %s is not there" % (step.argvs[-1][0], step.makes))
        return True

    def _fill(self, step):
        report = self._report(step)
        results = {each["result"] for each in report["objects"]}
        return bool(report.get("files")) or bool(results - {UNCHANGED, "kept"})

    def _bus(self, step):
        password = (self.passwords[step.secret] + "\n").encode()
        is_new = not self._has_bus_user() and self._change_bus_users("add_user", password)
        if not is_new:
            known = processes.run(
                ["rabbitmqctl", "authenticate_user", steps.BUS_USER], ok=None, given=password
            )
            if known.code == 0 and self._may_do_all():
                return False
            self._run(("rabbitmqctl", "change_password", steps.BUS_USER), given=password)
        self._run(("rabbitmqctl", "set_permissions", steps.BUS_USER, ".*", ".*", ".*"))
        return True

    def _has_bus_user(self):
        there = self._run(("rabbitmqctl", "--quiet", "list_users")).out.splitlines()
        return any(line.split()[:1] == [steps.BUS_USER] for line in there)

    def _may_do_all(self):
        """Say whether the account has its permissions: a run may have been killed between the two."""
        rows = self._run(("rabbitmqctl", "--quiet", "list_permissions")).out.splitlines()
        return [steps.BUS_USER, ".*", ".*", ".*"] in [line.split() for line in rows]

    def _change_bus_users(self, verb, password=None):
        """Add or delete the account; say whether it was us who did.

        On Fedora rabbitmqctl is a shell that starts the program as another user: that goes on when a run is
        killed, and may be faster than the next one.
        """
        wanted = verb == "add_user"
        try:
            self._run(("rabbitmqctl", verb, steps.BUS_USER), given=password)
        except UtilityError:
            if self._has_bus_user() != wanted:
                raise
            return False
        return True

    def _stop(self, step):
        states = self.init.states(step.units)
        there = [unit for unit in step.units if unit in states]
        running = [unit for unit in there if states[unit].is_active or states[unit].is_enabled]
        self._systemctl(("disable", "--now"), [unit + ".service" for unit in running])
        return bool(running)

    def _drop(self, step):
        return any(each["result"] != UNCHANGED for each in self._report(step)["services"])

    def _restore(self, step):
        paths = before.names(step.record)
        if not paths:
            return False
        with ini.edit(paths) as files:
            texts = [file.text() for file in files]
            before.give_back(step.record, dict(zip(paths, files)))
            return texts != [file.text() for file in files]

    def _remove_bus_user(self, _step):
        return self._has_bus_user() and self._change_bus_users("delete_user")

    def _remove(self, step):
        there = [path for path in step.paths if os.path.lexists(path)]
        for path in there:
            os.unlink(path)
        return bool(there)

    def _network(self, step):
        return network.make(step, self.passwords["ADMIN_PASSWORD"])

    def _volumes(self, step):
        return volumes.make(step)

    def _start(self, step):
        states = self.init.states(step.units)
        newest = _newest(step.files)
        missing, old = [], []
        for unit in step.units:
            state = states.get(unit)
            if state is None or not (state.is_active and state.is_enabled):
                missing.append(unit + ".service")
            elif newest > (state.since or 0):
                # It was started before the last change of what it reads.
                old.append(unit + ".service")
        self._systemctl(("restart",), old)
        self._systemctl(("enable", "--now"), missing)
        return bool(missing or old)

    def _support(self, step):
        active = [unit for unit, said in _ask_systemd("is-active", step.units) if said == "active"]
        lasting = [unit for unit, said in _ask_systemd("is-enabled", active) if said in AT_BOOT]
        waiting = [unit for unit in step.units if unit not in lasting]
        self._systemctl(("enable", "--now"), waiting)
        return bool(waiting)

    def _stay_up(self, step):
        """A daemon that was started may end a moment later: what it needs may not be there.

        One that has ended by itself and that a socket of systemd starts again is well: libvirtd ends
        after two minutes in which nobody asks it. One that systemd is starting again is waited for.
        """
        deadline = time.monotonic() + PATIENCE
        while True:
            said = dict(_ask_systemd("is-active", step.units))
            starting = [unit for unit, state in said.items() if state == "activating"]
            ended = [unit for unit, state in said.items() if state not in ("active", "activating")]
            ended = [unit for unit in ended if not _is_waiting(unit)]
            if not starting and not ended:
                return False
            if ended or time.monotonic() > deadline:
                ended = ended or starting
                message = "%s was started, and no longer runs" % ", ".join(ended)
                raise UtilityError(message, hint="journalctl -u %s" % ended[0])
            time.sleep(1)

    def _run(self, argv, given=None):
        done = processes.run(
            list(argv), ok=None, identity=OURSELVES, patience=PATIENCE, given=given, stop=self.stop
        )
        return _check(argv, done)

    def _report(self, step):
        """Run a program of ours; return its report, after warning of what it warns of."""
        report = _json(step.argv, self._run(step.argv + ("--json",)))
        for text in report.get("warnings", ()):
            self.warn("%s: %s" % (step.argv[0], text))
        return report

    def _systemctl(self, verb, units):
        """Do a verb to units, by their full names; systemd starts at once what waits for no other."""
        if not units:
            return
        try:
            self._run(("systemctl", "--no-pager") + verb + tuple(units))
        except UtilityError as error:
            failed = [unit for unit in units if unit in error.message] or units
            error.hint = "journalctl -u %s" % failed[0]
            raise

    def _answer(self, step):
        deadline = time.monotonic() + PATIENCE_FOR_ANSWER
        while True:
            status, reason = _ask(step)
            if status is not None and status < 500:
                return False
            if time.monotonic() > deadline:
                message = "%s: %s" % (step.url, reason or "answers with %d" % status)
                raise UnreachableError(message, hint="journalctl, openstack-status")
            self.stop.check()
            time.sleep(0.5)

    _doing = {
        steps.PasswordFile: _secrets,
        steps.Configure: _configure,
        steps.InitDatabase: _database,
        steps.Prepare: _prepare,
        steps.Fill: _fill,
        steps.Bus: _bus,
        steps.StartSupport: _support,
        steps.Start: _start,
        steps.StayUp: _stay_up,
        steps.WaitForApi: _answer,
        steps.Network: _network,
        steps.VolumeGroup: _volumes,
        steps.Stop: _stop,
        steps.DropDatabase: _drop,
        steps.Restore: _restore,
        steps.RemoveBusUser: _remove_bus_user,
        steps.RemoveFiles: _remove,
    }


def _ask_systemd(question, units):
    """Return (unit, word) of what `systemctl is-active` or `is-enabled` says of units that are there."""
    if not units:
        return []
    return list(zip(units, processes.run(["systemctl", question, *units], ok=None).out.split()))


def _is_waiting(unit):
    """Say whether a unit has ended well, and another one, its socket, waits to start it."""
    argv = ["systemctl", "show", "--property=ActiveState,TriggeredBy", unit]
    lines = processes.run(argv, ok=None).out.splitlines()
    said = dict(line.split("=", 1) for line in lines if "=" in line)
    sockets = said.get("TriggeredBy", "").split()
    states = {state for _, state in _ask_systemd("is-active", sockets)}
    return said.get("ActiveState") == "inactive" and "active" in states


def _check(argv, done):
    """Return a Done that ended well; raise UtilityError in the words of the program."""
    if done.code == 0:
        return done
    # Programs of ours say `error:` and `hint:`; what others say last is mostly why.
    lines = [line.strip() for line in done.err.splitlines() if line.strip()]
    said = [re.sub(r"^error: ", "", line) for line in lines if line.startswith("error: ")] or lines[-1:]
    hints = [line[len("hint: ") :] for line in lines if line.startswith("hint: ")]
    message = "%s: %s" % (argv[0], "; ".join(said) or processes.how_it_ended(done.code))
    raise KINDS.get(done.code, UtilityError)(message, hint=hints[-1] if hints else None)


def _json(argv, done):
    try:
        return json_text.parse(done.out)
    except ValueError:
        raise UtilityError("%s: its answer is not JSON" % argv[0]) from None


def _newest(paths):
    """Return when the newest of the files was written, in seconds since the epoch."""
    return max([os.stat(path).st_mtime for path in paths if os.path.exists(path)] or [0])


def _ask(step):
    """Return (status, None) of an HTTP request, or (None, reason)."""
    connection = http.client.HTTPConnection(step.host, step.port, timeout=30)
    try:
        connection.request("GET", step.path)
        return connection.getresponse().status, None
    except (OSError, http.client.HTTPException) as error:
        return None, (getattr(error, "strerror", None) or str(error) or type(error).__name__).lower()
    finally:
        connection.close()
