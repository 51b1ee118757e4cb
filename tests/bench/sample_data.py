# SPDX-License-Identifier: MIT
"""openstack-keystone-sample-data beside the same objects made with the openstack client, one command each.

`python -m tests.bench.sample_data [--json FILE] [--runs N]`. A live Keystone (one worker) on MariaDB, with
Keystone's default of 12 hash rounds, and with 4. Wall seconds are medians. Of the client's commands ten are
run and scaled to the number of objects. Exit 1 where a goal is missed; the load tells how far to trust that.
The CPU seconds are those of command, Keystone and MariaDB together: what a first run would take at most on
an idle machine, where nothing is waited for.
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
from pathlib import Path

from tests.bench import machine
from tests.integration.filling import FRESH_PASSWORD, Keystone, Person, private_keystone

PROFILES = ("current", "essex")
ROUNDS = (12, 4)
# The goals, on an idle machine of two cores, with the default rounds.
FIRST, SECOND, TIMES = 6.0, 3.0, 20.0
# Ten commands that make objects of the kinds that a run makes; all can be run on a fresh Keystone.
COMMANDS = [
    "project create bench-project",
    "user create --password pw bench-user",
    "user create --password pw bench-other",
    "role create bench-role",
    "role add --user bench-user --project admin member",
    "role add --user bench-other --project admin member",
    "service create --name bench-a bench-type",
    "endpoint create --region RegionOne bench-type public http://127.0.0.1:1",
    "endpoint create --region RegionOne bench-type internal http://127.0.0.1:1",
    "endpoint create --region RegionOne bench-type admin http://127.0.0.1:1",
]


def cpu(keystone: Keystone) -> float:
    """Return the CPU seconds that our ended children and the servers have taken so far."""
    ticks = 0
    pids = [server.process.pid for server in keystone.plane.servers]
    workers = [int(each) for pid in pids for each in children(pid)]
    for pid in [*pids, *workers]:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    ours = resource.getrusage(resource.RUSAGE_CHILDREN)
    return ticks / os.sysconf("SC_CLK_TCK") + ours.ru_utime + ours.ru_stime


def children(pid: int) -> list[str]:
    """Return the pids of the children of a process (proc(5))."""
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()


def measure(keystone: Keystone, profile: str, runs: int) -> dict[str, float]:
    """Return the medians of first and second runs, the first's CPU seconds, and how many objects it made."""
    firsts, seconds, work, made = [], [], [], 0
    for _ in range(runs):
        keystone.reset("fresh")
        with tempfile.TemporaryDirectory() as folder:
            person = Person(keystone, Path(folder))
            before = cpu(keystone)
            first = person.fill("--profile", profile, "--json")
            work.append(cpu(keystone) - before)
            second = person.fill("--profile", profile, "--json")
        if first.code or second.code or second.json["summary"]["created"]:
            raise SystemExit(f"error: {profile}: {first.err}{second.err}")
        made = first.json["summary"]["created"]
        firsts.append(first.seconds)
        seconds.append(second.seconds)
    medians = [statistics.median(each) for each in (firsts, seconds, work)]
    return dict(zip(("first", "second", "cpu"), medians, strict=True)) | {"made": made}


def measure_client(keystone: Keystone) -> float | None:
    """Return the mean seconds of one command of the openstack client, or None where there is none."""
    program = Path(sys.executable).with_name("openstack")
    if not program.exists():
        return None
    keystone.reset("fresh")
    with tempfile.TemporaryDirectory() as folder:
        env = Person(keystone, Path(folder)).environment(
            OS_AUTH_URL=keystone.url,
            OS_USERNAME="admin",
            OS_PASSWORD=FRESH_PASSWORD,
            OS_PROJECT_NAME="admin",
            OS_USER_DOMAIN_ID="default",
            OS_PROJECT_DOMAIN_ID="default",
            OS_IDENTITY_API_VERSION="3",
        )
        started = time.perf_counter()
        for words in COMMANDS:
            done = subprocess.run(
                [str(program), *words.split()],
                env=env,
                cwd=folder,
                capture_output=True,
                text=True,
                check=False,
            )
            if done.returncode:
                raise SystemExit(f"error: openstack {words}: {done.stderr.strip()}")
    return (time.perf_counter() - started) / len(COMMANDS)


def show(rounds: int, found: dict[str, dict[str, float]], command: float | None) -> None:
    """Print the rows of one number of hash rounds."""
    for profile, numbers in found.items():
        beside = times = "-"
        if command is not None:
            scaled = command * numbers["made"]
            beside, times = f"{scaled:7.1f} s", f"{scaled / numbers['first']:5.0f} x"
        cells = [f"{numbers['made']:.0f}", *(f"{numbers[name]:.2f} s" for name in ("first", "cpu", "second"))]
        widths = zip((6, 9, 7, 10, 16, 7), [*cells, beside, times], strict=True)
        print(f"{profile:8} {rounds:6} " + "  ".join(f"{text.strip():>{width}}" for width, text in widths))


def missed(found: dict[str, dict[str, float]], command: float | None) -> list[str]:
    """Return the goals that were missed with the default rounds."""
    problems = []
    for profile, numbers in found.items():
        if numbers["first"] > FIRST:
            problems.append(f"{profile}: the first run took {numbers['first']:.1f} s, not {FIRST:.0f} s")
        if numbers["second"] > SECOND:
            problems.append(f"{profile}: the second run took {numbers['second']:.1f} s, not {SECOND:.0f} s")
        if command is not None and command * numbers["made"] < TIMES * numbers["first"]:
            problems.append(f"{profile}: less than {TIMES:.0f} times as fast as the commands")
    return problems


def main() -> int:
    """Measure, print, and write the JSON."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.sample_data", description=__doc__)
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--runs", type=int, default=3, metavar="N")
    args = parser.parse_args()
    if shutil.which("mariadbd") is None:
        raise SystemExit("error: mariadbd is not installed\nhint: make setup-plane")
    before, results, command = machine.load(), {}, None
    print(f"load {before['1']}, {before['5']}, {before['15']}; Keystone 30 with one worker on MariaDB")
    print("profile  rounds   made  first run  its CPU  second run  one command each   faster")
    for rounds in ROUNDS:
        with private_keystone({"identity": {"password_hash_rounds": rounds}}) as keystone:
            if rounds == ROUNDS[0]:
                command = measure_client(keystone)
            results[rounds] = {profile: measure(keystone, profile, args.runs) for profile in PROFILES}
        show(rounds, results[rounds], command)
    if command is None:
        print("openstack is not installed (extra bench): nothing to compare with")
    else:
        print(f"one openstack command: {command:.2f} s, the mean of {len(COMMANDS)}, times the objects made")
    after, problems = machine.load(), missed(results[ROUNDS[0]], command)
    print(f"load {after['1']}, {after['5']}, {after['15']}")
    for problem in problems:
        print(f"missed: {problem}")
    if args.json:
        numbers = {"load": [before, after], "command": command, "rounds": results, "missed": problems}
        args.json.write_text(json.dumps(numbers, indent=2) + "\n")
    return int(bool(problems))


if __name__ == "__main__":
    sys.exit(main())
