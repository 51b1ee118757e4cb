# SPDX-License-Identifier: MIT
"""RPMs: the whole matrix from clean, compared with plain rpmbuild of the same specs one after the other.

`python -m tests.rig.bench.rpm [--json FILE] [--runs N] [--packages GLOB] [--targets GLOB] [--work DIR]`.
Sources are in the cache before the clock starts. Plain rpmbuild gets the same macros, payloads and sources;
laying them out is not counted. It works on the disk, as in anybody's ~/rpmbuild; ours in the place that it
chooses, or in DIR. Both run once, since they take minutes; what takes seconds (nothing changed, --help) is
the median of N runs.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from builder.download import fetch
from builder.files import cache_folder
from builder.folders import remove_tree
from builder.places import SPECS
from builder.report import Report, format_table
from builder.rpm.build.archive import make_archive
from builder.rpm.build.plan import BuildPlan, RunSettings, plan_builds
from builder.rpm.build.rpmbuild import rpm_version
from builder.rpm.build.run import choose_work
from builder.rpm.spec.macros import macro_options, target_macros
from builder.rpm.spec.packages import find_packages, pair
from builder.rpm.spec.parse import condition_options
from builder.runner import Runner
from builder.targets import select
from tests.rig.bench.measure import Measured, measure, median

ROOT = SPECS.parent
BUILDER = (sys.executable, "-m", "builder")
# All but openstack-python-bundled.
UNBUNDLED = ("openstack-[!p]*", "openstack-pl*")
FASTER = 1.7
UNCHANGED = 2.0
HELP = 0.15


def plan_matrix(packages: Sequence[str], targets: Sequence[str], runner: Runner) -> tuple[BuildPlan, ...]:
    """Return the builds of the matrix, with every source in the cache."""
    settings = RunSettings(root=ROOT, out=Path("out"), rpm=rpm_version(runner))
    pairs = pair(find_packages(ROOT, packages), select(targets), named=())
    plans = plan_builds(pairs, settings, runner)
    for remote in {remote for plan in plans for remote in plan.sources.remote}:
        fetch(remote, runner)
    return plans


def measure_ours(args: argparse.Namespace, work: Path, folder: Path) -> tuple[Measured, Measured]:
    """Return what the command took from clean, building in `work`, and when nothing had changed."""
    targets = [word for target in args.targets for word in ("-t", target)]
    words = [*BUILDER, "rpm", *args.packages, *targets, "--out", folder / "out", "--work", work]
    cache = folder / "cache" / "openstack-builder"
    cache.mkdir(parents=True)
    (cache / "sources").symlink_to(cache_folder("sources"))
    env = {**os.environ, "XDG_CACHE_HOME": str(folder / "cache")}
    clean = measure(words, log=folder / "clean.log", cwd=ROOT, env=env)
    again = [measure(words, log=folder / "again.log", cwd=ROOT, env=env) for _ in range(args.runs)]
    return clean, median(again)


def measure_plain(plans: Sequence[BuildPlan], folder: Path, runner: Runner) -> Measured:
    """Return what rpmbuild took for the same specs, one after the other."""
    taken = []
    for number, plan in enumerate(plans):
        topdir = folder / f"plain-{number}"
        command = lay_out(plan, topdir, runner)
        env = {**os.environ, "SOURCE_DATE_EPOCH": str(plan.epoch), "BUILDER_PYTHON": sys.executable,
               "HOME": str(topdir), "LC_ALL": "C.UTF-8"}  # fmt: skip
        taken.append(measure(command, log=folder / f"plain-{number}.log", cwd=ROOT, env=env))
        remove_tree(topdir)
    return Measured(
        wall=sum(one.wall for one in taken),
        cpu=sum(one.cpu for one in taken),
        memory=max(one.memory for one in taken),
        disk=max(one.disk for one in taken),
    )


def lay_out(plan: BuildPlan, topdir: Path, runner: Runner) -> list[str | Path]:
    """Put sources, spec and macros where plain rpmbuild looks for them; return its command line."""
    for name in ("SOURCES", "SPECS"):
        (topdir / name).mkdir(parents=True)
    for path in (*plan.sources.local, *(fetch(remote, runner) for remote in plan.sources.remote)):
        shutil.copy(path, topdir / "SOURCES")
    if plan.sources.made:
        prefix = f"{plan.package.name}-{plan.package.version}"
        archive = make_archive(plan.archive, prefix=prefix, epoch=plan.epoch)
        (topdir / "SOURCES" / plan.sources.made).write_bytes(archive)
    shutil.copy(plan.package.spec, topdir / "SPECS")
    (topdir / "macros").write_text(target_macros(plan.target))
    return [
        *("rpmbuild", "-ba", "--nodeps", *macro_options(topdir / "macros", runner)),
        *("--define", f"_topdir {topdir}", *condition_options((), plan.without)),
        topdir / "SPECS" / plan.package.spec.name,
    ]


def measure_help(folder: Path, runs: int) -> float:
    """Return how many seconds longer `--help` takes than `python -c pass`."""
    log = folder / "help.log"
    pairs = [
        (
            measure([*BUILDER, "--help"], log=log, cwd=ROOT).wall,
            measure([sys.executable, "-c", "pass"], log=log, cwd=ROOT).wall,
        )
        for _ in range(max(runs, 5))
    ]
    return statistics.median(ours - theirs for ours, theirs in pairs)


def main() -> int:
    """Measure, print the table, write the JSON; 1 where a goal is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the measures there")
    parser.add_argument("--runs", type=int, default=3, metavar="N", help="of what takes seconds (3)")
    parser.add_argument("--packages", nargs="+", default=list(UNBUNDLED), metavar="GLOB")
    parser.add_argument("--targets", nargs="+", default=["*"], metavar="GLOB")
    parser.add_argument("--work", type=Path, metavar="DIR", help="where ours builds (default: it chooses)")
    args = parser.parse_args()
    runner = Runner(Report(quiet=True))
    plans = plan_matrix(args.packages, args.targets, runner)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        work = args.work or choose_work(plans, jobs=len(os.sched_getaffinity(0)))
        clean, again = measure_ours(args, work, folder)
        plain = measure_plain(plans, folder, runner)
        longer = measure_help(folder, args.runs)
    ratio = plain.wall / clean.wall
    rows = [(label, f"{one.wall:.1f}", f"{one.cpu:.1f}", f"{60 * len(plans) / one.wall:.1f}")
            for label, one in (("openstack-builder, clean", clean), ("rpmbuild, one by one", plain),
                               ("openstack-builder, unchanged", again))]  # fmt: skip
    print(*format_table((f"{len(plans)} builds", "wall s", "CPU s", "a minute"), rows), sep="\n")
    print(f"ours built in {work}, rpmbuild in {folder}")
    goals = {
        f"{ratio:.2f} times as fast as rpmbuild one by one (goal {FASTER})": ratio >= FASTER,
        f"nothing changed: {again.wall:.2f} s (goal {UNCHANGED})": again.wall <= UNCHANGED,
        f"--help: {longer:.3f} s longer than python -c pass (goal {HELP})": longer <= HELP,
    }
    for goal, reached in goals.items():
        print(f"{'reached' if reached else 'MISSED'}: {goal}")
    if args.json:
        found = {"builds": len(plans), "clean": clean.as_json(), "plain": plain.as_json(),
                 "unchanged": again.as_json(), "help_longer": round(longer, 3), "ratio": round(ratio, 2),
                 "goals": goals, "places": [str(work), str(folder)]}  # fmt: skip
        args.json.write_text(json.dumps(found, indent=2) + "\n")
    return int(not all(goals.values()))


if __name__ == "__main__":
    sys.exit(main())
