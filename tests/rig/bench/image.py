# SPDX-License-Identifier: MIT
"""The fixture JeOS: our builds compared with the floor and diskimage-builder, in the same run.

`python -m tests.rig.bench.image [--json FILE] [--runs N] [--without-dib]`. Packages and metadata are in the
cache (a build that is not counted puts them there). The caches of the user are not touched.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from builder.errors import BuildError
from builder.files import work_folder
from builder.folders import remove_tree
from builder.report import Report, format_table
from builder.runner import Child, Runner, clean_environment
from tests.rig.bench import dib
from tests.rig.bench.measure import Failed, Measured, measure, median

CHECKOUT = Path(__file__).resolve().parents[3]
KICKSTART = CHECKOUT / "kickstarts/jeos-fixture.ks"
BUILDER = (sys.executable, "-m", "builder")
NAME = "jeos"
# Our builds, and the folders that are removed before each run of them.
CACHE = "cache/openstack-builder"
_INSTALLED = (f"out/{NAME}", f"{CACHE}/trees", f"{CACHE}/choices")
OURS = {
    "first build": (*_INSTALLED, f"{CACHE}/initramfs"),
    "initramfs in the cache": _INSTALLED,
    "unchanged": (),
    (CHANGED := "only %post changed"): (),
    (ADDED := "one package added"): (),
}
# What is added, another one each time: trees of earlier times are in the cache.
PACKAGES = ("rsync", "lsof", "socat", "psmisc", "gnupg2", "dosfstools")
DIB, DIB_OURS = "diskimage-builder", "diskimage-builder, our qcow2 options"
MB = 1e6
FLOOR_RUNS = 3
# diskimage-builder's own files are copied by rsync, and by nothing else that it knows.
EXTRA = ("rsync", "libxxhash0", "libpopt0")


@dataclass(frozen=True, kw_only=True)
class Bench:
    """Where it runs, and what it builds."""

    work: Path
    fixture: Path
    report: Report
    runner: Runner

    @property
    def image(self) -> Path:
        """Folder of our finished image."""
        return self.work / "out" / NAME

    @property
    def environment(self) -> dict[str, str]:
        """The environment of a build: a cache of its own."""
        return {**clean_environment(), "XDG_CACHE_HOME": str(self.work / "cache")}


@dataclass(frozen=True, kw_only=True)
class Goal:
    """A quotient of two measures (or a number of seconds), and the bound it is held to."""

    name: str
    value: float
    bound: float
    at_least: bool = False

    @property
    def reached(self) -> bool:
        """Say whether it is."""
        return self.value >= self.bound if self.at_least else self.value <= self.bound

    def as_json(self) -> dict[str, object]:
        """Return it by name, the value to the thousandth."""
        return {
            "name": self.name,
            "value": round(self.value, 3),
            "bound": self.bound,
            "at_least": self.at_least,
            "reached": self.reached,
        }

    def __str__(self) -> str:
        sign = ">=" if self.at_least else "<="
        word = "reached" if self.reached else "MISSED"
        return f"{self.name:48} {self.value:6.2f}   {sign} {self.bound:<4g} {word}"


def main() -> int:
    """Measure, print, write JSON; return 1 where a goal is missed, else 0."""
    parser = argparse.ArgumentParser(prog="python -m tests.rig.bench.image", description=__doc__)
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the measures there")
    parser.add_argument("--runs", type=int, default=3, metavar="N", help="of each build; the median counts")
    parser.add_argument("--without-dib", action="store_true", help="leave diskimage-builder out")
    args = parser.parse_args()
    if args.runs > len(PACKAGES):
        parser.error(f"--runs {args.runs}: there are {len(PACKAGES)} packages to add")
    report = Report()
    runner = Runner(report)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: signal.raise_signal(signal.SIGINT))
    try:
        made = runner.run([sys.executable, "-m", "tests.rig.fixture", "build"], child=Child(cwd=CHECKOUT))
        with work_folder(CHECKOUT / "out", "bench") as work:
            bench = Bench(work=work, fixture=Path(made.stdout.strip()), report=report, runner=runner)
            rows, parts = measure_all(bench, args.runs, with_dib=not args.without_dib)
            manifest = read_manifest(bench)
    except Failed as error:
        report.error([f"error: {error}"])
        return 1
    except BuildError as error:
        report.error(error.lines())
        return error.exit_code
    except KeyboardInterrupt:
        report.error(["error: interrupted"])
        return 130
    goals = judge(rows)
    show(rows, parts, goals, manifest)
    if args.json:
        args.json.write_text(json.dumps(as_json(rows, parts, goals, args.runs, manifest), indent=2) + "\n")
    return int(not all(goal.reached for goal in goals))


def measure_all(bench: Bench, runs: int, *, with_dib: bool) -> tuple[dict[str, Measured], dict[str, float]]:
    """Return the measures by name, and the seconds of the floor's parts."""
    if with_dib and os.geteuid():
        bench.report.warn("diskimage-builder needs root: left out")
        with_dib = False
    environment = dib.prepare(bench.report, bench.runner) if with_dib else None
    for name in ("out", "cache"):
        (bench.work / name).mkdir()
    write_kickstart(bench.work / f"{NAME}.ks")
    with bench.report.step("warm up", "packages and metadata into the cache"):
        build(bench, "warm-up")
    ours: dict[str, list[Measured]] = {}
    floors: list[tuple[Measured, dict[str, float]]] = []
    theirs: dict[str, Measured] = {}
    # In turns: what else the machine does meanwhile falls upon all of them.
    with prepared_dib(bench, environment) as builds:
        for turn in range(max(runs, FLOOR_RUNS)):
            if turn < runs:
                for name, emptied in OURS.items():
                    with bench.report.step(name, f"{turn + 1} of {runs}"):
                        folders = [bench.work / folder for folder in emptied]
                        kickstart = bench.work / f"{NAME}.ks"
                        write_kickstart(
                            kickstart,
                            turn if name == CHANGED else None,
                            package=PACKAGES[turn] if name == ADDED else None,
                        )
                        ours.setdefault(name, []).append(build(bench, name, folders))
            if turn < FLOOR_RUNS:
                with bench.report.step("floor", f"{turn + 1} of {FLOOR_RUNS}"):
                    floors.append(measure_floor(bench))
            for name, run in list(builds.items())[turn : turn + 1]:
                with bench.report.step(name, "once"):
                    theirs[name] = run()
    floor, parts = min(floors, key=lambda pair: pair[0].wall)
    return {**{name: median(found) for name, found in ours.items()}, "floor": floor, **theirs}, parts


def write_kickstart(path: Path, turn: int | None = None, *, package: str | None = None) -> None:
    """Write the fixture's JeOS without our own package, which would have to be built first.

    Args:
        turn: another %post each.
        package: one more.
    """
    text = KICKSTART.read_text() + f"%packages\n-openstack-utils\n{package or ''}\n%end\n"
    text += f"%post\necho turn {turn}\n%end\n" if turn is not None else ""
    path.write_text(re.sub(r"^%include ", f"%include {KICKSTART.parent}/", text, flags=re.MULTILINE))


def build(bench: Bench, name: str, emptied: Sequence[Path] = ()) -> Measured:
    """Build the image as a user does, after removing the folders `emptied`."""
    for folder in emptied:
        if folder.exists():
            remove_tree(folder)
    fixture, out = bench.fixture, bench.work / "out"
    argv = [*BUILDER, "image", f"{bench.work / NAME}.ks", "--target", "fixture-12", "--out", str(out)]
    argv += ["--repo", f"fixture={fixture}", "--gpgkey", f"{fixture}/RPM-GPG-KEY-fixture"]
    log = bench.work.parent / f"bench-{name.replace(' ', '-')}.log"
    return measure(argv, log=log, folders=[out], cwd=CHECKOUT, env=bench.environment)


def read_manifest(bench: Bench) -> dict[str, object]:
    """Return the manifest of the last build."""
    manifest: dict[str, object] = json.loads((bench.image / f"{NAME}.manifest.json").read_text())
    return manifest


def packages_of(bench: Bench) -> dict[str, Path]:
    """Return the RPM files of the image, by name of the package."""
    manifest = json.loads((bench.image / f"{NAME}.manifest.json").read_text())
    # A file's name has no epoch.
    files = {one["name"]: re.sub(r"-\d+:", "-", one["nevra"]) + ".rpm" for one in manifest["packages"]}
    return {name: bench.fixture / file for name, file in files.items()}


def measure_floor(bench: Bench) -> tuple[Measured, dict[str, float]]:
    """Return a run of the floor, and the seconds of its parts."""
    manifest = json.loads((bench.image / f"{NAME}.manifest.json").read_text())
    work = bench.work / "floor"
    work.mkdir()
    request, result = bench.work / "floor.json", bench.work / "floor-result.json"
    request.write_text(
        json.dumps({
            "work": str(work), "result": str(result), "size": manifest["virtual_size"], "docs": False,
            "packages": [str(path) for path in packages_of(bench).values()],
        })
    )  # fmt: skip
    argv = [sys.executable, "-m", "tests.rig.bench.floor", str(request)]
    log = bench.work.parent / "bench-floor.log"
    measured = measure(argv, log=log, folders=[work], cwd=CHECKOUT, env=bench.environment)
    shutil.rmtree(work)
    return measured, json.loads(result.read_text())


@contextmanager
def prepared_dib(bench: Bench, environment: Path | None) -> Iterator[dict[str, Callable[[], Measured]]]:
    """Yield diskimage-builder's builds: as it comes, and with our qcow2 options; none without it."""
    if environment is None:
        yield {}
        return
    work = bench.work / "dib"
    for name in ("repo", "repos", "home", "tmp", "cache"):
        (work / name).mkdir(parents=True)
    packages = packages_of(bench)
    extra = {name: next(bench.fixture.glob(f"{name}-[0-9]*.rpm")) for name in EXTRA if name not in packages}
    dib.write_element(work / "elements", packages)
    with dib.serving(work / "repo") as url:
        dib.write_repository(work / "repo", {**packages, **extra}, url, bench.runner)
        (work / "repos/bench.repo").write_text(dib.repository(url))
        with bench.report.step("warm up", "packages and metadata into diskimage-builder's cache"):
            dib.run(environment, work, "warm-up", ours=True)
        image = work / "warm-up.qcow2"
        dib.check_packages(image, {*packages, *extra, dib.STAND_IN}, bench.runner)
        image.unlink()
        yield {
            DIB: lambda: dib.run(environment, work, "zlib", ours=False),
            DIB_OURS: lambda: dib.run(environment, work, "ours", ours=True),
        }


def judge(rows: dict[str, Measured]) -> list[Goal]:
    """Return the issue's goals with what was reached."""
    wall = {name: measured.wall for name, measured in rows.items()}
    first, cached, floor = wall["first build"], wall["initramfs in the cache"], wall["floor"]
    changed, added, unchanged = wall[CHANGED], wall[ADDED], wall["unchanged"]
    goals = [
        Goal(name="first build / floor", value=first / floor, bound=1.3),
        Goal(name="initramfs in the cache / floor", value=cached / floor, bound=1),
        Goal(name=f"{CHANGED} / floor", value=changed / floor, bound=0.4),
        Goal(name=f"{ADDED} / floor", value=added / floor, bound=0.6),
        Goal(name="unchanged / floor", value=unchanged / floor, bound=0.1),
    ]
    if DIB in wall:
        goals += [
            Goal(name="diskimage-builder / first build", value=wall[DIB] / first, bound=3, at_least=True),
            Goal(
                name="diskimage-builder / initramfs in the cache",
                value=wall[DIB] / cached,
                bound=5,
                at_least=True,
            ),
        ]
    return goals


def compare(rows: dict[str, Measured]) -> dict[str, float]:
    """Return more quotients, which no goal is set for; CPU seconds show what a busy machine hides."""
    pairs = [
        ("first build / floor, CPU", "first build", "floor", "cpu"),
        ("initramfs in the cache / floor, CPU", "initramfs in the cache", "floor", "cpu"),
        (f"{CHANGED} / floor, CPU", CHANGED, "floor", "cpu"),
        (f"{ADDED} / floor, CPU", ADDED, "floor", "cpu"),
        ("unchanged / floor, CPU", "unchanged", "floor", "cpu"),
        ("diskimage-builder / first build, CPU", DIB, "first build", "cpu"),
        ("diskimage-builder / initramfs in the cache, CPU", DIB, "initramfs in the cache", "cpu"),
        ("... our qcow2 options / first build", DIB_OURS, "first build", "wall"),
        ("... our qcow2 options / initramfs in the cache", DIB_OURS, "initramfs in the cache", "wall"),
        ("... our qcow2 options / first build, CPU", DIB_OURS, "first build", "cpu"),
    ]
    return {
        said: getattr(rows[above], what) / getattr(rows[below], what)
        for said, above, below, what in pairs
        if above in rows and below in rows
    }


def show(
    rows: dict[str, Measured], parts: dict[str, float], goals: list[Goal], manifest: dict[str, object]
) -> None:
    """Print the tables."""
    table = [
        (name, f"{one.wall:8.2f}", f"{one.cpu:8.2f}", f"{one.memory / MB:8.0f}", f"{one.disk / MB:8.0f}")
        for name, one in rows.items()
    ]
    packages = manifest["packages"]
    assert isinstance(packages, list)
    print(f"\n{len(packages)} packages")
    print("\n".join(format_table(("", "  wall s", "   CPU s", "mem. MB", "disk MB"), table)))
    print("\nfloor: " + ", ".join(f"{name} {seconds:.2f}" for name, seconds in parts.items()))
    stages = manifest["stages"]
    assert isinstance(stages, list)
    print("last build: " + ", ".join(f"{one['name']} {one['seconds']:.2f}" for one in stages))
    print("\n" + "\n".join(map(str, goals)))
    print("\n".join(f"{name:48} {value:6.2f}" for name, value in compare(rows).items()))
    if DIB in rows:
        print("\ndiskimage-builder is not the same work:")
        print("\n".join(f"  - {line}" for line in dib.DIFFERENCES))


def as_json(
    rows: dict[str, Measured],
    parts: dict[str, float],
    goals: list[Goal],
    runs: int,
    manifest: dict[str, object],
) -> dict[str, object]:
    """Return the measures and the goals as JSON."""
    packages = manifest["packages"]
    assert isinstance(packages, list)
    return {
        "runs": runs,
        "packages": len(packages),
        "measures": {name: measured.as_json() for name, measured in rows.items()},
        "floor_parts": {name: round(seconds, 3) for name, seconds in parts.items()},
        "stages": manifest["stages"],
        "goals": [goal.as_json() for goal in goals],
        "quotients": {name: round(value, 3) for name, value in compare(rows).items()},
        "differences": list(dib.DIFFERENCES),
    }


if __name__ == "__main__":
    sys.exit(main())
