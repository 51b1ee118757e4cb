# SPDX-License-Identifier: MIT
"""A browser without a window, which opens pages of a machine and takes pictures of them.

It is Chromium, spoken to over two pipes in the DevTools Protocol: messages of JSON, each ended by a zero
byte (https://chromedevtools.github.io/devtools-protocol/). It has the network of the machine, no file of it.
"""

from __future__ import annotations

import base64
import contextlib
import fcntl
import json
import os
import selectors
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from builder import tools
from builder.errors import BuildError
from builder.runner import Child, Runner

PROGRAMS = ("chromium-headless-shell", "chromium")
WIDTH, HEIGHT = 1280, 800
SECONDS = 300.0
# No proxy of ours: the pages are in a network that nobody else has.
OPTIONS = (
    "--headless", "--remote-debugging-pipe", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
    "--no-proxy-server", "--no-first-run", "--hide-scrollbars", "--disable-background-networking",
    f"--window-size={WIDTH},{HEIGHT}",
)  # fmt: skip


def find_browser() -> str | None:
    """Return the name of the browser that is installed, if any is."""
    return next((name for name in PROGRAMS if tools.has(name)), None)


class Page:
    """The page that a browser shows."""

    def __init__(self, commands: int, answers: int) -> None:
        self._commands = commands
        self._answers = answers
        self._said = b""
        self._number = 0
        self._session = ""
        target = self._ask("Target.createTarget", url="about:blank")["targetId"]
        self._session = self._ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]

    def open(self, url: str) -> None:
        """Go to a URL.

        Raises:
            BuildError: nothing answers there.
        """
        answer = self._ask("Page.navigate", url=url)
        if answer.get("errorText"):
            raise BuildError(f"browser: {url}: {answer['errorText']}")

    def evaluate(self, expression: str) -> Any:
        """Return what an expression of JavaScript is in the page; an exception in it is None."""
        answer = self._ask("Runtime.evaluate", expression=expression, returnByValue=True)
        return None if "exceptionDetails" in answer else answer["result"].get("value")

    def wait_for(self, what: str, expression: str, seconds: float = SECONDS) -> None:
        """Wait until an expression is true in the page.

        Raises:
            BuildError: it does not become true; `what` names it, with the text of the page.
        """
        deadline = time.monotonic() + seconds
        while not self.evaluate(expression):
            if time.monotonic() > deadline:
                text = " ".join(str(self.evaluate("document.body.innerText") or "").split())[:300]
                raise BuildError(f"browser: no {what} within {seconds:.0f} s: {text or 'an empty page'}")
            time.sleep(0.2)

    def take_picture(self, path: Path) -> None:
        """Write what is to be seen as a PNG file."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(base64.b64decode(self._ask("Page.captureScreenshot", format="png")["data"]))

    def _ask(self, method: str, **parameters: object) -> dict[str, Any]:
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        data = json.dumps(message).encode() + b"\0"
        while data:
            data = data[os.write(self._commands, data) :]
        for answer in self._read():
            # What has another number, or none, is an event that nobody waits for.
            if answer.get("id") == self._number:
                if "error" in answer:
                    raise BuildError(f"browser: {method}: {answer['error'].get('message')}")
                return dict(answer["result"])
        raise BuildError(f"browser: it ended before it answered to {method}")

    def _read(self) -> Iterator[dict[str, Any]]:
        with selectors.DefaultSelector() as selector:
            selector.register(self._answers, selectors.EVENT_READ)
            while True:
                message, separator, rest = self._said.partition(b"\0")
                if separator:
                    self._said = rest
                    yield json.loads(message)
                    continue
                if not selector.select(SECONDS):
                    raise BuildError(f"browser: no answer within {SECONDS:.0f} s")
                data = os.read(self._answers, 1 << 16)
                if not data:
                    return
                self._said += data


def _above(descriptor: int) -> int:
    """Return a copy of a descriptor that is not one of the first ten, which the shell can name; close it."""
    try:
        return fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, 10)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def browser(runner: Runner, network: Path) -> Iterator[Page]:
    """Start a browser in a network name space (/proc/PID/ns/net), and end it with all that it has started.

    Raises:
        BuildError: it is not installed, or does not start.
    """
    program = find_browser()
    if program is None:
        raise BuildError(f"{PROGRAMS[0]} is not installed")
    with tempfile.TemporaryDirectory(prefix="browser-") as folder, contextlib.ExitStack() as stack:
        reads, commands = os.pipe()
        answers, writes = os.pipe()
        for ours in (commands, answers):
            stack.callback(os.close, ours)
        # It reads commands as descriptor 3 and answers on 4: what it is given is not one of these.
        inside, reads, writes = map(_above, (os.open(network, os.O_RDONLY), reads, writes))
        script = f'exec nsenter --net=/proc/self/fd/{inside} "$@" 3<&{reads} 4>&{writes}'
        try:
            process = runner.spawn(
                ["bash", "-c", script, "bash", program, *OPTIONS, f"--user-data-dir={folder}"],
                log=Path(folder) / "log", env={"HOME": folder},
                child=Child(pass_fds=(inside, reads, writes), apart=True),
            )  # fmt: skip
        finally:
            for its in (inside, reads, writes):
                os.close(its)
        stack.callback(process.wait)
        stack.callback(process.kill)
        yield Page(commands, answers)
