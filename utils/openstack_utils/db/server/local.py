# SPDX-License-Identifier: MIT
"""The database server of this host: find it, install it, start it, give root a password.

What runs already is left as it is, at boot too: who manages it (a cluster manager, perhaps) has decided.
A server that this run installs or starts is also enabled, so that the services find it after a reboot.
"""

import os
import time
from typing import NamedTuple, Optional

from ...errors import AccessError, DeclinedError, UtilityError, reason_of
from ...host import processes
from ...host.programs import find_program

INSTALL_SECONDS = 1800
START_SECONDS = 300
SOCKET_SECONDS = 30


class Engine(NamedTuple):
    """How the packages of Fedora and EL name things.

    `packages`: what to install with systemd, and on EL 6. `services`: units or init scripts, any of them.
    `sockets`: where the server listens (of PostgreSQL: the folder), by distribution.
    `data`: a file that says whether the data folder has been prepared, which PostgreSQL's packages leave
    to the administrator; None: the first start does.
    `folders`: where the server reads files of settings, the first that is there; `settings`: what a server
    gets there that this run installs, by init as well.
    """

    title: str
    packages: dict
    services: tuple
    sockets: tuple
    data: Optional[str] = None
    folders: tuple = ()
    settings: dict = {}


SETTINGS_FILE = "openstack.cnf"
# Only MariaDB reads this section, and one that does not know the variable goes on.
SETTINGS = """\
# Written by openstack-db, which installed this server: see openstack-db(1), MariaDB 11.6.2 and later.
[mariadbd]
loose_innodb_snapshot_isolation = OFF
"""

# mariadb-server is in Fedora since 19 and EL since 7; its unit has the aliases mysql and mysqld, so that the
# package is never asked for by the name mysql-server (f7beaa1 of openstack-utils). MySQL's unit is mysqld in
# community-mysql-server, mysql-server and mysql8.4-server of Fedora and EL and in Oracle's own packages;
# mysql is Debian's and SUSE's.
ENGINES = {
    "mysql": Engine(
        title="MySQL",
        packages={"systemd": "mariadb-server", "sysv": "mysql-server"},
        services=("mariadb", "mysqld", "mysql"),
        sockets=("/run/mysqld/mysqld.sock", "/var/run/mysqld/mysqld.sock", "/var/lib/mysql/mysql.sock"),
        folders=("/etc/my.cnf.d", "/etc/mysql/mariadb.conf.d"),
        settings={"systemd": SETTINGS},
    ),
    "postgresql": Engine(
        title="PostgreSQL",
        packages={"systemd": "postgresql-server", "sysv": "postgresql-server"},
        services=("postgresql",),
        sockets=("/run/postgresql", "/var/run/postgresql"),
        data="/var/lib/pgsql/data/PG_VERSION",
    ),
}


class Prepared(NamedTuple):
    """A server that runs: whether this run installed it, and its socket (PostgreSQL's: the folder)."""

    fresh: bool
    socket: Optional[str] = None


class LocalSystemd:
    """Services under systemd."""

    name = "systemd"

    def has(self, service):
        # --value is not in EL 7.
        return "LoadState=loaded" in _run(["systemctl", "show", "-p", "LoadState", service + ".service"]).out

    def is_running(self, service):
        return _run(["systemctl", "is-active", service + ".service"]).code == 0

    def is_enabled(self, service):
        return _run(["systemctl", "is-enabled", service + ".service"]).code == 0

    def start(self, service):
        hint = "see journalctl -u %s.service" % service
        _must(["systemctl", "start", service + ".service"], START_SECONDS, hint)

    def enable(self, service):
        _must(["systemctl", "enable", service + ".service"])

    def prepare(self, service):
        """Make PostgreSQL's data folder; services log in at 127.0.0.1 with a password, not by ident."""
        del service
        # The word without dashes is the one that EL 7's and today's both take.
        options = {"PGSETUP_INITDB_OPTIONS": "--auth-host=md5"}
        _must(["postgresql-setup", "initdb"], START_SECONDS, extra=options)

    def can_prepare(self):
        return find_program("postgresql-setup") is not None


class LocalSysV:
    """Services with init scripts, as on EL 6."""

    name = "sysv"

    def has(self, service):
        return os.access("/etc/init.d/" + service, os.X_OK)

    def is_running(self, service):
        return _run(["service", service, "status"]).code == 0

    def is_enabled(self, service):
        return _run(["chkconfig", service]).code == 0

    def start(self, service):
        _must(["service", service, "start"], START_SECONDS)

    def enable(self, service):
        _must(["chkconfig", service, "on"])

    def prepare(self, service):
        _must(["service", service, "initdb"], START_SECONDS)

    def can_prepare(self):
        return True


def ensure(engine, root, ask, say):
    """See that a server of the engine runs on this host; return it as Prepared.

    `ask(question)` is called before each change, `say(text)` when it is made. With another `root` than
    the host's own nothing is started.

    Raises DeclinedError, AccessError (not root, no dnf or yum, no init that we know), UtilityError.
    """
    wanted = ENGINES[engine]
    if root.rstrip("/"):
        return Prepared(fresh=False)
    init = _init()
    service = init and _find_service(init, wanted)
    socket = _listening(wanted)
    if socket and not service:
        # Started by hand, or from another place than a package.
        return Prepared(False, socket)
    if init is None:
        raise AccessError(
            "no server of %s runs here, and this host has neither systemd nor init scripts" % wanted.title,
            hint="start one, or name another host with --host",
        )
    fresh = service is None
    if fresh:
        service = _install(init, wanted, ask, say)
        _configure(init, wanted, say)
    elif init.is_running(service):
        return Prepared(False, socket)
    else:
        question = "%s is installed and does not run. Start %s, now and at boot?"
        _consent(ask, question % (wanted.title, service))
    _start(init, wanted, service, say)
    return Prepared(fresh, _wait_for_socket(wanted))


def _init():
    if os.path.isdir("/run/systemd/system"):
        return LocalSystemd()
    if find_program("service") and find_program("chkconfig"):
        return LocalSysV()
    return None


def _find_service(init, wanted):
    for service in wanted.services:
        if init.has(service):
            return service
    return None


def _consent(ask, question):
    if os.geteuid() != 0:
        raise AccessError(
            "only root can install and start a database server",
            hint="run as root, or name another with --host",
        )
    if not ask(question):
        raise DeclinedError("no database server runs here", hint="--host names one on another host")


def _install(init, wanted, ask, say):
    """Install the package; return the name of its service."""
    package = wanted.packages[init.name]
    tool = "dnf" if find_program("dnf") else "yum"
    if find_program(tool) is None:
        raise AccessError(
            "%s is not installed, and there is neither dnf nor yum" % wanted.title,
            hint="install it, or name another host with --host",
        )
    question = "%s is not installed. Install %s, and start it, now and at boot?" % (wanted.title, package)
    _consent(ask, question)
    say("installing %s" % package)
    _must([tool, "-y", "install", package], INSTALL_SECONDS)
    service = _find_service(init, wanted)
    if service is None:
        names = ", ".join(wanted.services)
        raise UtilityError("%s installed none of the services %s" % (package, names))
    return service


def _configure(init, wanted, say):
    """Write the settings of a server that has never run. A file of that name is somebody's, and stays."""
    folder = next((folder for folder in wanted.folders if os.path.isdir(folder)), None)
    text = wanted.settings.get(init.name)
    if folder is None or text is None:
        return
    path = os.path.join(folder, SETTINGS_FILE)
    if os.path.lexists(path):
        return
    say("writing %s" % path)
    # The server reads *.cnf.
    work = path + ".new"
    try:
        with open(work, "w", encoding="utf-8") as file:
            os.fchmod(file.fileno(), 0o644)
            file.write(text)
        os.rename(work, path)
    except OSError as error:
        raise UtilityError("%s: %s" % (path, reason_of(error))) from None


def _start(init, wanted, service, say):
    if wanted.data and not os.path.exists(wanted.data) and init.can_prepare():
        say("preparing the data folder of %s" % wanted.title)
        init.prepare(service)
    say("starting %s" % service)
    init.start(service)
    if not init.is_enabled(service):
        init.enable(service)


def _wait_for_socket(wanted):
    """Return where the server listens, or None: not at a place that we know."""
    deadline = time.monotonic() + SOCKET_SECONDS
    while time.monotonic() < deadline:
        socket = _listening(wanted)
        if socket:
            return socket
        time.sleep(0.1)
    return None


def _listening(wanted):
    """Return the socket of the server at which somebody listens now, or None."""
    with open("/proc/net/unix", encoding="utf-8", errors="surrogateescape") as file:
        # Num RefCount Protocol Flags Type St Inode Path; flag 0x10000: it accepts connections (unix(7)).
        rows = [line.split(None, 7) for line in file]
    listening = {row[7].rstrip("\n") for row in rows if len(row) == 8 and row[3] == "00010000"}
    for path in wanted.sockets:
        if path in listening or path + "/.s.PGSQL.5432" in listening:
            return path
    return None


# -- root's password ---------------------------------------------------------------------------------


def set_root_password(connection, password):
    """Give root a password on a server that was just installed, and remove anonymous accounts.

    `connection` is an open PyMySQL connection of root's. The socket keeps letting the system's root in
    where the server can do both.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT VERSION()")
        version = cursor.fetchone()[0]
        cursor.execute("SELECT User, Host FROM mysql.user WHERE User IN ('', 'root')")
        for sql, values in password_statements(version, cursor.fetchall(), password):
            cursor.execute(sql, values)


def password_statements(version, accounts, password):
    """Return (SQL, values) for the version: pairs of user and host in `accounts` are '' and root's."""
    statements: list = [("DROP USER ''@%s", (host,)) for user, host in accounts if user == ""]
    hosts = [host for user, host in accounts if user == "root"]
    # The account that we are in by comes last.
    for host in sorted(hosts, key="localhost".__eq__):
        statements.append((_password_sql(version, host), (host, password)))
    return statements


def _password_sql(version, host):
    number = _number(version)
    if "MariaDB" in version and number >= (10, 4):
        if host == "localhost":
            via = "unix_socket OR mysql_native_password USING PASSWORD(%s)"
            return "ALTER USER root@%s IDENTIFIED VIA " + via
        return "ALTER USER root@%s IDENTIFIED BY %s"
    if "MariaDB" not in version and number >= (5, 7, 6):
        return "ALTER USER root@%s IDENTIFIED BY %s"
    # MySQL 5.7.6 and MariaDB 10.2 brought ALTER USER for this; MariaDB's of before 10.4 has no OR.
    return "SET PASSWORD FOR root@%s = PASSWORD(%s)"


def _number(version):
    """Return 10.11.19-MariaDB-0+deb12u1 as (10, 11, 19)."""
    digits = version.split("-")[0].split(".")
    return tuple(int(word) for word in digits if word.isdigit())


# -- programs ----------------------------------------------------------------------------------------


def _run(argv, seconds=60, extra=None):
    """Run a program; return its Done. It is never killed: rpm could be in the middle of its work."""
    return processes.run(argv, limit=seconds, ok=None, extra=extra, patience=None)


def _must(argv, seconds=60, hint=None, extra=None):
    done = _run(argv, seconds, extra)
    if done.code != 0:
        said = _last_words(done.err.strip() or done.out)
        raise UtilityError("%s %s%s" % (" ".join(argv), processes.how_it_ended(done.code), said), hint=hint)


def _last_words(said):
    """Return the line that most likely names the cause: the last that says `error`, else the last one."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    errors = [line for line in lines if "error" in line.lower()] or lines
    return ": " + errors[-1] if errors else ""
