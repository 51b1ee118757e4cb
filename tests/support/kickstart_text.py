# SPDX-License-Identifier: MIT
"""Plans of kickstarts that a test writes down: the ground that the test_kickstart_* files share."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from builder.formats.partitions import PartitionTable
from builder.kickstart.choices import Choices
from builder.kickstart.findings import Findings
from builder.kickstart.plan import ImagePlan
from builder.kickstart.planner import make_plan
from builder.targets import find_target

# A kickstart that nothing is wrong with; tests add what they are about.
DISK = "part biosboot --size=1\npart /boot/efi --size=64\npart / --fstype=ext4 --size=2000\n"
REST = "rootpw --lock\nurl --url=https://mirror.example/os/\n%packages\n@core\n%end\n"
GOOD = DISK + REST


def plan_text(
    folder: Path,
    text: str,
    *,
    ksversion: str | None = "F45",
    target: str = "fedora-45",
    pre_files: Mapping[str, str] | None = None,
    pre_disk: PartitionTable | None = None,
    choices: Choices | None = None,
) -> tuple[ImagePlan, Findings]:
    """Return the plan of `text`, written to `folder`/test.ks, and what was found."""
    path = folder / "test.ks"
    path.write_text(text, encoding="utf-8")
    findings = Findings()
    chosen = choices or Choices(ksversion=ksversion)
    plan = make_plan(
        path, findings, target=find_target(target), choices=chosen, pre_files=pre_files, pre_disk=pre_disk
    )
    return plan, findings


def reported(findings: Findings, folder: Path) -> list[str]:
    """Return the errors and warnings as lines, with paths below `folder` shortened."""
    lines = [f"error: {problem}" for problem in findings.errors]
    lines += [f"warning: {problem}" for problem in findings.warnings]
    return [line.replace(f"{folder}/", "") for line in lines]
