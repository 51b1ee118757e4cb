# SPDX-License-Identifier: MIT
"""What a script of an element costs: in an image of ours, and in a phase of diskimage-builder.

`python -m tests.rig.bench.elements [--json FILE] [--runs N]`. The same scripts, which do nothing, are run as
one phase in the image: by our build (a room for each script) on the synthetic repository, and by
diskimage-builder's own functions (one chroot for all), on this host's files. CPU seconds of the whole tree of
processes; the cost of one is the difference between many and one, divided. Medians. It needs root.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

from builder.report import Report
from builder.runner import Runner, clean_environment
from tests.rig.bench import dib
from tests.rig.bench.measure import measure
from tests.rig.fixture.synthetic import build_synthetic
from tests.support.imaging import ROOT, kickstart

MANY = 40
SCRIPT = "#!/bin/sh\nexit 0\n"
# diskimage-builder's run_d_in_target, with the image at $ROOM.
PHASE = """\
set -eE
export _LIB=$LIB TMP_HOOKS_PATH=$HOOKS TMP_MOUNT_PATH=$ROOM DIB_DEBUG_TRACE=0 LC_ALL=C
mount --rbind / "$ROOM"
mount -t tmpfs none "$ROOM/tmp"
source "$_LIB/common-functions"
source "$_LIB/img-functions"
run_d_in_target install
"""


def main() -> int:
    """Measure, print, write the JSON."""
    parser = argparse.ArgumentParser(prog="python -m tests.rig.bench.elements", description=__doc__)
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--runs", type=int, default=5, metavar="N")
    args = parser.parse_args()
    if os.geteuid():
        print("elements: needs root: diskimage-builder mounts", file=sys.stderr)
        return 0
    runner = Runner(Report(quiet=True))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        build_synthetic(folder / "repository", runner=runner)
        environment = dib.prepare(Report(), runner)
        found: dict[str, dict[int, list[float]]] = {"ours": {}, "diskimage-builder": {}}
        for count in (1, MANY):
            write(folder / f"{count}", count)
        ours(folder, 1)
        # In turns: what else the machine does meanwhile falls upon both.
        for _ in range(args.runs):
            for count in (1, MANY):
                found["ours"].setdefault(count, []).append(ours(folder, count))
                cost = theirs(folder, count, environment)
                found["diskimage-builder"].setdefault(count, []).append(cost)
    rows = {}
    for who, costs in found.items():
        one, many = (statistics.median(costs[count]) for count in (1, MANY))
        rows[who] = {"script": (many - one) / (MANY - 1), "one": one, "many": many}
        each = f"{rows[who]['script'] * 1000:6.1f} ms each script"
        print(f"{who:18} {each}  ({one:.2f} s with 1, {many:.2f} s with {MANY})")
    if args.json:
        args.json.write_text(json.dumps({"runs": args.runs, "scripts": MANY, "cpu": rows}, indent=2) + "\n")
    return 0


def write(folder: Path, count: int) -> None:
    """Write an element with `count` scripts."""
    scripts = folder / "bench" / "install.d"
    scripts.mkdir(parents=True)
    for number in range(count):
        path = scripts / f"{number:02}-nothing"
        path.write_text(SCRIPT)
        path.chmod(0o755)


def ours(folder: Path, count: int) -> float:
    """Return the CPU seconds of a build with the element of `count` scripts."""
    (folder / "bench.ks").write_text(kickstart(packages="busybox\nsynthetic-release"))
    argv = [sys.executable, "-m", "builder", "image", f"{folder}/bench.ks", "--target", "fixture-12"]
    argv += ["--repo", f"synthetic={folder}/repository", "--no-gpgcheck", "--element", "bench"]
    env = {**clean_environment(), "XDG_CACHE_HOME": f"{folder}/cache", "ELEMENTS_PATH": f"{folder}/{count}"}
    # Another epoch each time: nothing is unchanged.
    env["SOURCE_DATE_EPOCH"] = str(time.time_ns() // 1_000_000_000)
    return measure([*argv, "--out", f"{folder}/out"], log=folder / "ours.log", cwd=ROOT, env=env).cpu


def theirs(folder: Path, count: int, environment: Path) -> float:
    """Return the CPU seconds of a phase with the element of `count` scripts."""
    (library,) = environment.glob("lib/python3*/site-packages/diskimage_builder/lib")
    room = folder / "room"
    room.mkdir(exist_ok=True)
    env = {**clean_environment(), "LIB": str(library), "HOOKS": f"{folder}/{count}/bench", "ROOM": str(room)}
    env["PATH"] = f"{dib.HERE}/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    argv = ["unshare", "--mount", "--propagation", "private", "bash", "-c", PHASE]
    return measure(argv, log=folder / "theirs.log", cwd=folder, env=env).cpu


if __name__ == "__main__":
    sys.exit(main())
