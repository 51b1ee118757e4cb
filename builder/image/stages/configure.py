# SPDX-License-Identifier: MIT
"""Set what the kickstart's commands ask for, before %post."""

from __future__ import annotations

from builder.image.build import Build
from builder.image.settings import accounts, locale, network, repositories, security, services

# In Anaconda's order: scripts may rely on users, and services on nothing.
SETTINGS = (locale, network, repositories, security, accounts, services)


def run(build: Build) -> str:
    """Apply each subject."""
    for subject in SETTINGS:
        subject.apply(build)
    plan = build.plan
    said = [plan.lang, plan.timezone.name, f"{len(plan.users)} users"]
    return ", ".join(said)
