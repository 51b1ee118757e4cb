# SPDX-License-Identifier: MIT
"""Set what the kickstart's commands ask for, before %post."""

from __future__ import annotations

from builder.image.build import Build
from builder.image.tree.observing import observe
from builder.image.tree.settings import (
    accounts,
    growth,
    initramfs,
    locale,
    network,
    repositories,
    security,
    services,
)
from builder.image.tree.traces import noting

# In Anaconda's order: scripts may rely on users, and services on nothing.
SETTINGS = (locale, network, repositories, security, accounts, services, growth, initramfs)


def run(build: Build) -> str:
    """Apply each subject."""
    build.facts.after_packages = observe()
    with noting(build, "the kickstart's commands"):
        for subject in SETTINGS:
            subject.apply(build)
    build.facts.after_commands = observe()
    plan = build.plan
    users = f"{len(plan.users)} user{'' if len(plan.users) == 1 else 's'}"
    said = [plan.lang, plan.timezone.name, users]
    return ", ".join(said)
