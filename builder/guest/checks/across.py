# SPDX-License-Identifier: MIT
"""Checks over all boots of a run: what must differ between guests, what must stay with one."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from builder.guest.checks.booted import host_keys
from builder.guest.outcome import Check, Outcome, judge_all, not_applicable, not_done
from builder.guest.record import BootRecord

Boots = Sequence[BootRecord]


def _identities_differ(boots: Boots) -> Outcome:
    first = [boot for boot in boots if not boot.is_second]
    if len(first) < 2:
        raise not_applicable("one guest only")
    if any(boot.login_seconds is None for boot in first):
        raise not_done("not every guest could be asked")
    seen: dict[str, list[str]] = defaultdict(list)
    for boot in first:
        seen[f"machine id {boot.good_fact('machine-id')}"].append(boot.label)
        for kind, key in host_keys(boot).items():
            seen[f"{kind} host key {key[-16:]}"].append(boot.label)
    problems = [
        f"{what} is the same in {' and '.join(labels)}" for what, labels in seen.items() if len(labels) > 1
    ]
    return judge_all(problems, f"{len(first)} guests, {len(seen)} identities, all different")


def _identity_kept(boots: Boots) -> Outcome:
    again = [boot for boot in boots if boot.is_second]
    if not again:
        raise not_applicable("no guest was started twice")
    problems, count = [], 0
    for boot in again:
        before = next(other for other in boots if not other.is_second and other.instance is boot.instance)
        if boot.login_seconds is None or before.login_seconds is None:
            raise not_done(boot.failure or before.failure or "no login")
        if boot.good_fact("machine-id") != before.good_fact("machine-id"):
            problems.append(f"{boot.label}: the machine id has changed")
        if host_keys(boot) != host_keys(before):
            problems.append(f"{boot.label}: the host keys have changed")
        count += 1
    return judge_all(problems, f"{count} guests started twice kept machine id and host keys")


CHECKS: tuple[Check[Boots], ...] = (
    Check(
        id="identities-differ",
        rows=(9, 13),
        explanation="Two guests of one image have different machine ids and host keys.",
        judge=_identities_differ,
    ),
    Check(
        id="identity-kept",
        rows=(9, 13),
        explanation="A guest that is started again keeps machine id and host keys (--second-boot).",
        judge=_identity_kept,
    ),
)
