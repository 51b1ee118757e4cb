# SPDX-License-Identifier: MIT
"""The checks: each a function with a name, rows of the checklist and an explanation."""
