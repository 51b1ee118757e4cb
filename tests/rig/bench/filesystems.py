# SPDX-License-Identifier: MIT
"""The fixture JeOS on ext4, xfs, btrfs and xfs on LVM; and a tree of 60,000 files and 2 GB written to each.

`python -m tests.rig.bench.filesystems [--json FILE] [--runs N] [--without-tree]`. Builds take packages,
metadata and initramfs from the cache; the file systems take turns, so that other load meets all alike.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from builder.errors import BuildError
from builder.files import work_folder
from builder.image.disk import filesystems, layout, table
from builder.image.disk.filesystems.disk import DiskFile
from builder.image.disk.volumes.metadata import write_groups
from builder.kickstart import plan
from builder.kickstart.plan import LogicalVolume, Partition, VolumeGroup
from builder.report import Report, format_table
from builder.runner import Child, Runner, clean_environment
from builder.sizes import MIB
from tests.rig.bench.measure import Failed, Measured, measure, median

CHECKOUT = Path(__file__).resolve().parents[3]
EPOCH = 1_750_000_000
# Kickstart lines for / on each, and packages that it wants more.
DISKS = {
    "ext4": ("part / --fstype=ext4 --size=1800\n", ""),
    "xfs": ("part / --fstype=xfs --size=1800\n", "xfsprogs"),
    "btrfs": (
        "part btrfs.1 --size=1800\nbtrfs none --label=system btrfs.1\n"
        "btrfs / --subvol --name=root LABEL=system\nbtrfs /home --subvol --name=home LABEL=system\n",
        "btrfs-progs",
    ),
    "xfs on LVM": (
        "part /boot --fstype=xfs --size=400\npart pv.1 --size=1801\nvolgroup bench pv.1\n"
        "logvol / --vgname=bench --name=root --fstype=xfs --size=1600\n",
        "xfsprogs\nlvm2",
    ),
}
# How much longer than on ext4 a build may take.
GOALS = {"xfs": 1.1, "btrfs": 1.5}
SIZE = 3000
PARTITIONS = {
    "ext4": (Partition(mountpoint="/", fstype="ext4", size=SIZE),),
    "xfs": (Partition(mountpoint="/", fstype="xfs", size=SIZE),),
    "btrfs": (Partition(mountpoint="/", fstype="btrfs", size=SIZE),),
    "xfs on LVM": (Partition(mountpoint=None, fstype="lvm", size=SIZE + 1, name="pv.1"),),
}
GROUP = VolumeGroup(
    name="bench",
    members=("pv.1",),
    volumes=(LogicalVolume(name="root", mountpoint="/", fstype="xfs", size=SIZE // 4 * 4),),
)


def main() -> int:
    """Measure, print, write JSON; return 1 where a goal is missed, else 0."""
    parser = argparse.ArgumentParser(prog="python -m tests.rig.bench.filesystems", description=__doc__)
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the measures there")
    parser.add_argument("--runs", type=int, default=3, metavar="N", help="of each; the median counts")
    parser.add_argument("--without-tree", action="store_true", help="leave the tree of 60,000 files out")
    args = parser.parse_args()
    report = Report()
    runner = Runner(report)
    try:
        made = runner.run([sys.executable, "-m", "tests.rig.fixture", "build"], child=Child(cwd=CHECKOUT))
        with work_folder(CHECKOUT / "out", "bench") as work:
            fixture = Path(made.stdout.strip())
            builds = take_turns({name: partial(build, work, fixture, name) for name in DISKS}, args.runs)
            trees = {} if args.without_tree else measure_tree(work, runner, args.runs)
    except (Failed, BuildError) as error:
        report.error([f"error: {error}"])
        return 1
    quotients = {name: builds[name].wall / builds["ext4"].wall for name in GOALS}
    of_cpu = {name: builds[name].cpu / builds["ext4"].cpu for name in GOALS}
    show(builds, trees, quotients, of_cpu)
    if args.json:
        found = {
            "runs": args.runs,
            "builds": {name: row.as_json() for name, row in builds.items()},
            "tree": trees,
            "next to ext4": {name: round(value, 3) for name, value in quotients.items()},
        }
        args.json.write_text(json.dumps(found, indent=2) + "\n")
    return int(any(quotients[name] > bound for name, bound in GOALS.items()))


def take_turns(rows: dict[str, Callable[[], Measured]], runs: int) -> dict[str, Measured]:
    """Run each of `rows` once without counting, then `runs` times in turn; return the medians."""
    found: dict[str, list[Measured]] = {name: [] for name in rows}
    for turn in range(runs + 1):
        for name, run in rows.items():
            measured = run()
            if turn:
                found[name].append(measured)
    return {name: median(measures) for name, measures in found.items()}


def build(work: Path, fixture: Path, name: str) -> Measured:
    """Build the JeOS with its root on `name`; return what that took."""
    lines, packages = DISKS[name]
    word = name.replace(" ", "-")
    kickstart = work / f"{word}.ks"
    folder = CHECKOUT / "kickstarts/include"
    disk = f"clearpart --disklabel=gpt\nreqpart\n{lines}{_loader()}"
    # The package of this project is not in the fixture's repository.
    changes = {
        "%include disk.ks\n": disk,
        "openstack-utils\n": f"{packages}\n",
        "%include ": f"%include {folder}/",
    }
    text = (folder / "fixture.ks").read_text()
    for old, new in changes.items():
        if old not in text:
            raise Failed(f"{folder}/fixture.ks has no more {old.strip()}")
        text = text.replace(old, new)
    kickstart.write_text(text)
    argv: list[str | Path] = [sys.executable, "-m", "builder", "image", kickstart, "--target", "fixture-12"]
    argv += ["--repo", f"fixture={fixture}", "--gpgkey", fixture / "RPM-GPG-KEY-fixture"]
    out = work / "out"
    environment = {**clean_environment(), "XDG_CACHE_HOME": str(work / "cache")}
    for path in (out / word).glob("*"):
        path.unlink()
    return measure(
        [*argv, "--out", out], log=work / f"{word}.log", folders=[out], cwd=CHECKOUT, env=environment
    )


def _loader() -> str:
    lines = (CHECKOUT / "kickstarts/include/disk.ks").read_text().splitlines(keepends=True)
    return "".join(line for line in lines if line.startswith("bootloader"))


def measure_tree(work: Path, runner: Runner, runs: int) -> dict[str, float]:
    """Return the seconds that each writer takes for a tree of 60,000 files and 2 GB."""
    tree = work / "tree"
    make_tree(tree)
    found: dict[str, list[float]] = {name: [] for name in PARTITIONS}
    for _ in range(runs):
        for name, partitions in PARTITIONS.items():
            groups = (GROUP,) if "LVM" in name else ()
            placed = layout.place(plan.Disk(partitions=partitions, groups=groups), seed="bench", content={})
            disk = DiskFile(file=work / "disk.raw", runner=runner, epoch=EPOCH, work=work)
            started = time.monotonic()
            table.make_file(disk.file, placed)
            table.write_table(disk.file, placed, runner=runner)
            write_groups(disk.file, placed, epoch=EPOCH)
            filesystems.write_all(disk, placed, {"/": tree})
            found[name].append(time.monotonic() - started)
            disk.file.unlink()
    return {name: round(sorted(times)[len(times) // 2], 2) for name, times in found.items()}


def make_tree(tree: Path) -> None:
    """Make 60,000 files of 1 to 60 KiB in 600 folders, and one that brings them to 2 GB."""
    block = os.urandom(61 << 10)
    total = 0
    for folder in range(600):
        (tree / f"folder-{folder:03d}").mkdir(parents=True)
        for number in range(100):
            size = 1024 + (folder * 100 + number) * 7919 % (59 << 10)
            (tree / f"folder-{folder:03d}/file-{number:02d}").write_bytes(block[:size])
            total += size
    with (tree / "large").open("wb") as file:
        while total < 2_000_000_000:
            total += file.write(os.urandom(MIB))


def show(
    builds: dict[str, Measured],
    trees: dict[str, float],
    quotients: dict[str, float],
    of_cpu: dict[str, float],
) -> None:
    """Print the tables. Quotients of CPU hold on a machine that does other things too."""
    rows = [
        (
            name, round(row.wall, 1), round(row.cpu, 1), round(row.memory / 1e6),
            trees.get(name, 0.0),
        )
        for name, row in builds.items()
    ]  # fmt: skip
    for line in format_table(("the JeOS on", "seconds", "CPU", "memory MB", "the tree, s"), rows):
        print(line)
    for name, bound in GOALS.items():
        word = "reached" if quotients[name] <= bound else "MISSED"
        print(f"{name} / ext4  {quotients[name]:.2f} (CPU {of_cpu[name]:.2f})   <= {bound} {word}")


if __name__ == "__main__":
    sys.exit(main())
