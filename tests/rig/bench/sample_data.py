# SPDX-License-Identifier: MIT
"""openstack-keystone-sample-data compared with the openstack client, one command for each object.

`python -m tests.rig.bench.sample_data [--json FILE] [--runs N]`. A live Keystone (one worker) on MariaDB,
which both get into in one of WAYS: by password, as Keystone is by default (12 hash rounds, nothing
cached), with 4 rounds, and with the cache that clouds in use have; and by SERVICE_TOKEN. Ten commands are
run, and each kind's mean is taken as often as a first run makes an object of that kind: one command for each
object, none for what is looked up. Commands and runs take turns; all numbers are medians. Exit 1 where a
goal is missed; the load shows how far to trust that.

The floor is next to it: one login and one bare request for each object, which nobody who logs in can do
without. `in turn` is what they take one after another, `CPU` what Keystone and MariaDB compute for them. On
two processors that are busy all the time nothing is faster than half of it.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from tests.rig.bench import machine
from tests.rig.bench.one_by_one import (
    COMMANDS,
    LOGIN,
    REQUESTS,
    Cost,
    measure_commands,
    measure_requests,
    scale,
)
from tests.support.filling import ADMIN_TOKEN, FRESH_PASSWORD, Keystone, Person, private_keystone

PROFILES = ("current", "essex")
# The goals, on an idle machine of two cores, with the default rounds.
FIRST, SECOND, TIMES = 6.0, 3.0, 20.0
HEADS = ("login", "profile", "made", "first run", "second run", "commands", "faster", "in turn", "CPU")


@dataclass(frozen=True, kw_only=True, slots=True)
class Way:
    """How the runs and the commands get into Keystone, and what is set there on top of its defaults."""

    name: str
    settings: Mapping[str, Mapping[str, object]]
    by_token: bool = False
    counts: bool = True


# Keystone's own default, which the tests change.
DEFAULT_ROUNDS = {"identity": {"password_hash_rounds": 12}}
WAYS = (
    Way(name="password", settings=DEFAULT_ROUNDS),
    Way(name="4 rounds", settings={"identity": {"password_hash_rounds": 4}}, counts=False),
    # With one worker the same as the memcached that several share.
    Way(name="cached", settings=DEFAULT_ROUNDS | {"cache": {"backend": "dogpile.cache.memory"}}),
    Way(name="SERVICE_TOKEN", settings=DEFAULT_ROUNDS, by_token=True),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Measured:
    """Seconds of a first and a second run, what the first one made, and what that costs one by one."""

    way: Way
    profile: str
    made: Mapping[str, int]
    first: float
    second: float
    commands: float | None
    in_turn: float | None
    cpu: float | None

    @property
    def faster(self) -> float | None:
        """How many times as fast as the commands the first run is."""
        return None if self.commands is None else self.commands / self.first

    @property
    def bound(self) -> float | None:
        """How many times as fast anything could be with all processors busy for the floor alone."""
        if self.commands is None or self.cpu is None:
            return None
        return self.commands / (self.cpu / len(os.sched_getaffinity(0)))

    def row(self) -> tuple[str, ...]:
        """The cells of the table."""
        cells = (
            (self.first, ".2f", "s"), (self.second, ".2f", "s"), (self.commands, ".1f", "s"),
            (self.faster, ".1f", "x"), (self.in_turn, ".2f", "s"), (self.cpu, ".2f", "s"),
        )  # fmt: skip
        numbers = ("-" if value is None else f"{value:{form}} {unit}" for value, form, unit in cells)
        return self.way.name, self.profile, str(sum(self.made.values())), *numbers

    def missed(self) -> list[str]:
        """Return the goals that were missed."""
        problems = []
        name = f"{self.way.name}, {self.profile}"
        if self.first > FIRST:
            problems.append(f"{name}: the first run took {self.first:.1f} s, not {FIRST:.0f} s")
        if self.second > SECOND:
            problems.append(f"{name}: the second run took {self.second:.1f} s, not {SECOND:.0f} s")
        if self.faster is not None and self.faster < TIMES:
            problem = f"{name}: {self.faster:.0f} times as fast as the commands, not {TIMES:.0f}"
            if self.bound is not None:
                problem += f"; what Keystone computes for the floor allows at most {self.bound:.0f}"
            problems.append(problem)
        return problems


def take(keystone: Keystone, way: Way) -> list[Measured]:
    """Measure everything once."""
    commands = measure_commands(keystone, by_token=way.by_token)
    requests = None if way.by_token else measure_requests(keystone)
    return [measure(keystone, profile, way, commands, requests) for profile in PROFILES]


def measure(
    keystone: Keystone,
    profile: str,
    way: Way,
    commands: Mapping[str, Cost] | None,
    requests: Mapping[str, Cost] | None,
) -> Measured:
    """Measure a first and a second run of a profile."""
    keystone.reset("fresh")
    login = {"ADMIN_PASSWORD": FRESH_PASSWORD} | ({"SERVICE_TOKEN": ADMIN_TOKEN} if way.by_token else {})
    with tempfile.TemporaryDirectory() as folder:
        person = Person(keystone, Path(folder))
        first = person.fill("--profile", profile, "--json", **login)
        second = person.fill("--profile", profile, "--json", **login)
    if first.code or second.code or second.json["summary"]["created"]:
        raise SystemExit(f"error: {profile}: {first.err}{second.err}")
    made = Counter(each["kind"] for each in first.json["objects"] if each["result"] == "created")
    floor = None if requests is None else scale(made | {LOGIN: 1}, requests)
    return Measured(
        way=way,
        profile=profile,
        made=dict(made),
        first=first.seconds,
        second=second.seconds,
        commands=None if commands is None else scale(made, commands).wall,
        in_turn=None if floor is None else floor.wall,
        cpu=None if floor is None else floor.cpu,
    )


def median(takes: Sequence[Measured]) -> Measured:
    """Return the medians of what was measured several times."""
    numbers = {
        name: statistics.median(getattr(each, name) for each in takes)
        for name in ("first", "second", "commands", "in_turn", "cpu")
        if getattr(takes[0], name) is not None
    }
    return replace(takes[0], **numbers)


def show(cells: tuple[str, ...]) -> None:
    """Print a row."""
    widths = (10, 10, 10, 8, 9, 8)
    numbers = " ".join(f"{text:>{width}}" for text, width in zip(cells[3:], widths, strict=True))
    print(f"{cells[0]:<13} {cells[1]:<8} {cells[2]:>4} {numbers}", flush=True)


def main() -> int:
    """Measure, print, and write the JSON."""
    parser = argparse.ArgumentParser(prog="python -m tests.rig.bench.sample_data", description=__doc__)
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--runs", type=int, default=3, metavar="N")
    args = parser.parse_args()
    if shutil.which("mariadbd") is None:
        raise SystemExit("error: mariadbd is not installed\nhint: make setup-plane")
    before, rows = machine.load(), []
    print(f"load {before['1']}, {before['5']}, {before['15']}; Keystone 30 with one worker on MariaDB")
    show(HEADS)
    for way in WAYS:
        with private_keystone(way.settings) as keystone:
            takes = [take(keystone, way) for _ in range(args.runs)]
        for measured in zip(*takes, strict=True):
            rows.append(median(measured))
            show(rows[-1].row())
    for row in rows[: len(PROFILES)]:
        print(f"{row.profile}: " + ", ".join(f"{number} {kind}" for kind, number in sorted(row.made.items())))
    if rows[0].commands is None:
        print("openstack is not installed (extra bench): nothing to compare with")
    else:
        ten = sum(map(len, COMMANDS.values()))
        print(f"commands: {ten} are run, each kind's mean stands for all objects of it (scaled, not run)")
    print(f"in turn, CPU: one login and one bare request for each object, {REQUESTS} measured of each kind")
    after = machine.load()
    print(f"load {after['1']}, {after['5']}, {after['15']}")
    problems = [problem for row in rows if row.way.counts for problem in row.missed()]
    for problem in problems:
        print(f"missed: {problem}")
    if args.json:
        numbers = {"load": [before, after], "rows": [asdict(row) for row in rows], "missed": problems}
        args.json.write_text(json.dumps(numbers, indent=2) + "\n")
    return int(bool(problems))


if __name__ == "__main__":
    sys.exit(main())
