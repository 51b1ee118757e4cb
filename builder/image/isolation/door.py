# SPDX-License-Identifier: MIT
"""The one door between the inside of a build and the host: lines of JSON over a socket, some with content.

The inside speaks: what the user is to see, what goes into the log, what it wants from a cache, and in the end
its answer or its error. The outside (`attend`) takes every line for hostile: it has a form, and everything in
it a bound. Nothing that comes through the door is a name of a file, and nothing is ever run or unpickled.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from builder import errors, json_text
from builder.errors import BuildError, InputError, Problem
from builder.image.isolation.wire import WireError, unpack
from builder.report import Report, Step, escape, step_label

# Bytes: of one line, of one piece of content (an initramfs), and of all that goes into a log.
LONGEST_LINE = 32 << 20
LARGEST_CONTENT = 512 << 20
LONGEST_LOG = 64 << 20
# Lines and characters that a build shows.
MOST_SHOWN = 20_000
LONGEST_SHOWN = 4 << 20
# Seconds between two words of progress.
PROGRESS = 0.1

# What the inside may want: a name, and what the outside does with text and content.
Request = Callable[[str, bytes], bytes]

_KINDS = {
    kind.__name__: kind
    for kind in (
        BuildError, errors.CommandFailed, InputError, errors.ToolMissing, errors.PermissionMissing,
        errors.RemoteError,
    )
}  # fmt: skip


@dataclass(frozen=True, kw_only=True, slots=True)
class _Failure:
    """An error on its way through the door; `log`: the log has more of it."""

    kind: str
    message: str
    hint: str | None = None
    log: bool = False
    problems: tuple[Problem, ...] = ()
    story: str | None = None


class Door:
    """The inside's end."""

    def __init__(self, descriptor: int, like: Report, log: Path) -> None:
        self._peer = socket.socket(fileno=descriptor)
        self._stream = self._peer.makefile("rb")
        self._log = log
        self._sent_of_log = 0
        self.report = DoorReport(self, like)

    def say(self, kind: str, value: object, content: bytes | None = None) -> None:
        """Send one line, and the bytes that belong to it."""
        line: dict[str, object] = {"say": kind, "value": value}
        if content is not None:
            line["size"] = len(content)
        self._peer.sendall(json.dumps(line).encode() + b"\n" + (content or b""))

    def ask(self, name: str, text: str, content: bytes = b"") -> bytes:
        """Ask for what `run_inside` was given under `name`; return the bytes that it answers."""
        self.say("ask", [name, text], content)
        size = int(self._stream.readline())
        return self._stream.read(size)

    def tell_log(self) -> None:
        """Send what the log has got since the last time."""
        with contextlib.suppress(FileNotFoundError), self._log.open("rb") as file:
            file.seek(self._sent_of_log)
            while data := file.read(1 << 20):
                self._sent_of_log += len(data)
                self.say("log", data.decode(errors="replace"))

    def answer(self, value: object) -> None:
        """Send the result, plain data; nothing may follow."""
        self.tell_log()
        self.say("answer", value)

    def fail(self, error: BaseException) -> None:
        """Send an error; nothing may follow."""
        story = None
        if isinstance(error, OSError):
            where = f"{os.fsdecode(error.filename)}: " if error.filename else ""
            error = BuildError(f"inside the build: {where}{(error.strerror or str(error)).lower()}")
        if not isinstance(error, BuildError):
            story = "".join(traceback.format_exception(error))
            error = BuildError(f"internal error in the build sandbox: {error!r}")
        self.tell_log()
        problems = error.problems if isinstance(error, InputError) else ()
        rows = [{"message": one.message, "where": one.where, "hint": one.hint} for one in problems]
        value = {"kind": type(error).__name__, "message": error.message, "hint": error.hint}
        self.say("failed", value | {"log": error.log is not None, "problems": rows, "story": story})


class DoorReport(Report):
    """The report of the inside: its words go through the door."""

    def __init__(self, door: Door, like: Report) -> None:
        super().__init__(quiet=like.quiet, verbose=like.is_verbose, debug=like.is_debug)
        self._door = door
        self._progressed = 0.0

    def result(self, text: str) -> None:
        """Say a note: results are the outside's."""
        self.note(text)

    def note(self, text: str) -> None:
        """Say it there."""
        self._door.say("note", text)

    def verbose(self, text: str) -> None:
        """Say it there."""
        if self.is_verbose:
            self._door.say("verbose", text)

    def debug(self, text: str) -> None:
        """Say it there."""
        if self.is_debug:
            self._door.say("debug", text)

    def warn(self, text: str) -> None:
        """Say it there."""
        self._door.say("warn", text)

    def transient(self, text: str) -> None:
        """Show it there, not too often."""
        if time.monotonic() - self._progressed > PROGRESS:
            self._progressed = time.monotonic()
            self._door.say("progress", text)

    @contextlib.contextmanager
    def step(self, name: str, detail: str = "", *, count: tuple[int, int] | None = None) -> Iterator[Step]:
        """Show the step there; the log is sent up to its end."""
        self._door.say("step", [name, *(count or (0, 0))])
        step = Step(self, step_label(name, count), detail)
        yield step
        self._door.tell_log()
        self._door.say("stepped", step.detail)


class _Attendant:
    """The outside's end: one method for each kind of line."""

    def __init__(
        self, peer: socket.socket, report: Report, log: Path, requests: Mapping[str, Request]
    ) -> None:
        self._peer = peer
        self._stream = peer.makefile("rb")
        self._report = report
        self._log = log
        self._room = LONGEST_LOG
        self._lines, self._characters = MOST_SHOWN, LONGEST_SHOWN
        self._requests = requests
        self._steps = contextlib.ExitStack()
        self._step: Step | None = None

    def run(self) -> Any:
        """Do what the lines say until there is an answer."""
        with self._stream, self._steps:
            while True:
                kind, value, content = self._read()
                if kind == "answer":
                    return value
                self._act(kind, value, content)

    def _read(self) -> tuple[str, Any, bytes]:
        raw = self._stream.readline(LONGEST_LINE)
        if not raw:
            raise EOFError
        try:
            line = json_text.parse(raw)
        except ValueError as error:
            raise WireError("the build sandbox sent something that is not JSON") from error
        if not isinstance(line, dict) or not isinstance(line.get("say"), str):
            raise WireError("the build sandbox sent a message of an unknown form")
        size = line.get("size", 0)
        if type(size) is not int or not 0 <= size <= LARGEST_CONTENT:
            raise WireError(f"the build sandbox sent more than {LARGEST_CONTENT >> 20} MiB at once")
        content = self._stream.read(size) if size else b""
        if len(content) < size:
            raise EOFError
        return line["say"], line.get("value"), content

    def _act(self, kind: str, value: Any, content: bytes) -> None:
        if kind == "failed":
            raise self._failure(unpack(value, _Failure))
        if kind == "ask":
            name, text = unpack(value, tuple[str, str])
            if name not in self._requests:
                raise WireError(f"the build sandbox asks for {name!r}, which does not exist")
            answer = self._requests[name](text, content)
            self._peer.sendall(b"%d\n" % len(answer) + answer)
        elif kind == "step":
            name, number, total = unpack(value, tuple[str, int, int])
            self._lines -= 1
            if self._lines < 0:
                raise WireError("the build sandbox begins steps without ending them")
            self._steps.close()
            count = (number, total) if total else None
            self._step = self._steps.enter_context(self._report.step(name, count=count))
        elif kind == "stepped" and self._step is not None:
            self._step.detail = unpack(value, str)
            self._steps.close()
        else:
            self._say(kind, unpack(value, str))

    def _say(self, kind: str, text: str) -> None:
        if kind == "log":
            self._write_log(text)
        elif kind == "progress":
            self._report.transient(text)
        elif kind in ("note", "verbose", "debug", "warn"):
            self._show(kind, text)
        else:
            raise WireError("the build sandbox sent a message of an unknown kind")

    def _show(self, kind: str, text: str) -> None:
        """Show a line, until there were more than anybody reads."""
        if self._lines <= 0:
            return
        self._lines -= 1
        self._characters -= len(text)
        if self._characters < 0:
            self._lines, kind, text = 0, "warn", "the build prints more than is shown"
        elif self._lines == 0:
            kind, text = "warn", "the build prints more than is shown"
        getattr(self._report, kind)(text)

    def _write_log(self, text: str) -> None:
        data = escape(text, lines=True).encode()
        if self._room > 0 and len(data) > self._room:
            data = data[: self._room] + b"\n(the log is full)\n"
        if self._room > 0:
            with self._log.open("ab") as file:
                file.write(data)
        self._room -= len(data)

    def _failure(self, failure: _Failure) -> BuildError:
        kind = _KINDS.get(failure.kind, BuildError)
        log = self._log if failure.log else None
        error: BuildError
        if failure.problems:
            error = InputError(failure.message, hint=failure.hint, log=log, problems=failure.problems)
        else:
            error = kind(failure.message, hint=failure.hint, log=log)
        if failure.story:
            error.add_note(failure.story)
        return error


def attend(peer: socket.socket, report: Report, log: Path, requests: Mapping[str, Request]) -> Any:
    """Do what the inside says through the socket `peer`; return its answer, plain data not yet checked.

    Args:
        log: the file that gets the inside's log; its folder is ours alone.
        requests: what the inside may ask for.

    Raises:
        EOFError: the inside ended without an answer.
        BuildError: the error that it gave, or WireError.
    """
    return _Attendant(peer, report, log, requests).run()
