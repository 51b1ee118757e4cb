# SPDX-License-Identifier: MIT
"""Marks that a template leaves for another program to fill in: a kickstart that still has them is not one."""

from __future__ import annotations

import re

_FORMS = (
    r"\$\{[A-Za-z_][\w.:-]*\}",  # shell, Terraform, Packer
    r"\$[A-Z][A-Z0-9_]{2,}",
    r"@@?[A-Za-z_][\w-]*@@?",  # autoconf, make
    r"%[A-Z][A-Z0-9_]{2,}%",  # Oz
    r"\{\{.*\}\}",  # Jinja, Go
    r"<%.*%>",  # ERB
    r"__[A-Z][A-Z0-9_]*__",
    r"<[A-Za-z][\w -]*>",  # of manuals
)
# What a line begins with that is an instruction to a template's program: ERB and EPP, Jinja, Go.
TEMPLATE_MARKS = ("<%", "{%", "{{", "{#")
_PLACEHOLDER = re.compile("|".join(_FORMS))


def is_placeholder(text: str) -> bool:
    """Return whether the whole of a value is a placeholder: ${adminpw}, @@PASSWORD@@, %ROOTPW%."""
    return _PLACEHOLDER.fullmatch(text.strip()) is not None
