# SPDX-License-Identifier: MIT
"""openstack-config compared with crudini 0.9.6, in the same run on the same file.

`python -m tests.rig.bench.config [--json FILE] [--rounds N]`. Both run under the same interpreter, as
processes, with the flags of their own first lines; wall and CPU seconds are medians. Python's own
start is shown as the floor.
"""

import argparse
import json
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[3]
LAUNCHER = ROOT / "utils" / "bin" / "openstack-config"
LINES, SECTIONS = 5000, 25


class Measure(NamedTuple):
    wall: float
    cpu: float


def sample_text() -> str:
    """A sample file as oslo-config-generator writes it: help texts and commented-out options."""
    blocks = []
    per_section = LINES // SECTIONS // 5
    for section in range(SECTIONS):
        blocks.append("[DEFAULT]\n" if section == 0 else f"[section_{section}]\n")
        for option in range(per_section):
            active = "" if option % 10 == 0 else "#"
            blocks.append(
                f"\n# What option {option} of this section is about, in one sentence (string value)\n"
                f"# Minimum value: 0\n# Note: This option can be changed without restarting.\n"
                f"{active}option_{option} = value {option}\n"
            )
    return "".join(blocks)


def run(commands: "list[list[str]]") -> Measure:
    """Run commands one after another; wall and CPU seconds of all of them."""
    cpu = 0.0
    start = time.perf_counter()
    for command in commands:
        child = os.posix_spawn(command[0], command, os.environ, file_actions=[
            (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)])  # fmt: skip
        _, status, usage = os.wait4(child, 0)
        if status:
            raise SystemExit(f"error: {' '.join(command[:6])} … failed with {status}")
        cpu += usage.ru_utime + usage.ru_stime
    return Measure(time.perf_counter() - start, cpu)


def median(rounds: int, prepare: Callable[[], None], commands: "list[list[str]]") -> Measure:
    measures = []
    for _ in range(rounds):
        prepare()
        measures.append(run(commands))
    return Measure(*(statistics.median(column) for column in zip(*measures, strict=True)))


def measure_all(rounds: int) -> "dict[str, dict[str, Measure]]":
    """{case: {tool: Measure}}; every case begins with the same 5,000-line file."""
    crudini = shutil.which("crudini", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    if crudini is None:
        raise SystemExit("error: crudini is not installed\nhint: pip install 'openstack-utils[bench]'")
    tools = {"openstack-config": [sys.executable, "-IS", str(LAUNCHER)],
             "crudini 0.9.6": [sys.executable, crudini]}  # fmt: skip
    with tempfile.TemporaryDirectory() as name:
        path = Path(name, "sample.conf")
        text = sample_text()

        def fresh() -> None:
            path.write_text(text)

        file = str(path)
        sets = [["--set", file, f"section_{1 + n % 20}", f"option_{n % 37}", f"new {n}"] for n in range(100)]
        together = [word for words in sets for word in words]
        results: dict[str, dict[str, Measure]] = {
            "python's own start": {
                "python -IS": median(rounds, fresh, [[sys.executable, "-IS", "-c", "pass"]]),
                "python": median(rounds, fresh, [[sys.executable, "-c", "pass"]]),
            }
        }
        few = max(1, rounds // 5)
        for case, times, lines in (
            ("one get", rounds, [["--get", file, "section_20", "option_10"]]),
            ("one set", rounds, [["--set", file, "section_20", "option_11", "new"]]),
            ("100 sets in one call", few, [together]),
            ("100 calls", few, sets),
        ):
            results[case] = {
                tool: median(times, fresh, [[*command, *words] for words in lines])
                for tool, command in tools.items()
            }
    return results


def table(results: "dict[str, dict[str, Measure]]") -> str:
    rows = [f"{'':22}{'':20}{'wall s':>10}{'CPU s':>10}{'to crudini':>13}"]
    for case, tools in results.items():
        for tool, found in tools.items():
            theirs = tools.get("crudini 0.9.6")
            ratio = f"{found.cpu / theirs.cpu:.2f}" if theirs and tool == "openstack-config" else ""
            rows.append(f"{case:22}{tool:20}{found.wall:10.4f}{found.cpu:10.4f}{ratio:>13}")
    return "\n".join(rows)


def goals(results: "dict[str, dict[str, Measure]]") -> "list[str]":
    """The issue's goals, by CPU time, which a busy machine disturbs less."""
    said = []
    for case in ("one get", "one set"):
        ours, theirs = results[case].values()
        reached = "reached" if ours.cpu <= theirs.cpu / 2 else "MISSED"
        said.append(f"{case}: at most half of crudini's time: {reached} ({ours.cpu / theirs.cpu:.2f})")
    factor = results["100 calls"]["crudini 0.9.6"].cpu
    factor /= results["100 sets in one call"]["openstack-config"].cpu
    reached = "reached" if factor >= 50 else "MISSED"
    said.append(f"100 sets in one call: 50 times faster than 100 crudini calls: {reached} ({factor:.0f})")
    return said


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", metavar="FILE", help="also write the measures there")
    parser.add_argument("--rounds", type=int, default=15, help="runs of each single call (15)")
    arguments = parser.parse_args()
    results = measure_all(arguments.rounds)
    said = goals(results)
    print(table(results), *said, sep="\n")
    if arguments.json:
        data = {
            case: {tool: found._asdict() for tool, found in tools.items()} for case, tools in results.items()
        }
        Path(arguments.json).write_text(json.dumps({"measures": data, "goals": said}, indent=2) + "\n")
    return 1 if any("MISSED" in line for line in said) else 0


if __name__ == "__main__":
    sys.exit(main())
