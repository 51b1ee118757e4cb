# SPDX-License-Identifier: MIT
"""The steps of a talk: each is run, timed, shown as a command, and kept for the page."""

from __future__ import annotations

import contextlib
import os
import shlex
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence

from builder.errors import BuildError
from tests.rig.machine.machine import Machine
from tests.rig.talk.page import Done
from tests.rig.talk.rpms import BUILDER, CHECKOUT


class StepFailed(Exception):
    """A step failed; it is the last of its kind on the page."""


class Talk:
    """The steps so far, in the order in which they ended; some are done beside others, by another thread."""

    def __init__(self) -> None:
        self.steps: list[Done] = []
        self.memory = ""
        self._begun = time.monotonic()
        self._recording = threading.Lock()

    @property
    def seconds(self) -> float:
        """How long the talk has taken."""
        return time.monotonic() - self._begun

    def on_host(self, title: str, *words: str, env: dict[str, str] | None = None) -> str:
        """Run a command on this machine as a step; return what it printed on stdout."""
        return self._run(title, words, words, env)

    def inside(self, machine: Machine, title: str, *words: str, shown: Sequence[str] = ()) -> str:
        """Run a command in the machine as a step; return what it printed on stdout."""
        return self._run(title, [*machine.enter(), *words], shown or words, None)

    @contextlib.contextmanager
    def timed(self, title: str, command: str, picture: str = "") -> Iterator[None]:
        """Make what is done meanwhile a step; `picture` is the file that it leaves next to the page."""
        begun = self.seconds
        try:
            yield
        except BuildError as error:
            self._record(title, command, "\n".join(error.lines()), begun, failed=True)
            raise
        self._record(title, command, "", begun, picture=picture)

    def _run(self, title: str, words: Sequence[str], shown: Sequence[str], env: dict[str, str] | None) -> str:
        command = (
            shlex.join(shown)
            .replace(shlex.join(BUILDER), "openstack-builder")
            .replace(sys.executable, "python")
        )
        begun = self.seconds
        done = subprocess.run(
            words, cwd=CHECKOUT, check=False, text=True, errors="replace", stdin=subprocess.DEVNULL,
            capture_output=True, env={**os.environ, **(env or {})},
        )  # fmt: skip
        said = done.stdout + done.stderr
        self._record(title, command, said, begun, failed=done.returncode != 0)
        if done.returncode:
            print(said, flush=True)
            raise StepFailed(f"{title}: exit code {done.returncode}")
        return done.stdout

    def _record(
        self, title: str, command: str, output: str, begun: float, *, failed: bool = False, picture: str = ""
    ) -> None:
        step = Done(
            title=title, command=command, output=output, begun=begun, seconds=self.seconds - begun,
            failed=failed, picture=picture,
        )  # fmt: skip
        with self._recording:
            self.steps.append(step)
            print(f"\n{step.begun:6.1f} s  {title}: {step.seconds:.1f} s\n$ {command}", flush=True)
