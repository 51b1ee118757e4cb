# SPDX-License-Identifier: MIT
"""mkosi and kiwi on the packages of the fixture JeOS, in turns with our own builds.

`python -m tests.rig.bench.peers [--json FILE] [--runs N] [--root FOLDER]`. Both come from Debian's newest
suite, in a root of their own that the cache keeps; debootstrap makes it, which needs root and a mirror of
Debian. Each gets its whole configuration from `peer_files/`, asks for the packages of our image by their
names, and is held to have installed them.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from builder import files, tools
from builder.errors import BuildError
from builder.files import work_folder
from builder.report import Report, format_table
from builder.runner import Child, Runner
from tests.rig.bench import image
from tests.rig.bench.floor import QEMU_IMG
from tests.rig.bench.image import CHANGED, CHECKOUT, Bench, Goal
from tests.rig.bench.measure import Failed, Measured, measure, median
from tests.rig.fixture.repository import KEY, write_metadata
from tests.rig.fixture.rpmpackage import Dependency, RpmPackage
from tests.rig.fixture.rpmwriter import write_rpm
from tests.rig.fixture.signing import new_signer

HERE = Path(__file__).parent / "peer_files"
BARE = CHECKOUT / "tests/rig/bare/run"
SUITE = "sid"
# Where mkosi looks for the key of the Fedora that it believes to install.
MKOSI_KEY = "usr/share/distribution-gpg-keys/fedora/RPM-GPG-KEY-fedora-43-primary"
# Fedora's names for what mkosi's own initrd asks for, and the fixture's package of that kind.
NAMES = {
    "cryptsetup-libs": "libcryptsetup12",
    "libseccomp": "libseccomp2",
    "libfdisk": "libfdisk1",
    "tpm2-tss": None,
    "libfido2": None,
}
FIRST = "first build"
MKOSI_FIRST, MKOSI_CHANGED, KIWI = "mkosi", "mkosi --incremental, only its script changed", "kiwi"
# Theirs, the build of ours that it is compared with, and how many times as long it is to take.
PAIRS = ((MKOSI_FIRST, FIRST, 5), (KIWI, FIRST, 7), (MKOSI_CHANGED, CHANGED, 10))
DIFFERENCES = (
    "mkosi writes a raw disk; qemu-img compresses it, with the options of our own build: that is counted",
    "mkosi's disk has no BIOS boot loader of the image, its initrd is made of packages, not by dracut",
    "kiwi boots by BIOS only here, has its own dracut initramfs, and compresses with zlib",
    "ours boots by both firmwares; its initramfs is the image's own dracut's, made in the first build",
    "all three check signatures; ours looks at the digest of every file's package once more in the manifest",
    "all leave documentation out; ours leaves out other languages, too",
    "ours and theirs write no SELinux labels: the fixture has no policy in this image",
    "theirs run as root, kiwi on a loop device; ours runs each package's scriptlets in a sandbox",
)


def main() -> int:
    """Measure, print, write JSON; return 1 where a goal is missed, else 0."""
    parser = argparse.ArgumentParser(prog="python -m tests.rig.bench.peers", description=__doc__)
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the measures there")
    parser.add_argument("--runs", type=int, default=3, metavar="N", help="of ours; theirs run once")
    parser.add_argument("--root", type=Path, metavar="FOLDER", help="with both, not the cache's")
    args = parser.parse_args()
    report = Report()
    if os.geteuid():
        report.warn("mkosi and kiwi need root here: left out")
        return 0
    runner = Runner(report)
    try:
        root = args.root or prepare(report, runner)
        made = runner.run([sys.executable, "-m", "tests.rig.fixture", "build"], child=Child(cwd=CHECKOUT))
        with work_folder(CHECKOUT / "out", "bench") as work:
            bench = Bench(work=work, fixture=Path(made.stdout.strip()), report=report, runner=runner)
            rows = measure_all(bench, root, args.runs)
        found = versions(root, runner)
    except (Failed, BuildError) as error:
        report.error(error.lines() if isinstance(error, BuildError) else [f"error: {error}"])
        return 1
    except KeyboardInterrupt:
        report.error(["error: interrupted"])
        return 130
    goals = judge(rows)
    show(rows, goals, found)
    if args.json:
        data = {
            "versions": found,
            "measures": {name: one.as_json() for name, one in rows.items()},
            "goals": [goal.as_json() for goal in goals],
            "differences": list(DIFFERENCES),
        }
        args.json.write_text(json.dumps(data, indent=2) + "\n")
    return int(not all(goal.reached for goal in goals))


def prepare(report: Report, runner: Runner) -> Path:
    """Return the root with both, made when the cache has none.

    Raises:
        BuildError: debootstrap or apt failed.
    """
    wanted = (HERE / "tools.txt").read_text().split()
    folder = files.cache_folder("bench") / f"peers-{files.digest_of(wanted)[:16]}"
    with files.locked(folder.with_suffix(".lock")):
        if not (folder / "complete").exists():
            with report.step("root", f"Debian {SUITE} with mkosi and kiwi"):
                log = folder.with_suffix(".log")
                runner.run([BARE, SUITE, "true", folder], log=log)
                for words in (["update", "-q"], ["install", "-q", "-y", "--no-install-recommends", *wanted]):
                    runner.run([*entering(folder, folder.parent, folder.parent), "apt-get", *words], log=log)
            (folder / "complete").touch()
    return folder


def entering(root: Path, repository: Path, share: Path) -> list[str]:
    """Return the words before a command that is to run in the root."""
    return [str(HERE / "enter"), str(root), str(repository), str(share)]


def versions(root: Path, runner: Runner) -> dict[str, str]:
    """Return the versions of what is compared with."""
    query = ["dpkg-query", f"--admindir={root}/var/lib/dpkg", "-W", "-f", "${Package} ${Version}\\n"]
    lines = runner.run([*query, "mkosi", "kiwi", "systemd", "rpm"]).stdout.splitlines()
    return dict(line.split() for line in lines)


def measure_all(bench: Bench, root: Path, runs: int) -> dict[str, Measured]:
    """Return the measures by name."""
    for name in ("out", "cache"):
        (bench.work / name).mkdir()
    kickstart = bench.work / f"{image.NAME}.ks"
    image.write_kickstart(kickstart)
    with bench.report.step("warm up", "ours"):
        image.build(bench, "warm-up")
    packages = sorted(image.packages_of(bench))
    share, repository = bench.work / "share", bench.work / "repository"
    for name in ("mkosi", "mkosi-out", "mkosi-packages", "mkosi-cache", "mkosi-work", "kiwi"):
        (share / name).mkdir(parents=True)
    write_repository(bench, repository)
    key = root / MKOSI_KEY
    key.parent.mkdir(parents=True, exist_ok=True)
    key.write_bytes((repository / "RPM-GPG-KEY").read_bytes())
    # kiwi asks parted to tell the kernel; partx does without device-mapper.
    (root / "etc/kiwi.yml").write_text("mapper:\n  part_mapper: partx\n")
    peers = Peers(bench, entering(root, repository, share), share, packages)
    with bench.report.step("warm up", "mkosi's packages"):
        peers.mkosi("warm-up")
    ours: dict[str, list[Measured]] = {}
    theirs: dict[str, Measured] = {}
    # In turns: what else the machine does meanwhile falls upon all of them.
    steps = [(MKOSI_FIRST, peers.mkosi_first), (MKOSI_CHANGED, peers.mkosi_changed), (KIWI, peers.kiwi)]
    for turn in range(max(runs, len(steps))):
        if turn < runs:
            for name in (FIRST, CHANGED):
                with bench.report.step(name, f"{turn + 1} of {runs}"):
                    emptied = [bench.work / folder for folder in image.OURS[name]]
                    image.write_kickstart(kickstart, turn if name == CHANGED else None)
                    ours.setdefault(name, []).append(image.build(bench, name, emptied))
        for name, run in steps[turn : turn + 1]:
            with bench.report.step(name, "once"):
                theirs[name] = run()
    return {**{name: median(found) for name, found in ours.items()}, **theirs}


def write_repository(bench: Bench, folder: Path) -> None:
    """Make a repository of the fixture's packages and one with Fedora's names, and a file of their keys."""
    folder.mkdir()
    for path in bench.fixture.glob("*.rpm"):
        shutil.copy2(path, folder)
    stand_in = RpmPackage(
        name="fedora-names",
        version="1",
        release="1",
        summary="Names of Fedora that mkosi asks for",
        provides=tuple(map(Dependency, NAMES)),
        requires=tuple(Dependency(name) for name in NAMES.values() if name),
    )
    with new_signer(bench.runner) as signer:
        (folder / stand_in.file_name).write_bytes(write_rpm(stand_in, sign=signer.sign))
        keys = (bench.fixture / KEY).read_bytes() + signer.public_key
    (folder / "RPM-GPG-KEY").write_bytes(keys)
    write_metadata(bench.runner, folder)


class Peers:
    """Their builds, as measured programs.

    Args:
        enter: the words before a command that is to run in their root.
        share: the folder that is /mnt/share there.
        packages: names of those of our image.
    """

    def __init__(self, bench: Bench, enter: list[str], share: Path, packages: list[str]) -> None:
        self.bench, self.enter, self.share, self.packages = bench, enter, share, packages

    def mkosi(self, name: str, *options: str, turn: int = 0) -> Measured:
        """Build mkosi's disk; its script is another one in each turn."""
        folder = self.share / "mkosi"
        shutil.copytree(HERE / "mkosi.repart", folder / "mkosi.repart", dirs_exist_ok=True)
        names = "".join(f"\n        {package}" for package in self.packages)
        (folder / "mkosi.conf").write_text((HERE / "mkosi.conf").read_text().replace("@PACKAGES@", names))
        self._write_script(folder / "mkosi.postinst.chroot", turn)
        # mkosi reads its configuration in the folder where it is.
        words = ["sh", "-c", 'cd /mnt/share/mkosi && exec mkosi "$@"', "mkosi", "-f", *options, "build"]
        found = self._measure(name, [*self.enter, *words])
        listed = json.loads((self.share / "mkosi-out/jeos.manifest").read_text())["packages"]
        self._check("mkosi", (one["name"] for one in listed))
        return found

    def mkosi_first(self) -> Measured:
        """Build a disk from nothing but the packages, and compress it."""
        return _sum(self.mkosi("mkosi"), self._convert())

    def mkosi_changed(self) -> Measured:
        """Fill mkosi's cache, then build with another script, and compress it."""
        self.mkosi("mkosi-filling", "--incremental=yes")
        return _sum(self.mkosi("mkosi-changed", "--incremental=yes", turn=1), self._convert())

    def kiwi(self) -> Measured:
        """Build kiwi's qcow2."""
        folder, out = self.share / "kiwi", self.share / "kiwi-out"
        names = "\n".join(f'    <package name="{package}"/>' for package in [*self.packages, "grub2-common"])
        (folder / "config.xml").write_text((HERE / "kiwi.xml").read_text().replace("@PACKAGES@", names))
        self._write_script(folder / "config.sh", 0)
        with (folder / "config.sh").open("a") as file:
            # Debian's GRUB keeps its files in /boot/grub, kiwi in /boot/grub2.
            file.write("mkdir -p /boot/grub2; ln -sfn grub2 /boot/grub\n")
        build = ["system", "build", "--description", "/mnt/share/kiwi", "--target-dir", "/mnt/share/kiwi-out"]
        words = ["kiwi-ng", "--logfile", "/mnt/share/kiwi.log", *build]
        found = self._measure("kiwi", [*self.enter, *words, "--signing-key", "/mnt/repo/RPM-GPG-KEY"])
        (listed,) = out.glob("*.packages")
        self._check("kiwi", (line.partition("|")[0] for line in listed.read_text().splitlines()))
        return found

    def _convert(self) -> Measured:
        image = self.share / "jeos.qcow2"
        image.unlink(missing_ok=True)
        raw = self.share / "mkosi-out/jeos.raw"
        convert = [str(tools.find("qemu-img")), "convert", "-f", "raw", *QEMU_IMG, str(raw), str(image)]
        return self._measure("mkosi-qcow2", convert)

    def _measure(self, name: str, argv: Sequence[str]) -> Measured:
        log = self.bench.work.parent / f"bench-{name}.log"
        # Without the disk: to walk through what they leave in folders costs as much as the builds.
        return measure(argv, log=log, cwd=self.share)

    def _write_script(self, path: Path, turn: int) -> None:
        path.write_text((HERE / "script").read_text().replace("@TURN@", str(turn)))
        path.chmod(0o755)

    def _check(self, who: str, listed: Iterable[str]) -> None:
        missing = set(self.packages) - set(listed)
        if missing:
            raise Failed(f"{who} did not install {' '.join(sorted(missing))}")


def _sum(*parts: Measured) -> Measured:
    """Return what programs take that run one after the other."""
    return Measured(
        wall=sum(one.wall for one in parts),
        cpu=sum(one.cpu for one in parts),
        memory=max(one.memory for one in parts),
        disk=max(one.disk for one in parts),
    )


def judge(rows: dict[str, Measured]) -> list[Goal]:
    """Return the goals with what was reached."""
    return [
        Goal(name=f"{their} / {our}", value=rows[their].wall / rows[our].wall, bound=bound, at_least=True)
        for their, our, bound in PAIRS
    ]


def show(rows: dict[str, Measured], goals: list[Goal], found: dict[str, str]) -> None:
    """Print the tables, and what differs."""
    table = [(name, f"{one.wall:8.2f}", f"{one.cpu:8.2f}") for name, one in rows.items()]
    print("\n" + ", ".join(f"{name} {version}" for name, version in found.items()))
    print("\n".join(format_table(("", "  wall s", "   CPU s"), table)))
    print("\n" + "\n".join(map(str, goals)))
    for their, our, _ in PAIRS:
        print(f"{f'{their} / {our}, CPU':48} {rows[their].cpu / rows[our].cpu:6.2f}")
    print("\nIt is not the same work:")
    print("\n".join(f"  - {line}" for line in DIFFERENCES))


if __name__ == "__main__":
    sys.exit(main())
