# SPDX-License-Identifier: MIT
"""openstack-status: what a service that hangs costs, compared with a host on which all answer.

`python -m tests.rig.bench.status [--json FILE] [--runs N]`. Doubles of the APIs of Keystone, Glance, Nova,
Neutron, Cinder and Placement answer on loopback; then one of them, then all of them, take connections and
never answer. Wall and CPU seconds of the whole command are medians. Exit 1 where the goal is missed.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import socket
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
LAUNCHER = ROOT / "utils" / "bin" / "openstack-status"
# Project -> the file that says where its API listens, and the line that does.
PROJECTS = {
    "keystone": ("openstack-keystone-uwsgi.ini", "[uwsgi]\nhttp-socket = :{port}\n"),
    "glance": ("openstack-glance-api-uwsgi.ini", "[uwsgi]\nhttp-socket = :{port}\n"),
    "nova": ("openstack-nova-api-uwsgi.ini", "[uwsgi]\nhttp-socket = :{port}\n"),
    "neutron": ("neutron-server-uwsgi.ini", "[uwsgi]\nhttp-socket = :{port}\n"),
    "cinder": ("cinder.conf", "[DEFAULT]\nosapi_volume_listen_port = {port}\n"),
    "placement": ("openstack-placement-api-uwsgi.ini", "[uwsgi]\nhttp-socket = :{port}\n"),
}
# Files by which a project is seen to be there.
MAIN = ("keystone/keystone.conf", "glance/glance-api.conf", "nova/nova.conf", "neutron/neutron.conf",
        "placement/placement.conf")  # fmt: skip
TIMEOUT = 5.0
# Seconds that the command may take beyond its time limit.
BEYOND = 0.5


class Double(BaseHTTPRequestHandler):
    """A double of an API that answers at once."""

    def do_GET(self) -> None:
        """Answer with a version document."""
        body = b'{"versions": [{"id": "v3.14", "status": "CURRENT"}]}'
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@contextlib.contextmanager
def answering() -> Iterator[int]:
    """Yield the port of an API that answers."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Double) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()


@contextlib.contextmanager
def hanging() -> Iterator[int]:
    """Yield a port that the kernel takes connections for, and nobody reads."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as server:
        yield server.getsockname()[1]


@contextlib.contextmanager
def host(hung: int) -> Iterator[Path]:
    """Yield a folder in place of /etc, with all projects, of which the first `hung` hang."""
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        etc = Path(name)
        for number, (project, (file, text)) in enumerate(PROJECTS.items()):
            port = stack.enter_context(hanging() if number < hung else answering())
            (etc / project).mkdir()
            (etc / project / file).write_text(text.format(port=port))
        for file in MAIN:
            (etc / file).touch()
        yield etc


def run(etc: Path) -> tuple[float, float]:
    """Run the command; return its wall and CPU seconds."""
    argv = [sys.executable, "-I", str(LAUNCHER), "--config-dir", str(etc), "--no-api", "--json"]
    started = time.perf_counter()
    child = os.posix_spawn(
        argv[0], argv, os.environ, file_actions=[(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)]
    )
    _, status, usage = os.wait4(child, 0)
    if os.waitstatus_to_exitcode(status) not in (0, 1):
        raise SystemExit(f"error: openstack-status ended with {os.waitstatus_to_exitcode(status)}")
    return time.perf_counter() - started, usage.ru_utime + usage.ru_stime


def measure(runs: int) -> dict[str, dict[str, float]]:
    """Return {case: wall and CPU seconds}."""
    found = {}
    for case, hung in (("all answer", 0), ("one hangs", 1), ("all hang", len(PROJECTS))):
        with host(hung) as etc:
            measures = [run(etc) for _ in range(runs)]
        found[case] = {
            "wall": statistics.median(wall for wall, _ in measures),
            "cpu": statistics.median(cpu for _, cpu in measures),
        }
    return found


def main() -> int:
    """Measure, print, write; return 1 where the goal is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the measures there")
    parser.add_argument("--runs", type=int, default=3, metavar="N", help="runs of each case (3)")
    args = parser.parse_args()
    found = measure(args.runs)
    print(f"{'':14}{'wall s':>10}{'CPU s':>10}")
    for case, seconds in found.items():
        print(f"{case:14}{seconds['wall']:10.3f}{seconds['cpu']:10.3f}")
    goals = {}
    for case in ("one hangs", "all hang"):
        beyond = found[case]["wall"] - TIMEOUT
        goals[case] = beyond <= BEYOND
        verdict = "reached" if goals[case] else "MISSED"
        print(f"{case}: at most its time limit of {TIMEOUT:g} s + {BEYOND:g} s: {verdict} ({beyond:+.3f} s)")
    if args.json:
        args.json.write_text(json.dumps({"measures": found, "goals": goals}, indent=2) + "\n")
    return int(not all(goals.values()))


if __name__ == "__main__":
    sys.exit(main())
