# SPDX-License-Identifier: MIT
"""One build on its way: what it was asked, what it found out, and where its folders are."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from builder.errors import BuildError, InputError, Problem, RemoteError
from builder.image.disk.bootloader import BootableBy
from builder.image.disk.placement import DiskLayout
from builder.image.isolation.door import Door
from builder.image.observed import Observed
from builder.image.packages.choice import Choice, ChosenPackage
from builder.kickstart.plan import ImagePlan, Script
from builder.manifest import OperatingSystem
from builder.report import Report, Step
from builder.runner import Runner
from builder.targets import Target
from builder.timeline import Span

if TYPE_CHECKING:
    # It brings what compresses, of which an image that is unchanged needs nothing.
    from builder.image.cache.clusters import Clusters
    from builder.image.tree.untouched import Watch

# Inside, the raw disk: one file of the host's, the only one that may be written.
DISK = Path("/disk.raw")
# Warnings that the manifest gets, and characters of one.
MOST_WARNINGS = 1000
LONGEST_WARNING = 2000
# Inside, the tree of the image. Each planned file system is a tmpfs of its planned size, mounted here.
TREE = Path("/tree")
# Inside, the tree with the target's own rpm, where that installs the packages.
BOOTSTRAP = Path("/work/bootstrap")


@dataclass(frozen=True, kw_only=True, slots=True)
class BuildOptions:
    """How to build, as the command line says it.

    `memory_share` is the part of the available memory, in percent, that the image's trees may take.
    `ks_arguments` are what /proc/cmdline says to scripts.
    `keep_files` are paths of the image that are not cleaned away, whatever they are.
    `solver` is `dnf` or `libdnf5`; None: whichever the host has.
    `bootstrap`: the target's own rpm installs the packages, not the host's.
    `formats` of the finished files, from `builder.formats.diskimage`; the first is the artifact's.
    """

    out: Path
    network: bool = False
    keep: bool = False
    compat: bool = False
    memory_share: int = 50
    keep_files: tuple[str, ...] = ()
    ks_arguments: tuple[str, ...] = ()
    solver: str | None = None
    bootstrap: bool = False
    timeline: Path | None = None
    formats: tuple[str, ...] = ("qcow2",)
    source_date_epoch: int


@dataclass(kw_only=True)
class Facts:
    """What the stages found out, for later stages; travels between the processes of a build.

    `authored` has what scripts and commands made in places that are cleaned: path -> who; `kept` what is
    left of it in the end; `changed` are the files and folders that scripts, which began at `scripts_began`,
    changed or made (ctime, ns), `removed` the packages that they removed. Settings are observed after the
    packages, after the commands, and at the end.
    """

    packages: tuple[ChosenPackage, ...] = ()
    installed_size: int = 0
    warnings: list[str] = field(default_factory=list)
    authored: dict[str, str] = field(default_factory=dict)
    kept: tuple[str, ...] = ()
    scripts_began: int | None = None
    changed: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    boot_by_scripts: tuple[str, ...] = ()  # of `changed`, as it was before we wrote into /boot again
    failed_scripts: tuple[str, ...] = ()
    boot_timeout: int | None = None  # that a script asked for
    grub_defaults: str = ""  # /etc/default/grub before the scripts
    grub_menu: str = ""  # grub.cfg before the scripts
    after_packages: Observed | None = None
    after_commands: Observed | None = None
    at_end: Observed | None = None
    layout: DiskLayout | None = None
    firmware: BootableBy | None = None
    kernel_arguments: tuple[str, ...] = ()
    os: OperatingSystem | None = None
    stages: list[tuple[str, float]] = field(default_factory=list)
    spans: list[Span] = field(default_factory=list)
    files: dict[str, int] = field(default_factory=dict)  # path -> bytes, in the end


@dataclass(frozen=True, kw_only=True, slots=True)
class Initramfs:
    """An initramfs as it was put into the tree, and the digest of what dracut read for it."""

    inputs: str
    content: bytes


@dataclass(kw_only=True)
class Build:
    """What every stage gets.

    `work` is the work folder: its host path outside, a folder of its own in memory inside. `disk` is the raw
    disk: DISK inside. `seed` is what identifiers of the disk are made from, `request` what dnf's worker gets,
    `choice` what it chose. `door` leads from the inside to the outside. `initramfs` is what was made before
    scripts ran, by kernel, `clusters` what compressed the image; `watch` knows which files are as packages
    brought them. `bootstrap` is the archive with the target's own rpm, where that installs the packages.
    `step` is the line of progress of the running stage.
    `memory` has the bytes that the tree may take, where other builds run at the same time.
    `tree_key` is the key of the installed tree in the cache, where it gets there. `digests` are those of
    finished files that were computed while they were written (`builder.image.manifest.ALGORITHMS`).
    """

    plan: ImagePlan
    target: Target
    options: BuildOptions
    report: Report
    runner: Runner
    work: Path
    disk: Path
    fingerprint: str
    seed: str
    request: dict[str, Any]
    facts: Facts = field(default_factory=Facts)
    choice: Choice | None = None
    step: Step | None = None
    door: Door | None = None
    initramfs: dict[str, Initramfs] = field(default_factory=dict)
    clusters: Clusters | None = None
    watch: Watch | None = None
    memory: int | None = None
    bootstrap: Path | None = None
    tree_key: str | None = None
    digests: dict[Path, tuple[str, ...]] = field(default_factory=dict)

    def go_inside(self, door: Door) -> None:
        """Be the build as the inside has it: what it says and asks goes through `door`."""
        self.report, self.runner, self.door = door.report, Runner(door.report), door
        self.work, self.disk = Path("/work"), DISK

    def ask(self, name: str, text: str, content: bytes = b"") -> bytes:
        """Ask the outside, from inside (`builder.image.isolation.door`)."""
        assert self.door is not None
        return self.door.ask(name, text, content)

    @property
    def log(self) -> Path:
        """The log of the build."""
        return self.work / "build.log"

    @property
    def finished(self) -> Path:
        """The folder of the finished files, before it gets its name."""
        return self.work / "result"

    def reproducible_environment(self, *, packages: int = 0) -> dict[str, str]:
        """Return what keeps the time of the build out of files (https://reproducible-builds.org/specs).

        Args:
            packages: how many rpm installs: it writes the time that it is given into its database, and
                counts on a second for each (lib/rpmts.c, rpmtsGetTime). None is to be later than the epoch.
        """
        return {"SOURCE_DATE_EPOCH": str(max(0, self.options.source_date_epoch - packages))}

    def share_of(self, available: int) -> int:
        """Return how many bytes of the `available` memory the trees of this build may take."""
        share = available * self.options.memory_share // 100
        return share if self.memory is None else min(share, self.memory)

    def scripts(self, section: str) -> tuple[Script, ...]:
        """Return the scripts of a section, in the order written."""
        return tuple(script for script in self.plan.scripts if script.section == section)

    def warn(self, message: str) -> None:
        """Warn the user and remember it for the manifest, unless there are more than anybody would cause.

        A second time the same is not said: dnf's worker looks for packages when it chooses, and to install.
        """
        if len(self.facts.warnings) > MOST_WARNINGS or message[:LONGEST_WARNING] in self.facts.warnings:
            return
        if len(self.facts.warnings) == MOST_WARNINGS:
            message = f"there are more than {MOST_WARNINGS} warnings: the rest is not shown"
        message = message[:LONGEST_WARNING]
        self.report.warn(message)
        self.facts.warnings.append(message)

    def written(self, message: str) -> None:
        """Write a line into the log."""
        with self.log.open("a") as file:
            file.write(message + "\n")


def failure(event: dict[str, Any], plan: ImagePlan, log: Path) -> BuildError:
    """Return the error that an `error` event of dnf's worker, or of another `program`, stands for."""
    kind, message = event["kind"], event["message"]
    if kind == "missing":
        problems = []
        for spec in event["specs"]:
            name = spec["name"]
            place = plan.packages.places.get(name) or plan.packages.places.get(name.replace("@^", "@"))
            near = f"did you mean {spec['nearest']}?" if spec["nearest"] else "see the repositories' lists"
            what = "group" if name.startswith("@") else "package"
            problems.append(
                Problem(
                    where=str(place) if place else None,
                    message=f"{what} {name} is in none of the repositories",
                    hint=near,
                )
            )
        return InputError(message, problems=problems)
    if kind == "depsolve":
        return InputError(f"the packages cannot be installed together: {message}", log=log)
    if kind == "verify":
        return BuildError(
            f"a package is not signed by a key that you trust, or is damaged: {message}",
            hint="name the right key with --gpgkey, or clean the cache if the file is damaged",
            log=log,
        )
    if kind in ("repo", "fetch"):
        return RemoteError(message, hint="check the repositories' addresses: --repo NAME=URL", log=log)
    if any(said in message for said in ("more space needed", "more space on", "more inodes on")):
        return InputError(
            f"the disk is too small: {message}",
            hint="make the partition larger (part --size), or the build's memory (--memory-share)",
            log=log,
        )
    details = "; ".join(event.get("details", ()))
    program = event.get("program", "dnf")
    return BuildError(f"{program}: {message}" + (f": {details}" if details else ""), log=log)
