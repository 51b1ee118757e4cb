# SPDX-License-Identifier: MIT
"""The passwords of a run, and its connections as root: one for all services of a server."""

from ..errors import UnreachableError, UsageError
from ..host import passwords
from ..host.console import is_terminal
from .server import local
from .server.login import RootLogin


class Access:
    """How a run gets into servers; `password` is the services' of the command line, or None."""

    def __init__(self, options, console, secrets):
        self.options = options
        self.console = console
        self.secrets = secrets
        self.password = None
        self.root_password = None
        self.connections = {}

    def read_passwords(self):
        """Read the passwords that the options name. Raises UsageError, UtilityError."""
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

    def connection(self, place):
        """Return the connection as root; one for all services of a server."""
        if place not in self.connections:
            login = RootLogin(place, self.secrets, self.root_password, self._ask_root, self._ensure)
            connection = self.connections[place] = login.log_in()
            if connection.is_fresh and place.engine == "mysql":
                self._set_root_password(connection)
            if self.options.action == "init":
                for concern in connection.concerns():
                    self.console.warn(concern)
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

    def need_yes(self, question):
        """Raise DeclinedError unless the answer is yes; --yes answers so."""
        if not self.options.yes:
            self.console.need_yes(question)

    def _ask(self, question):
        """Ask on the terminal; --yes answers yes."""
        return self.options.yes or self.console.ask(question)
