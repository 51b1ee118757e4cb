# SPDX-License-Identifier: MIT
"""What distinguishes the targets of one release in a spec, as an rpm expression."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from builder.targets import Target, TargetFamily

MACRO = {TargetFamily.FEDORA: "fedora", TargetFamily.EL: "rhel", TargetFamily.FIXTURE: "fixture"}

# rpm makes the accounts that a package's sysusers.d file names, and puts them into groups (its "m" lines),
# from these versions on.
ACCOUNTS_SINCE = "4.19"
MEMBERS_SINCE = "4.20"


def expression(targets: Sequence[Target], chosen: Callable[[Target], bool]) -> str | None:
    """Return the expression for %if that holds for the chosen ones of `targets`; None when none is.

    A family that is chosen as a whole is named without numbers, so that a newer release of it fits too.
    """
    terms = []
    for family in TargetFamily:
        members = [target for target in targets if target.family is family]
        wanted = [target for target in members if chosen(target)]
        macro = MACRO[family]
        if wanted and wanted == members:
            terms.append(f"0%{{?{macro}}}")
        else:
            terms += [f"0%{{?{macro}}} == {target.releasever}" for target in wanted]
    return " || ".join(terms) or None


def environments(targets: Sequence[Target]) -> dict[str, str]:
    """Return the Pythons (`3.12`) that run the services on `targets`: each with the expression for %if.

    A target without one is none of them.
    """
    pythons = {target.environment.version for target in targets if target.environment}
    found = {}
    for python in sorted(pythons, key=lambda version: int(version.partition(".")[2])):
        condition = expression(targets, partial(_runs_services_with, python))
        assert condition is not None
        found[python] = condition
    return found


def _runs_services_with(python: str, target: Target) -> bool:
    return target.environment is not None and target.environment.version == python


def makes_accounts(target: Target) -> bool:
    """Say whether the target's rpm makes the accounts of sysusers.d files."""
    return target.rpm.is_at_least(ACCOUNTS_SINCE)


def makes_members(target: Target) -> bool:
    """Say whether the target's rpm puts accounts into groups."""
    return target.rpm.is_at_least(MEMBERS_SINCE)
