# SPDX-License-Identifier: MIT
"""How long the solvers take over a repository of Fedora's size: 75,000 packages of metadata, none to install.

`python -m tests.rig.bench.solve [--json FILE] [--runs N]`. Each solver that this host has is asked for a
package and all that it needs: first with an empty cache, then with the one it has filled. Seconds are CPU
seconds of the worker's process; the memory is the most that it held. Medians. Exit 1 where a goal is missed.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

from builder.errors import ToolMissing
from builder.image.packages.dnf import SOLVERS, WORKER, Solver, find_solver, make_request
from builder.kickstart.planner import load_plan
from builder.sizes import MIB
from builder.targets import find_target

PACKAGES = 75_000
# The goals, on an idle machine of two cores: CPU seconds, and bytes.
FIRST, LATER, MEMORY = 15.0, 1.0, 1024 * MIB
KICKSTART = """\
url --url={repository}
rootpw --lock
part biosboot --size=1
part / --fstype=ext4 --size=2000
%packages --nocore
{package}
%end
"""
NAMESPACES = {
    "primary": 'metadata xmlns="http://linux.duke.edu/metadata/common" xmlns:rpm="http://linux.duke.edu/metadata/rpm"',
    "filelists": 'filelists xmlns="http://linux.duke.edu/metadata/filelists"',
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Cost:
    """CPU seconds, bytes of memory, and how many packages were chosen."""

    seconds: float
    memory: int
    packages: int


def main() -> int:
    """Measure, print the table, write the JSON; return 1 where a goal is missed."""
    parser = argparse.ArgumentParser(prog="python -m tests.rig.bench.solve", description=__doc__)
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--runs", type=int, default=3, metavar="N")
    args = parser.parse_args()
    found: dict[str, dict[str, dict[str, float]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        repository = Path(folder, "repository")
        # In a process of its own: what this one has taken of memory would count as the workers'.
        with ProcessPoolExecutor(1) as pool:
            pool.submit(write_repository, repository, PACKAGES).result()
        for solver in solvers():
            found[solver.name] = measure(solver, repository, args.runs)
    missed = [
        f"{name}: {goal}"
        for name, costs in found.items()
        for goal, met in (
            (f"first within {FIRST} s", costs["first"]["seconds"] <= FIRST),
            (f"later within {LATER} s", costs["later"]["seconds"] <= LATER),
            (f"within {MEMORY // MIB} MiB", costs["first"]["memory"] <= MEMORY),
        )
        if not met
    ]
    for name, costs in found.items():
        for when, cost in costs.items():
            size, count = cost["memory"] / MIB, cost["packages"]
            print(f"{name:8} {when:6} {cost['seconds']:6.2f} s CPU {size:6.0f} MiB  {count} packages")
    for goal in missed:
        print(f"missed: {goal}")
    if args.json:
        args.json.write_text(json.dumps({"packages": PACKAGES, "solvers": found, "missed": missed}, indent=2))
    return int(bool(missed))


def solvers() -> Iterator[Solver]:
    """Yield the solvers that this host has."""
    for name in SOLVERS:
        try:
            yield find_solver(name)
        except ToolMissing as error:
            print(f"{name}: {error.message}", file=sys.stderr)


def measure(solver: Solver, repository: Path, runs: int) -> dict[str, dict[str, float]]:
    """Return what the first and the later solve cost: `first`, `later`."""
    found: dict[str, list[Cost]] = {"first": [], "later": []}
    for _ in range(runs):
        with tempfile.TemporaryDirectory() as cache:
            for costs in found.values():
                costs.append(solve(solver, repository, Path(cache)))
    return {
        when: {
            name: statistics.median(asdict(cost)[name] for cost in costs)
            for name in ("seconds", "memory", "packages")
        }
        for when, costs in found.items()
    }


def solve(solver: Solver, repository: Path, cache: Path) -> Cost:
    """Ask the worker for the last package and all that it needs."""
    request = request_for(repository, cache)
    with (cache / "said").open("w") as said:
        process = subprocess.Popen(
            [solver.python, "-B", "-s", WORKER / solver.program],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=said,
            env={"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"},
        )
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(json.dumps(request).encode())
    process.stdin.close()
    with process.stdout as told:
        events = [json.loads(line) for line in told]
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if not events or events[-1]["event"] == "error":
        why = events[-1]["message"] if events else (cache / "said").read_text()
        raise SystemExit(f"{solver.name}: {why}")
    chosen = next(event for event in events if event["event"] == "solved")
    return Cost(
        seconds=usage.ru_utime + usage.ru_stime,
        memory=usage.ru_maxrss * 1024,
        packages=len(chosen["packages"]),
    )


def request_for(repository: Path, cache: Path) -> Mapping[str, object]:
    """Return what a build of the last package asks of the worker, up to the choice."""
    kickstart = cache / "large.ks"
    kickstart.write_text(KICKSTART.format(repository=repository.as_uri(), package=f"large-{PACKAGES - 1}"))
    target = find_target("fedora-45")
    request = make_request(load_plan(kickstart, target=target), target)
    (own,) = request["repositories"]
    # Not in a room, which has other paths; and nothing of an installer.
    own["baseurl"] = [repository.as_uri()]
    places = {"root": f"{cache}/root", "cache": f"{cache}/cache", "logs": str(cache)}
    return {**request, **places, "until": "solve", "added": [], "macros": {}}


def write_repository(folder: Path, count: int) -> None:
    """Write the metadata of `count` packages with the relations and files of common ones."""
    chance = random.Random(1)
    words = [hashlib.sha256(str(number).encode()).hexdigest()[:8] for number in range(4000)]
    texts: dict[str, list[str]] = {"primary": [], "filelists": []}
    for number in range(count):
        name, pkgid = f"large-{number}", hashlib.sha256(str(number).encode()).hexdigest()
        # Needs of the lowest tenth only, so that a closure has hundreds of packages, not all.
        needs = {f"large-{chance.randrange(max(1, number // 10))}" for _ in range(9)} - {name}
        entries = [f'<rpm:entry name="{name}({chance.choice(words)})"/>' for _ in range(10)]
        entries.append(f'<rpm:entry name="{name}" flags="EQ" epoch="0" ver="1" rel="1"/>')
        text = " ".join(chance.choices(words, k=40))
        head = f'name="{name}" arch="x86_64"'
        version = '<version epoch="0" ver="1" rel="1"/>'
        texts["primary"].append(
            f'<package type="rpm"><name>{name}</name><arch>x86_64</arch>{version}'
            f'<checksum type="sha256" pkgid="YES">{pkgid}</checksum><summary>{text[:60]}</summary>'
            f"<description>{text}</description><packager/><url>https://example.org/</url>"
            '<time file="1700000000" build="1700000000"/>'
            '<size package="1000" installed="3000" archive="3200"/>'
            f'<location href="{name}.rpm"/><format><rpm:license>MIT</rpm:license><rpm:vendor/>'
            f"<rpm:sourcerpm>{name}.src.rpm</rpm:sourcerpm>"
            '<rpm:header-range start="4504" end="30000"/>'
            f"<rpm:provides>{''.join(entries)}</rpm:provides><rpm:requires>"
            + "".join(f'<rpm:entry name="{need}"/>' for need in sorted(needs) if number)
            + f"</rpm:requires><file>/usr/bin/{name}</file></format></package>\n"
        )
        files = "".join(f"<file>/usr/share/{name}/{chance.choice(words)}/{one}</file>" for one in range(60))
        texts["filelists"].append(f'<package pkgid="{pkgid}" {head}>{version}{files}</package>\n')
    (folder / "repodata").mkdir(parents=True)
    index = ['<repomd xmlns="http://linux.duke.edu/metadata/repo"><revision>1</revision>\n']
    for kind, bodies in texts.items():
        tag = NAMESPACES[kind]
        raw = f'<{tag} packages="{count}">\n{"".join(bodies)}</{tag.split()[0]}>\n'.encode()
        packed = gzip.compress(raw, 1, mtime=0)
        (folder / f"repodata/{kind}.xml.gz").write_bytes(packed)
        index.append(
            f'<data type="{kind}"><checksum type="sha256">{hashlib.sha256(packed).hexdigest()}</checksum>'
            f'<open-checksum type="sha256">{hashlib.sha256(raw).hexdigest()}</open-checksum>'
            f'<location href="repodata/{kind}.xml.gz"/><timestamp>1700000000</timestamp>'
            f"<size>{len(packed)}</size><open-size>{len(raw)}</open-size></data>\n"
        )
    (folder / "repodata/repomd.xml").write_text("".join([*index, "</repomd>\n"]))


if __name__ == "__main__":
    sys.exit(main())
