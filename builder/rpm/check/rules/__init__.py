# SPDX-License-Identifier: MIT
"""The rules, by subject. What each means, and how bad it is, is in specs/checks/rules.yaml."""

from __future__ import annotations

from builder.rpm.check.context import Rule
from builder.rpm.check.rules import files, lifecycle, lint, payload, places, requirements, scripts, services

RULES: tuple[Rule, ...] = (
    *payload.RULES,
    *places.RULES,
    *files.RULES,
    *scripts.RULES,
    *services.RULES,
    *lifecycle.RULES,
    *requirements.RULES,
    *lint.RULES,
)
