# SPDX-License-Identifier: MIT
"""The one module that starts processes.

Lists only, never a shell; closed stdin; C.UTF-8; secrets by file or pipe; a missing tool is named with
the package that holds it. Every process started dies with us (`builder.lifetime`).
"""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from builder import pipes, tools
from builder.errors import CommandFailed
from builder.lifetime import begin_world, die_with_parent
from builder.report import Report
from builder.timeline import Span

# What spawn() returns, and what its wait(timeout=) raises.
Process = subprocess.Popen[bytes]
ProcessTimeout = subprocess.TimeoutExpired


class SaysTooMuch(CommandFailed):
    """A program was ended since it said more than it might."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Completed:
    """How a process ended: exit status, and what it printed (empty where it went to a log)."""

    returncode: int
    stdout: str
    stderr: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Child:
    """What is special about a program that is started.

    `cwd` is the folder that it starts in, if not ours; `pass_fds` are open in it; `preexec` is called in it
    before exec. `starter` is a thread that starts it, whose capabilities it has then (capabilities(7)), and
    that must live as long; `begun` is called here with its id when it is there. With `group` it is the head
    of a process group, and all of that ends when it does or we do: for programs that run scripts, and from a
    thread; not for one that asks on the terminal. With `apart` it is the first process of a pid namespace, of
    which nothing is left when it ends or we do. `watch` is called here some times a second while it runs:
    what that raises ends it.
    """

    cwd: Path | None = None
    pass_fds: tuple[int, ...] = ()
    preexec: Callable[[], None] | None = None
    starter: Executor | None = None
    begun: Callable[[int], None] | None = None
    group: bool = False
    apart: bool = False
    watch: Callable[[], None] | None = None

    def prepare(self, parent: int) -> None:
        """Run between fork and exec; `parent` is the process that starts it."""
        if self.apart:
            begin_world(parent, self.preexec)
            return
        die_with_parent(parent)
        if self.preexec:
            self.preexec()

    @property
    def preparation(self) -> Callable[[], None] | None:
        """What is to be run between fork and exec; None where the kernel sees to all of it.

        It leaves nothing alive of what pid 1 started. Without such code a program costs 2 ms less: Python
        starts it by vfork(2), and our memory is not copied for it.
        """
        if os.getpid() == 1 and not self.apart and self.preexec is None:
            return None
        return partial(self.prepare, os.getpid())


ORDINARY = Child()


class Runner:
    """Starts programs and returns what they did.

    Args:
        report: gets `+ argv` under --debug, and the tools' output under -v.
    """

    def __init__(self, report: Report) -> None:
        self.report = report
        self._guard = threading.Lock()
        self._groups: set[int] = set()
        self._ended = False
        self._ran: list[tuple[str, float, float]] = []

    def spans(self, where: str) -> list[Span]:
        """Return which programs ran, and when, of those that have ended; `where` is our place."""
        return [
            Span(name=name, kind="program", where=where, began=began, seconds=seconds)
            for name, began, seconds in self._ran
        ]

    def run(
        self,
        argv: Sequence[str | os.PathLike[str]],
        *,
        env: Mapping[str, str] | None = None,
        input: str | bytes | None = None,
        log: Path | None = None,
        ok: Sequence[int] = (0,),
        hint: str | None = None,
        timeout: float | None = None,
        largest: int = pipes.LARGEST,
        most: int | None = None,
        child: Child = ORDINARY,
    ) -> Completed:
        """Run a program to its end.

        Args:
            argv: program and arguments. Secrets never stand here.
            env: added to (or, with an empty value, taken from) the clean environment.
            input: text for stdin, which is closed otherwise.
            log: file that gets stdout and stderr, appended; nothing is captured then. The program itself gets
                a pipe.
            ok: exit statuses that are not a failure; empty: any.
            hint: for the error, when it fails.
            timeout: seconds, then it is killed and CommandFailed raised.
            largest: bytes that are kept of what it says.
            most: bytes that it may say, then it is killed and SaysTooMuch raised; None: any.
            child: what is special about it.

        Raises:
            ToolMissing: the program is not installed.
            CommandFailed: an exit status not in `ok`, with the last line that the program said.
        """
        words, shown = _words(argv)
        self.report.debug(f"+ {shown}")
        data = input.encode() if isinstance(input, str) else input
        out, err = pipes.Captured(largest), pipes.Captured(largest)
        logged = pipes.Logged(log, largest) if log else None
        try:
            if logged:
                logged.write(f"+ {shown}\n".encode())
            process = _start(words, env, child, has_input=data is not None, joined=logged is not None)
            with self._watched(process, group=child.group):
                said = 0
                for pipe, piece in pipes.exchange(process, data, timeout, child.watch):
                    said += len(piece)
                    if most is not None and said > most:
                        raise SaysTooMuch(f"{_name(argv)} was ended: it printed more than {most >> 20} MiB")
                    (logged or (out if pipe is process.stdout else err)).write(piece)
        except TimeoutError as error:
            raise CommandFailed(
                f"{_name(argv)} did not end within {timeout:.0f} s", hint=hint, log=log
            ) from error
        finally:
            if logged:
                logged.close()
        if self.report.is_verbose and (out.text or err.text):
            self.report.debug((out.text + err.text).rstrip())
        if ok and process.returncode not in ok:
            last = last_words(err.text or out.text or (_tail(log) if log else ""))
            raise CommandFailed(_failure(argv, process.returncode, last), hint=hint, log=log)
        return Completed(returncode=process.returncode, stdout=out.text, stderr=err.text)

    def end(self) -> None:
        """Kill every process group of ours, whichever thread waits for it, and start no more of them."""
        with self._guard:
            self._ended = True
            for group in self._groups:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(group, signal.SIGKILL)

    @contextlib.contextmanager
    def _watched(self, process: Process, *, group: bool) -> Iterator[None]:
        """See to it that a process, and its group, has ended when the block is left."""
        if group:
            with self._guard:
                self._groups.add(process.pid)
                if self._ended:
                    os.killpg(process.pid, signal.SIGKILL)
        began = time.monotonic()
        try:
            yield
        except BaseException:
            process.kill()
            raise
        finally:
            if group:
                with self._guard:
                    self._groups.discard(process.pid)
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            self._ran.append((_program(process.args), began, time.monotonic() - began))
            for pipe in (process.stdin, process.stdout, process.stderr):
                if pipe:
                    pipe.close()

    def stream(
        self,
        argv: Sequence[str | os.PathLike[str]],
        *,
        input: str,
        log: Path,
        env: Mapping[str, str] | None = None,
        timeout: float | None = None,
        largest: int = pipes.LARGEST,
        child: Child = ORDINARY,
    ) -> Iterator[str]:
        """Run a program and yield the lines of its stdout as they come; stderr goes to `log`.

        Args:
            input, env, timeout, largest, child: as of `run`.

        Raises:
            CommandFailed: the exit status, at the end, is not 0, or it did not end in time, or a line of it
                is longer than any that is expected.
        """
        words, shown = _words(argv)
        self.report.debug(f"+ {shown}")
        name = _name(argv)
        logged = pipes.Logged(log, largest)
        process = _start(words, env, child, has_input=True, joined=False)
        begun = b""
        try:
            with self._watched(process, group=child.group):
                for pipe, piece in pipes.exchange(process, input.encode(), timeout, child.watch):
                    if pipe is not process.stdout:
                        logged.write(piece)
                        continue
                    *lines, begun = (begun + piece).split(b"\n")
                    yield from (line.decode(errors="replace") for line in lines)
                    if len(begun) > pipes.LONGEST_LINE:
                        raise CommandFailed(f"{name} wrote a line that is too long", log=log)
        except TimeoutError as error:
            raise CommandFailed(f"{name} did not end within {timeout:.0f} s", log=log) from error
        finally:
            logged.close()
        if process.returncode:
            raise CommandFailed(_failure(argv, process.returncode, last_words(_tail(log))), log=log)

    def spawn(
        self,
        argv: Sequence[str | os.PathLike[str]],
        *,
        log: Path,
        env: Mapping[str, str] | None = None,
        child: Child = ORDINARY,
        detached: bool = False,
    ) -> Process:
        """Start a program that runs in the background; its output goes to `log`.

        Args:
            child: as of `run`; only what is done before the program begins.
            detached: it outlives us, in a session of its own (a server started for the user).
        """
        words, shown = _words(argv)
        self.report.debug(f"+ {shown} &")
        with log.open("ab") as stream:
            return subprocess.Popen(
                words,
                cwd=child.cwd,
                env=clean_environment(env),
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=stream,
                pass_fds=child.pass_fds,
                start_new_session=detached,
                preexec_fn=None if detached else child.preparation,
            )


def _words(argv: Sequence[str | os.PathLike[str]]) -> tuple[list[str], str]:
    """Return the words to start, the program by its full path, and how they are shown."""
    words = [os.fspath(word) for word in argv]
    return [tools.find(words[0]), *words[1:]], shlex.join(words)


def _name(argv: Sequence[str | os.PathLike[str]]) -> str:
    return os.path.basename(os.fspath(argv[0]))


def _start(
    words: Sequence[str], env: Mapping[str, str] | None, child: Child, *, has_input: bool, joined: bool
) -> Process:
    """Start a program on pipes; with `joined` its stderr goes where its stdout does."""

    def start() -> Process:
        return subprocess.Popen(
            words,
            cwd=child.cwd,
            env=clean_environment(env),
            stdin=subprocess.PIPE if has_input else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT if joined else subprocess.PIPE,
            pass_fds=child.pass_fds,
            preexec_fn=child.preparation,
            process_group=0 if child.group else None,
        )

    process = child.starter.submit(start).result() if child.starter else start()
    if child.begun:
        child.begun(process.pid)
    return process


def _program(args: Any) -> str:
    """Return what runs for people: in a room the program itself, and of an interpreter its script."""
    words: list[str] = [os.fspath(word) for word in args]
    inner = words[words.index("--") + 1 :] if "--" in words[:-1] else words
    name = os.path.basename(inner[0])
    scripts = [os.path.basename(word) for word in inner[1:] if word.endswith(".py")]
    return scripts[0] if name.startswith("python") and scripts else name


def _failure(argv: Sequence[str | os.PathLike[str]], status: int, said: str) -> str:
    """Return what a failure is called: the program, how it ended, what it said last."""
    how = f"killed by {signal.Signals(-status).name}" if status < 0 else f"exit status {status}"
    return f"{_name(argv)} failed ({how})" + (f": {said}" if said else "")


# What a child may know of our environment. Proxies and mirrors of the user are honoured.
_KEPT = ("PATH", "HOME", "USER", "LOGNAME", "TERM", "TMPDIR", "XDG_CACHE_HOME", "XDG_RUNTIME_DIR",
         "SOURCE_DATE_EPOCH", "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "VIRTUAL_ENV",
         "http_proxy", "https_proxy", "ftp_proxy", "no_proxy", "all_proxy",
         "HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "NO_PROXY", "ALL_PROXY")  # fmt: skip


def clean_environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the environment for a child: what it needs of ours, C.UTF-8, and `extra` (empty removes)."""
    env = {name: os.environ[name] for name in _KEPT if name in os.environ}
    env.update(LC_ALL="C.UTF-8", PATH=f"{env.get('PATH', os.defpath)}:{tools.SBIN}")
    for name, value in (extra or {}).items():
        if value:
            env[name] = value
        else:
            env.pop(name, None)
    return env


def last_words(text: str) -> str:
    """Return the line that most likely says why: the last that says `error`, else the last one.

    What is below an `Error:` belongs to it, as dnf writes it.
    """
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    for index, line in reversed(list(enumerate(lines))):
        if "error" in line.lower():
            return (" ".join(lines[index:]) if line.endswith(":") else line)[:400]
    return lines[-1][:400] if lines else ""


def _tail(path: Path) -> str:
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - 4096))
        return file.read().decode(errors="replace")
