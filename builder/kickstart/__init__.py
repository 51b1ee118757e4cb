# SPDX-License-Identifier: MIT
"""Kickstarts: read with file and line, checked whole, turned into a plan."""
