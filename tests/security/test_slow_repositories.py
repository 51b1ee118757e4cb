# SPDX-License-Identifier: MIT
"""Servers that send what a solver asks for in drops: it hangs up on them."""

from __future__ import annotations

import contextlib
import json
import subprocess
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from builder.errors import ToolMissing
from builder.image.packages.dnf import SOLVERS, WORKER, find_solver


class _Drops(BaseHTTPRequestHandler):
    """Begins an answer, and never ends it."""

    text = b""

    def do_GET(self) -> None:
        with contextlib.suppress(OSError):
            self.wfile.write(self.text)
            while True:
                self.wfile.write(b"1")
                time.sleep(0.05)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextlib.contextmanager
def dripping(text: bytes) -> Iterator[str]:
    """Serve drops; yield the address."""
    handler = type("_Handler", (_Drops,), {"text": text})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


def request(folder: Path, address: str) -> dict[str, Any]:
    """Return what the worker is asked: patience of a second."""
    repository = {
        "name": "slow", "baseurl": [address], "mirrorlist": None, "metalink": None, "cost": None,
        "proxy": None, "includes": [], "excludes": [], "verify_tls": True, "groups": True,
    }  # fmt: skip
    return {
        "root": str(folder / "root"), "cache": str(folder / "cache"), "logs": str(folder), "until": "solve",
        "offline": False, "releasever": "12", "architecture": "x86_64", "module_platform_id": "platform:fx12",
        "macros": {}, "docs": True, "weak": True, "ignore_missing": False, "core": False, "names": ["bash"],
        "groups": [], "optional_groups": [], "mandatory_groups": [], "environment": None, "excluded": [],
        "excluded_groups": [], "repositories": [repository], "patience": 1, "slowest": 1000,
    }  # fmt: skip


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize(
    "text",
    [b"HTTP/1.1 200 OK\r\nA: ", b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n"],
    ids=["headers", "a body"],
)
def test_a_solver_hangs_up_on_a_server_that_sends_drops(tmp_path: Path, solver: str, text: bytes) -> None:
    try:
        found = find_solver(solver)
    except ToolMissing:
        pytest.skip(f"{solver} is not on this host")
    for name in ("root", "cache"):
        (tmp_path / name).mkdir()

    with dripping(text) as address:
        begun = time.monotonic()
        done = subprocess.run(
            [found.python, WORKER / found.program], input=json.dumps(request(tmp_path, address)),
            capture_output=True, text=True, timeout=300, check=False,
        )  # fmt: skip
        lasted = time.monotonic() - begun

    assert '"kind": "repo"' in done.stdout, done.stdout + done.stderr
    # dnf asks ten times, a second each.
    assert lasted < 120
