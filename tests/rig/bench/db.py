# SPDX-License-Identifier: MIT
"""openstack-db: what it takes on top of the services' own commands, and what doing them at once saves.

`python -m tests.rig.bench.db [--json FILE] [--runs N]`. The real Keystone, Glance and Placement on MariaDB, a
fresh database for every run; wall seconds are medians. The services' commands are timed where they are
called, by a wrapper of theirs, so that the rest is ours. Exit 1 where a goal is missed; the load shows how
far to trust that, and the CPU seconds of our own what an idle machine would take at least.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from builder.report import Report
from tests.rig.bench import machine
from tests.rig.plane import environment
from tests.rig.plane.mariadb import RootLogin
from tests.rig.plane.plane import Options, Until, private
from tests.support.databases import GLANCE, KEYSTONE, PLACEMENT, RUNNER, Host

SERVICES = ("keystone", "glance", "placement")
TEXTS = {"keystone": KEYSTONE, "glance": GLANCE, "placement": PLACEMENT}
# The goals, on an idle machine of two cores: seconds of our own.
OWN, CHECK = 0.5, 1.0
WRAPPER = """#!/bin/sh
started=$(date +%s.%N)
REAL "$@"
status=$?
echo "$(date +%s.%N) - $started" >>LOG
times >>LOG.cpu
exit $status
"""


class Bench:
    """A host with the three services, and the seconds that their commands took."""

    def __init__(self, host: Host, folder: Path, venvs: list[environment.Environment]) -> None:
        self.host = host
        self.log = folder / "seconds"
        self.cpu_log = folder / "seconds.cpu"
        self.wrapped = folder / "wrapped"
        self.wrapped.mkdir()
        self.import_seconds = statistics.median(seconds_of(import_keystone(venvs[0])) for _ in range(3))
        self.plain = tuple(venv.folder / "bin" for venv in venvs)
        for name in SERVICES:
            real = shutil.which(f"{name}-manage", path=":".join(map(str, self.plain)))
            path = self.wrapped / f"{name}-manage"
            path.write_text(WRAPPER.replace("REAL", str(real)).replace("LOG", str(self.log)))
            path.chmod(0o755)

    def reset(self) -> None:
        """Be a host on which nothing was done."""
        self.host.clean()
        for name, text in TEXTS.items():
            self.host.write(name, text)
        self.log.write_text("")
        self.cpu_log.write_text("")

    def run(self, *words: str) -> float:
        """Run openstack-db; return the seconds that it took."""
        done = self.host.run(*words)
        if done.code:
            raise SystemExit(f"error: openstack-db {' '.join(words)}: {done.err}")
        return done.seconds

    def theirs(self) -> float:
        """Return the seconds that the wrapped commands took."""
        lines = [line.split(" - ") for line in self.log.read_text().splitlines()]
        return sum(float(end) - float(start) for end, start in lines)

    def their_cpu(self) -> float:
        """Return the CPU seconds that the wrapped commands took."""
        # Two lines a call: the shell's own seconds, and its children's.
        words = " ".join(self.cpu_log.read_text().splitlines()[1::2]).split()
        return sum(60 * float(word.split("m")[0]) + float(word.split("m")[1].rstrip("s")) for word in words)

    def init_keystone(self) -> dict[str, float]:
        """Measure --init, a second one, and --check."""
        self.reset()
        self.host.programs = (self.wrapped, *self.plain)
        before = cpu()
        total = self.run("--init", "--service", "keystone")
        own_cpu = cpu() - before - self.their_cpu()
        own = total - self.theirs()
        self.host.programs = self.plain
        again = self.run("--init", "--service", "keystone")
        check = self.run("--check", "--service", "keystone")
        beyond = check - self.import_seconds
        init = {"init": total, "own": own, "own_cpu": own_cpu}
        return {**init, "again": again, "check": check, "beyond": beyond}

    def three(self) -> dict[str, float]:
        """Measure --init of three services, one after the other and at once."""
        self.host.programs = self.plain
        self.reset()
        apart = sum(self.run("--init", "--service", name) for name in SERVICES)
        self.reset()
        words = [word for name in SERVICES for word in ("--service", name)]
        return {"apart": apart, "at_once": self.run("--init", *words)}


def cpu() -> float:
    """Return the CPU seconds of all our ended children."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def import_keystone(venv: environment.Environment) -> Callable[[], object]:
    """Return what imports the code of keystone-manage, and ends."""
    argv = [os.fspath(venv.python), "-c", "import keystone.cmd.manage, keystone.cmd.cli"]
    return lambda: subprocess.run(argv, check=True, stderr=subprocess.DEVNULL)


def seconds_of(work: Callable[[], object]) -> float:
    """Return the wall seconds of a call."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def medians(runs: list[dict[str, float]]) -> dict[str, float]:
    """Return the median of each number."""
    return {name: round(statistics.median(run[name] for run in runs), 3) for name in runs[0]}


def measure(runs: int) -> dict[str, dict[str, float]]:
    """Return the medians of all measures."""
    report = Report(quiet=True)
    venvs = [environment.prepare(report, RUNNER), environment.prepare(report, RUNNER, environment.SERVICES)]
    with (
        tempfile.TemporaryDirectory() as name,
        private(Options(until=Until.MARIADB, root=RootLogin.PASSWORD)) as plane,
    ):
        folder, server = Path(name), plane.mariadb
        secret = folder / "root.pw"
        secret.write_text(str(server.root_password))
        root = ("--host", "127.0.0.1", "--port", str(server.port), "--rootpw-file", str(secret))
        bench = Bench(Host(folder=folder / "host", server=server, programs=(), root=root), folder, venvs)
        # Compiles what no run before this one has compiled.
        bench.three()
        keystone = medians([bench.init_keystone() for _ in range(runs)])
        three = medians([bench.three() for _ in range(runs)])
    return {"keystone": keystone | {"import": round(bench.import_seconds, 3)}, "three": three}


def main() -> int:
    """Measure, print, and write the JSON."""
    parser = argparse.ArgumentParser(prog="python -m tests.rig.bench.db", description=__doc__)
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--runs", type=int, default=3, metavar="N")
    args = parser.parse_args()
    before = machine.load()
    found = measure(args.runs)
    keystone, three = found["keystone"], found["three"]
    after = machine.load()
    print(f"load {before['1']} before, {after['1']} after; medians of {args.runs}")
    own = f"{keystone['own']:.2f} s of it our own ({keystone['own_cpu']:.2f} s of CPU)"
    print(f"keystone --init                {keystone['init']:6.2f} s, {own}")
    print(f"keystone --init again          {keystone['again']:6.2f} s")
    check = f"{keystone['beyond']:.2f} s beyond the import of keystone's code"
    print(f"keystone --check               {keystone['check']:6.2f} s, {check}")
    print(f"three, one after the other     {three['apart']:6.2f} s")
    print(f"three, at once                 {three['at_once']:6.2f} s")
    problems = []
    if keystone["own"] > OWN:
        problems.append(f"--init takes {keystone['own']:.2f} s of our own, not {OWN} s")
    if keystone["beyond"] > CHECK:
        problems.append(f"--check takes {keystone['beyond']:.2f} s beyond the import, not {CHECK} s")
    for problem in problems:
        print(f"missed: {problem}")
    if args.json:
        numbers = {"load": [before, after], "missed": problems, **found}
        args.json.write_text(json.dumps(numbers, indent=2) + "\n")
    return int(bool(problems))


if __name__ == "__main__":
    sys.exit(main())
