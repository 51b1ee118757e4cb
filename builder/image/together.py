# SPDX-License-Identifier: MIT
"""Several builds side by side, each in a process of its own that talks to us through a door.

They are forked before there is a thread, with all that was read and imported by then. What they share goes
through the cache, in the order that `builder.image.turns` gives.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import sys
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from builder import json_text
from builder.errors import BuildError
from builder.image.isolation.door import Door, Request, attend
from builder.image.isolation.wire import unpack
from builder.image.turns import Schedule, Turn
from builder.lifetime import die_with_parent
from builder.report import Report

_INTERRUPTS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass(frozen=True, kw_only=True, slots=True)
class Task:
    """A build: its name, where its log will be, what shows its progress, and what does it.

    `run` gets a report and its turn; what it returns is JSON's types.
    """

    name: str
    log: Path
    report: Report
    run: Callable[[Report, Turn], Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class _Child:
    pid: int
    process: int  # pidfd_open(2): no other process gets its number meanwhile
    peer: socket.socket


def run_together(
    tasks: Sequence[Task], *, jobs: int, memory: int
) -> Generator[tuple[int, Any | BuildError], None, None]:
    """Run all; yield the number of each as it ends, with what it returned or the error that ended it.

    None keeps the others from going on. When this one is interrupted, they are, and clean up.

    Args:
        jobs: at most so many install at a time.
        memory: bytes that their trees may take together.
    """
    schedule = Schedule(len(tasks), jobs=jobs, memory=memory)
    children: list[_Child] = []
    try:
        for task in tasks:
            children.append(_start(task, children))
        with ThreadPoolExecutor(len(tasks)) as pool:
            running = {
                pool.submit(_attend, task, child, schedule, number): number
                for number, (task, child) in enumerate(zip(tasks, children, strict=True))
            }
            try:
                for ended in as_completed(running):
                    yield running[ended], ended.result()
            except BaseException:
                schedule.cancel()
                _interrupt(children)
                raise
    finally:
        _interrupt(children)
        for child in children:
            child.peer.close()
            with contextlib.suppress(ChildProcessError):
                os.waitpid(child.pid, 0)
            os.close(child.process)


def _interrupt(children: Sequence[_Child]) -> None:
    for child in children:
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(child.process, signal.SIGTERM)


def _start(task: Task, others: Sequence[_Child]) -> _Child:
    """Fork the process of a build."""
    ours, theirs = socket.socketpair()
    sys.stdout.flush()
    sys.stderr.flush()
    # What interrupts us is held back until the child knows that it is one.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _INTERRUPTS)
    try:
        parent = os.getpid()
        pid = os.fork()
        if pid == 0:
            for peer in (ours, *(one.peer for one in others)):
                peer.close()
            _be_child(task, theirs.detach(), parent, before)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    theirs.close()
    return _Child(pid=pid, process=os.pidfd_open(pid), peer=ours)


def _be_child(task: Task, peer: int, parent: int, mask: Iterable[int]) -> None:
    """Be the process of a build. Never returns."""
    try:
        # It has no log of its own to send: the build's is its file.
        door = Door(peer, task.report, Path(os.devnull))
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        die_with_parent(parent)
        _answer(door, task)
    finally:
        os._exit(0)


def _answer(door: Door, task: Task) -> None:
    try:
        door.ask("begin", "")
        door.answer(task.run(door.report, _AskedTurn(door)))
    except OSError as error:
        where = f"{os.fsdecode(error.filename)}: " if error.filename else ""
        door.fail(BuildError(f"{where}{(error.strerror or str(error)).lower()}"))
    except Exception as error:
        door.fail(error)


class _AskedTurn:
    """The turn of a build side by side with others: the one that started them knows."""

    def __init__(self, door: Door) -> None:
        self._door = door

    def is_promised(self, tree: str, /) -> bool:
        return bool(self._door.ask("promised", tree))

    def install(self, tree: str | None, size: int, /) -> int | None:
        return int(self._door.ask("install", json.dumps([tree or "", size])))

    def share(self) -> None:
        self._door.ask("share", "")


def _attend(task: Task, child: _Child, schedule: Schedule, number: int) -> Any | BuildError:
    """Do what the build says until its end; return its answer or its error."""

    def begin(_: str, __: bytes) -> bytes:
        schedule.begin(number)
        return b""

    def promised(tree: str, _: bytes) -> bytes:
        return b"yes" if schedule.is_promised(number, tree) else b""

    def install(text: str, _: bytes) -> bytes:
        tree, size = unpack(json_text.parse(text), tuple[str, int])
        return b"%d" % schedule.install(number, tree or None, size)

    def share(_: str, __: bytes) -> bytes:
        schedule.share(number)
        return b""

    requests: dict[str, Request] = {"begin": begin, "promised": promised, "install": install, "share": share}
    try:
        return attend(child.peer, task.report, task.log, requests)
    except EOFError:
        return BuildError(
            "the build was killed", hint="the kernel may have been out of memory: see dmesg, and --jobs"
        )
    except BuildError as error:
        return error
    finally:
        schedule.end(number)
