# SPDX-License-Identifier: MIT
"""`python -m tests.rig.bench [SUITE...] [--json FILE] [--runs N]`: run suites, print tables, write JSON.

A suite is a module of this folder that is a program of its own: `python -m tests.rig.bench.SUITE --json FILE`
prints its table, writes its numbers to FILE, and ends with 0, or with 1 where a goal is missed.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from builder.files import write_atomic
from tests.rig.bench import machine

CHECKOUT = Path(__file__).resolve().parents[3]
# Suite -> the option that says how often each measure is taken.
SUITES = {
    "image": "--runs",
    "peers": "--runs",
    "filesystems": "--runs",
    "config": "--rounds",
    "sample_data": "--runs",
    "db": "--runs",
    "rpm": "--runs",
    "sandbox": "--runs",
    "solve": "--runs",
    "elements": "--runs",
    "status": "--runs",
    "koji": "--runs",
    "upload": "--rounds",
}


def main() -> int:
    """Run the suites; return 1 where one missed a goal or failed, else 0."""
    there = [name for name in SUITES if Path(__file__).with_name(f"{name}.py").exists()]
    parser = argparse.ArgumentParser(prog="python -m tests.rig.bench", description=__doc__)
    parser.add_argument("suites", nargs="*", metavar="SUITE", help=f"of {', '.join(there)} (default: all)")
    parser.add_argument("--json", type=Path, default=CHECKOUT / "out/bench.json", metavar="FILE")
    parser.add_argument("--runs", type=int, metavar="N", help="take each measure so often")
    args = parser.parse_args()
    unknown = [name for name in args.suites if name not in there]
    if unknown:
        parser.error(f"no suite {', '.join(unknown)}; there are {', '.join(there)}")
    args.json.parent.mkdir(parents=True, exist_ok=True)
    found: dict[str, object] = {
        "format": 1,
        "started": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "machine": machine.describe(args.json.parent),
        "load_before": machine.load(),
    }
    results = {name: run(name, args.runs) for name in args.suites or there}
    found |= {"load_after": machine.load(), "suites": results}
    write_atomic(args.json, json.dumps(found, indent=2) + "\n")
    print(f"\n{args.json}")
    return int(any(result["exit"] for result in results.values()))


def run(suite: str, runs: int | None) -> dict[str, object]:
    """Run one suite as a process; return its JSON, its exit code and the load around it."""
    print(f"\n== {suite}", flush=True)
    before = machine.load()
    with tempfile.TemporaryDirectory() as folder:
        result = Path(folder, "result.json")
        argv = [sys.executable, "-m", f"tests.rig.bench.{suite}", "--json", str(result)]
        argv += [SUITES[suite], str(runs)] if runs else []
        status = subprocess.run(argv, cwd=CHECKOUT, check=False).returncode
        numbers = json.loads(result.read_text()) if result.exists() else None
    return {"exit": status, "load_before": before, "load_after": machine.load(), "result": numbers}


if __name__ == "__main__":
    sys.exit(main())
