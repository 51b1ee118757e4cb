# SPDX-License-Identifier: MIT
"""What the boundary of a build costs: its namespaces, and each room in them.

`python -m tests.rig.bench.sandbox [--json FILE] [--runs N]`. A small image is built, and the worlds and rooms
that it makes are counted. Then each is made often, with nothing in it to do, and the same program is started
without a room. Seconds are CPU seconds of all processes; the sum is what a build pays. Exit 1 where that is
more than the goal. Needs root, or subordinate ids; no network.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import resource
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from builder.idmap import hand_over
from builder.image.isolation import sandbox
from builder.image.isolation.bare_room import bare_room
from builder.image.isolation.namespaces import Bind, Door, run_inside
from builder.image.tree import databases
from builder.report import Report
from builder.room import run_apart
from builder.runner import Runner
from tests.rig.bench.measure import adopting
from tests.rig.fixture.signing import new_signer
from tests.rig.fixture.synthetic import build_synthetic, busybox
from tests.support.imaging import Bench, kickstart
from tests.support.inside import as_build, call_inside, furnish

# CPU seconds of one build, on an idle machine.
GOAL = 0.15
# Bare rooms of a build: one for databases, one for the disk; and what it runs there.
BARE_ROOMS = 2
BARE = ("sfdisk", "mke2fs", "mkfs.vfat", "mmd", "mcopy", "mkfs.xfs", databases.PYTHON)
SCRIPTS = "%post\ntrue\n%end\n%post --nochroot\ntrue\n%end\n"


@dataclass(frozen=True, kw_only=True, slots=True)
class Cost:
    """CPU seconds: a world, a room of each kind, the same program in none; and how many a build has.

    `made` is a bare room, `bare` a program in one that is there; `tools` are those of a build.
    """

    world: float
    kinds: Mapping[str, float]
    made: float
    bare: float
    plain: float
    worlds: int
    rooms: Mapping[str, int]
    tools: int

    @property
    def sum(self) -> float:
        """What one build pays."""
        rooms = sum(count * (self.kinds[kind] - self.plain) for kind, count in self.rooms.items())
        bare = self.tools * (self.bare - self.plain) + BARE_ROOMS * self.made
        return self.worlds * self.world + rooms + bare


def main() -> int:
    """Measure, print the table, write the JSON; return 1 where the goal is missed."""
    parser = argparse.ArgumentParser(prog="python -m tests.rig.bench.sandbox", description=__doc__)
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--runs", type=int, default=40, metavar="N", help="how often each is made")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        cost = measure(Path(name), args.runs)
    numbers = {
        "a world of namespaces": cost.world,
        **{f"room of the {kind}": each for kind, each in cost.kinds.items()},
        "a bare room": cost.made, "a program in a bare room": cost.bare,
        "a program without a room": cost.plain,
    }  # fmt: skip
    times = {"a world of namespaces": cost.worlds, "a program in a bare room": cost.tools, "a bare room": 2}
    times |= {f"room of the {kind}": count for kind, count in cost.rooms.items()}
    for label, seconds in numbers.items():
        print(f"{label:<26} {seconds * 1000:7.1f} ms, {times.get(label, 0):2} times a build")
    print(f"one build: {cost.sum:.3f} s of CPU, goal {GOAL} s")
    if args.json:
        found = {"cpu_seconds": numbers, "times": times, "sum": cost.sum}
        args.json.write_text(json.dumps(found | {"goal": GOAL}, indent=1) + "\n")
    return int(cost.sum > GOAL)


def measure(folder: Path, runs: int) -> Cost:
    """Count and measure, in `folder`."""
    runner = Runner(Report(quiet=True))
    folder.chmod(0o755)
    worlds, rooms, tools = count(folder / "build", runner)
    shell = busybox(runner)
    work = folder / "work"
    cache = folder / "cache"
    for one in (work, cache):
        one.mkdir()
        hand_over(one)
    log = folder / "inside" / "log"
    log.parent.mkdir()
    world = seconds(lambda: run_inside(nothing, log=log, runner=runner), runs)

    def inside() -> dict[str, float]:
        furnish(shell)
        build = as_build()
        nothing = ["/bin/sh", "-c", ":"]
        with bare_room(writable=[Path("/work")], memory=1 << 30) as room:
            bare = seconds(lambda: build.runner.run(["/bin/true"], child=room.child), runs)
        return {
            "plain": seconds(lambda: build.runner.run(["/bin/true"]), runs),
            "made": seconds(made, runs),
            "bare": bare,
            "image": seconds(lambda: sandbox.run_in_image(build, nothing, with_shims=True), runs),
            "installer": seconds(lambda: sandbox.run_in_installer(build, ["/bin/true"], tree=True), runs),
            "transaction": seconds(lambda: sandbox.run_on_tree(build, ["/bin/true"]), runs),
            "solver": seconds(lambda: list(sandbox.stream_solver(build, ["/bin/true"], "")), runs),
            "parser": seconds(lambda: run_apart(build.runner, ["/bin/true"], writable=Path("/work")), runs),
        }

    found = call_inside(inside, work, runner, binds=(Bind(source=cache, target="/cache", writable=True),))
    others = {name: found.pop(name) for name in ("plain", "made", "bare")}
    return Cost(world=world, kinds=found, worlds=worlds, rooms=rooms, tools=tools, **others)


def nothing(_: Door) -> None:
    """Have nothing to do."""


def made() -> None:
    """Make a bare room."""
    with bare_room(writable=[Path("/work")], memory=1 << 30):
        pass


def count(folder: Path, runner: Runner) -> tuple[int, dict[str, int], int]:
    """Build a small image with scripts; return how many worlds, rooms of each kind and bare rooms it made."""
    folder.mkdir()
    with new_signer(runner) as signer:
        bench = Bench(folder, build_synthetic(folder / "repository", runner=runner, signer=signer))
    done = bench.build(kickstart(tail=SCRIPTS), "--debug")
    run = [line.split()[1:] for line in done.stderr.splitlines() if line.startswith("+ ")]
    rooms = Counter(kind_of(words) for words in run if words[0] == "bwrap")
    # One for solve and fetch, one for the rest.
    return 2, dict(rooms), sum(Path(words[0]).name in BARE for words in run)


def kind_of(words: list[str]) -> str:
    """Return which room bubblewrap's words make; that of tar is made as the solver's is."""
    line = " ".join(words)
    if "--bind /tree / " in line:
        return "image"
    if "/mnt/sysimage" in line:
        return "installer"
    if "--bind /tree /tree" in line:
        return "transaction"
    return "solver" if "/repos" in line or " tar " in line else "parser"


def seconds(do: Callable[[], object], runs: int) -> float:
    """Return the CPU seconds of one run of `do`, with all that it starts: the least mean of four series."""
    do()
    means = []
    # What outlives its parent comes to us.
    with adopting():
        for _ in range(4):
            before = used()
            for _ in range(max(1, runs // 4)):
                do()
            means.append((used() - before) / max(1, runs // 4))
    return min(means)


def used() -> float:
    """Return the CPU seconds of this process and of its children, which have all ended."""
    with contextlib.suppress(ChildProcessError):
        while True:
            os.waitpid(-1, 0)
    both = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in both)


if __name__ == "__main__":
    os.umask(0o022)
    sys.exit(main())
