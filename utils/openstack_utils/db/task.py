# SPDX-License-Identifier: MIT
"""What every action on the databases of one service works with, and its result."""

import contextlib
import os

from ..errors import AccessError, Interrupted, UtilityError
from ..host.programs import find_program, identity_of
from . import names
from .files import Files
from .journal import Journal, locked, make_folder
from .programs import Programs, give_log_back
from .server.connect import connect
from .server.login import service_place
from .urls import parse

CREATED, UNCHANGED, UPDATED, DROPPED, FAILED = "created", "unchanged", "updated", "dropped", "failed"
# The results of --dry-run.
WOULD = {CREATED: "would create", UPDATED: "would update", DROPPED: "would drop"}
NONE = "has no database"


class ServiceOutcome:
    """What became of one service. `facts` is what --json has in addition."""

    def __init__(self, name, result, error=None, **facts):
        self.name = name
        self.result = result
        self.error = error
        self.facts = facts
        self.seconds = 0.0

    @property
    def exit_code(self):
        return 0 if self.error is None else self.error.exit_code

    def data(self):
        """The outcome for --json."""
        data = {"service": self.name, "result": self.result, "seconds": round(self.seconds, 2)}
        data.update(self.facts)
        if self.error is not None:
            data["error"] = self.error.message
        return data


class ServiceTask:
    """One service in one run. `admin` is the connection as root, where the action needs one."""

    def __init__(self, service, options, console, secrets, stop, width=0):
        self.service = service
        self.options = options
        self.console = console
        self.secrets = secrets
        self.stop = stop
        self.width = width
        self.admin = None
        self.engine = None
        self.files = Files(service, notify=self.say, check=stop.check, inplace=options.inplace)
        self.journal = Journal(service.places.state, service.name)

    @property
    def log(self):
        """Where the output of the service's commands goes."""
        return os.path.join(self.service.places.logs, "db-%s.log" % self.service.name)

    def adopt(self, values):
        """Take over the names that the URLs have; return {database: Url}. Raises UsageError."""
        self.service = names.adopt(self.service, values, self.engine)
        urls = urls_by_database(self.service, values)
        for url in urls.values():
            self.secrets.add(url.password)
        return urls

    def say(self, text):
        """Print progress, in a line of this service."""
        self.console.note("%s  %s" % (self.service.name.ljust(self.width), text))

    def fail(self, error):
        """Print an error at once, with the last lines of the command that failed.

        What of it comes from outside is masked where it comes in; our own words are not.
        """
        for line in error.details:
            self.console.say("%s  | %s" % (self.service.name.ljust(self.width), line))
        self.console.say("error: %s: %s" % (self.service.name, error.message))
        if error.hint:
            self.console.say("hint: %s" % error.hint)

    def as_error(self, error):
        """Return an error of ours for any; of an interruption too."""
        if isinstance(error, Interrupted):
            stopped = UtilityError("interrupted")
            stopped.exit_code = 130
            return stopped
        if isinstance(error, UtilityError):
            return error
        if isinstance(error, OSError) and error.strerror:
            return UtilityError("%s: %s" % (error.filename or "error", error.strerror.lower()))
        return UtilityError("%s: %s" % (type(error).__name__, self.secrets.mask(str(error))))

    def outcome(self, result, error=None, **facts):
        """Return the Outcome, with those facts that say something."""
        facts = {key: value for key, value in facts.items() if value not in (None, [], ())}
        service = self.service
        return ServiceOutcome(
            service.name, result, error, release=service.release, engine=self.engine, **facts
        )

    @contextlib.contextmanager
    def locked(self):
        """Hold the lock of the service: two runs of one service never mix."""
        folder = self.service.places.state
        make_folder(folder)
        with locked(folder, self.service.name, self.say, self.stop):
            yield

    def programs(self, commands):
        """Return what runs the service's commands; AccessError when one of them is not installed."""
        for command in commands:
            if find_program(command.run[0]) is None:
                hint = "install the package of %s first" % self.service.name
                raise AccessError("%s is not installed" % command.run[0], hint=hint)
        places = self.service.places
        must_exist = not places.root and not places.config_dir
        identity = identity_of(self.service.user, places.root, must_exist)
        give_log_back(self.service.name, identity, places.root)
        return Programs(identity, self.log, self.secrets, self.stop)

    def connect(self, url):
        """Return a connection as the service."""
        self.secrets.add(url.password)
        return connect(service_place(url), url.user, url.password, self.secrets, url.database)

    def sync(self, programs, commands, urls):
        """Run commands of the service."""
        for command in commands:
            argv = self.service.argv(command.run, urls)
            self.say("runs %s (please wait; log %s)" % (_short(argv), self.log))
            programs.run(argv, ok=(0,) + command.done)

    def tell_left_out(self, commands, urls):
        """Say which commands are not run, and why."""
        for command in commands:
            argv = self.service.argv(command.run, urls)
            self.say("%s is not set: leaves out %s" % (command.requires, _short(argv)))


def urls_by_database(service, values):
    """Return {database: Url} of what the options say, and of databases next to others.

    A database whose option has no URL is left out.
    """
    urls = {}
    for option, database in service.options:
        url = parse(values.get(option) or "")
        if url is not None and database.name not in urls:
            urls[database.name] = url
    for database in service.databases:
        if database.alongside in urls:
            urls[database.name] = urls[database.alongside]._replace(database=database.name)
    return urls


def _short(argv):
    """The words of a command without the options that are the same for all."""
    words = list(argv)
    while "--config-file" in words:
        at = words.index("--config-file")
        del words[at : at + 2]
    return " ".join(word for word in words if "{" not in word and not word.startswith("--data"))
