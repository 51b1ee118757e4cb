# SPDX-License-Identifier: MIT
"""Set what the kickstart's commands ask for, and what its disk and its repositories need, before %post."""

from __future__ import annotations

from builder.image.build import Build
from builder.image.tree import dracut, growth, repositories, settings
from builder.image.tree.observing import observe
from builder.image.tree.traces import Traces
from builder.kickstart.settings.accounts import Accounts
from builder.kickstart.settings.locale import Locale


def run(build: Build) -> str:
    """Apply each setting of the plan in its order, then the rest."""
    plan = build.plan
    build.facts.after_packages = observe()
    with Traces().noting(build, "the kickstart's commands"):
        for setting in plan.settings:
            settings.apply(build, setting)
        for subject in (repositories, growth, dracut):
            subject.apply(build)
    build.facts.after_commands = observe()
    locale, users = plan.of(Locale), plan.of(Accounts).users
    return f"{locale.lang}, {locale.timezone.name}, {len(users)} user{'' if len(users) == 1 else 's'}"
