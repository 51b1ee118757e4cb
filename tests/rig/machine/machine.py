# SPDX-License-Identifier: MIT
"""A running machine: boot a tree, run programs in it, install RPMs, stop it.

Everything lives in namespaces, whose first process dies with ours (whatever kills it), and the machine's
root is an overlay on a tmpfs inside them: no mount, process or file of a machine outlives it. The work
folder (shared files, console) and the control groups of a killed run are removed by the next one.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from builder import tools
from builder.errors import BuildError
from builder.files import work_folder
from builder.report import Report
from builder.runner import Completed, Process, ProcessTimeout, Runner
from tests.rig.machine import cgroups, trees
from tests.rig.machine.trees import HERE, Init, Tree

# What the machine sees of its work folder, read and write.
SHARED = "/srv/shared"
# How fast an idle host boots one is in README.md; these are for a busy one.
BOOT_SECONDS = 300.0
SIZE = "4g"
STOP_SECONDS = 300.0
# As login(1) and cron(8) give root; nothing of the environment of the tests.
ENVIRONMENT = {
    "HOME": "/root",
    "LC_ALL": "C.UTF-8",
    "LOGNAME": "root",
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "TERM": "dumb",
    "USER": "root",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Commands:
    """How an init is booted (words for systemd-nspawn), asked whether it has, and ended."""

    boot: tuple[str, ...]
    state: tuple[str, ...]
    reboot: tuple[str, ...]
    power_off: tuple[str, ...]


COMMANDS = {
    Init.SYSTEMD: Commands(
        boot=("--boot",),
        state=("systemctl", "is-system-running"),
        reboot=("systemctl", "reboot"),
        power_off=("systemctl", "poweroff"),
    ),
    # Not --boot, which looks for systemd first; with the environment that the kernel gives, not nspawn's
    # NOTIFY_SOCKET. /run/state is written by our inittab.
    Init.SYSVINIT: Commands(
        boot=("/usr/bin/env", "-i", "HOME=/", "TERM=linux", "/sbin/init", "3"),
        state=("cat", "/run/state"),
        reboot=("/sbin/init", "6"),
        power_off=("/sbin/init", "0"),
    ),
}


def reason_not_to_boot() -> str | None:
    """Return why this host boots no machine, or None: it does."""
    if os.geteuid() != 0:
        return "booting a machine needs root"
    for tool in ("systemd-nspawn", "unshare", "nsenter"):
        if not tools.has(tool):
            return f"{tool} is not installed"
    trial = Runner(Report(quiet=True)).run(["unshare", "--mount", "--pid", "--fork", "true"], ok=())
    return f"this host makes no namespaces: {trial.stderr.strip()}" if trial.returncode else None


@dataclass(kw_only=True, slots=True)
class Machine:
    """A machine that runs. Not frozen: its PID 1 is another one after a reboot."""

    tree: Tree
    folder: Path
    runner: Runner
    process: Process
    pid: int = 0

    @property
    def shared(self) -> Path:
        """The folder that both sides see, at /srv/shared inside."""
        return self.folder / "shared"

    @property
    def _commands(self) -> Commands:
        return COMMANDS[self.tree.init]

    @property
    def console(self) -> str:
        """What the machine has said on its console so far."""
        return (self.folder / "console.log").read_text(errors="replace")

    def run(
        self,
        argv: Sequence[str],
        *,
        timeout: float = 300,
        ok: Sequence[int] = (0,),
        input: str | None = None,
        env: Mapping[str, str] | None = None,
    ) -> Completed:
        """Run a program inside, as root, with the environment of a login.

        Args:
            ok: exit statuses that are not a failure; empty: any.
            env: added to the environment.

        Raises:
            CommandFailed: another exit status, or it did not end in time.
        """
        return self.runner.run([*self.enter(env), *argv], timeout=timeout, ok=ok, input=input)

    def enter(self, env: Mapping[str, str] | None = None) -> list[str]:
        """Return the words that, before a command, run it inside."""
        variables = [f"{name}={value}" for name, value in (ENVIRONMENT | dict(env or {})).items()]
        return ["nsenter", f"--target={self.pid}", "--all", "--", "/usr/bin/env", "-i", *variables]

    def path(self, inside: str) -> Path:
        """Return where this side sees a file of the machine while it runs; links in it lead astray."""
        return Path(f"/proc/{self.pid}/root") / inside.lstrip("/")

    def read(self, inside: str) -> str:
        """Return the text of a file of the machine."""
        return self.path(inside).read_text()

    def write(self, inside: str, text: str, *, mode: int = 0o644) -> None:
        """Write a file of the machine, its folders made when missing."""
        path = self.path(inside)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(mode)

    def install(self, *rpms: Path, timeout: float = 900) -> Completed:
        """Install RPM files, or upgrade to them, scriptlets and all.

        systemd: by dnf, from a repository of all files given so far and the distribution's own.
        sysvinit: by rpm, without looking at dependencies (EL 6 is not there to fulfil them).
        """
        folder = self.shared / "rpms"
        folder.mkdir(exist_ok=True)
        for rpm in rpms:
            shutil.copy(rpm, folder)
        inside = [f"{SHARED}/rpms/{rpm.name}" for rpm in rpms]
        if self.tree.init is Init.SYSVINIT:
            return self.run(["rpm", "--upgrade", "--nodeps", *inside], timeout=timeout)
        self.runner.run(["createrepo_c", "--quiet", "--no-database", folder])
        return self.dnf("install", *inside, timeout=timeout)

    def dnf(self, *words: str, timeout: float = 900) -> Completed:
        """Run dnf with the distribution's repository and one of the files given to install()."""
        argv = ["dnf", "--assumeyes", "--setopt=fixture.enabled=1", "--setopt=install_weak_deps=0"]
        if (self.shared / "rpms" / "repodata").exists():
            argv += [f"--repofrompath=given,file://{SHARED}/rpms", "--setopt=given.gpgcheck=0"]
            argv += ["--setopt=given.metadata_expire=0"]
        return self.run([*argv, *words], timeout=timeout)

    def remove(self, *names: str, timeout: float = 900) -> Completed:
        """Remove packages, scriptlets and all."""
        if self.tree.init is Init.SYSVINIT:
            return self.run(["rpm", "--erase", *names], timeout=timeout)
        return self.dnf("remove", "--noautoremove", *names, timeout=timeout)

    def reboot(self) -> None:
        """Reboot: everything written stays, /run apart.

        Raises:
            BuildError: it did not come up again; its console is named.
        """
        old = self.pid
        self.run([*self._commands.reboot], ok=())
        self._wait("reboot", lambda: _first_process(self.process.pid) not in (None, old))
        self.wait_until_booted()

    def power_off(self, seconds: float = STOP_SECONDS) -> None:
        """Shut down in order, and wait for the end.

        Args:
            seconds: what it may take at most.

        Raises:
            BuildError: it did not end in time; its console is named.
        """
        self.run([*self._commands.power_off], ok=())
        try:
            self.process.wait(seconds)
        except ProcessTimeout:
            raise self._failure("did not shut down") from None

    def wait_until_booted(self) -> None:
        """Wait until PID 1 has started all that it starts at boot.

        Raises:
            BuildError: it does not get there; its console is named.
        """
        self._wait("boot", self._is_booted)

    def _is_booted(self) -> bool:
        pid = _first_process(self.process.pid)
        if pid is None:
            return False
        self.pid = pid
        said = self.run([*self._commands.state], ok=()).stdout.strip()
        return said in ("running", "degraded")

    def _wait(self, what: str, is_done: Callable[[], bool]) -> None:
        deadline = time.monotonic() + BOOT_SECONDS
        while not is_done():
            if self.process.poll() is not None:
                raise self._failure(f"ended while it was to {what}")
            if time.monotonic() > deadline:
                raise self._failure(f"did not {what} within {BOOT_SECONDS:.0f} s")
            time.sleep(0.05)

    def _failure(self, what: str) -> BuildError:
        last = self.console.strip().splitlines()[-1:]
        return BuildError(f"the {self.tree.kind} machine {what}" + "".join(f": {line}" for line in last))


@contextlib.contextmanager
def booted(tree: Tree, runner: Runner, *, size: str = SIZE, words: Sequence[str] = ()) -> Iterator[Machine]:
    """Boot a machine that lies over `tree`; kill it at the end.

    Args:
        size: what may be written over the tree, as mount's size= for a tmpfs.
        words: more options of systemd-nspawn: what a machine with guests of its own needs.

    Raises:
        BuildError: it does not come up; the end of its console is reported.
    """
    with work_folder(trees.folder(), tree.kind) as work, contextlib.ExitStack() as stack:
        cgroups.remove_stale(trees.folder())
        (work / "space").mkdir()
        (work / "shared").mkdir(mode=0o755)
        stack.callback(cgroups.remove, work.name)
        groups = cgroups.make(work.name)
        argv: list[str | Path] = ["unshare", "--mount", "--propagation=private", "--pid", "--fork"]
        argv += ["--kill-child", "--mount-proc", HERE / "boot.sh", tree.folder, work / "space"]
        argv += [size, *groups, "--"]
        argv += ["--machine=machine", "--timezone=off", "--resolv-conf=off"]
        argv.append(f"--bind={work / 'shared'}:{SHARED}")
        if tree.repository:
            argv.append(f"--bind-ro={tree.repository}:/srv/fixture")
        process = runner.spawn([*argv, *words, *COMMANDS[tree.init].boot], log=work / "console.log")
        stack.callback(_kill, process)
        machine = Machine(tree=tree, folder=work, runner=runner, process=process)
        machine.wait_until_booted()
        yield machine


def _kill(process: Process) -> None:
    # unshare's child goes with it (--kill-child), and with that all of the namespace.
    process.kill()
    process.wait()


def _first_process(unshare: int) -> int | None:
    """Return the machine's PID 1 as this side counts: below unshare, boot.sh and nspawn."""
    for script in _children(unshare):
        for nspawn in _children(script):
            for pid in _children(nspawn):
                # While it starts, nspawn has another child, in our PID namespace still.
                if _own_pid(pid) == (1, 3):
                    return pid
    return None


def _children(pid: int) -> list[int]:
    try:
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def _own_pid(pid: int) -> tuple[int, int] | None:
    """Return what a process is called in its own PID namespace, and how many deep that is."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("NSpid:"):
                words = line.split()[1:]
                return int(words[-1]), len(words)
    return None
