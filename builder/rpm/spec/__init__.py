# SPDX-License-Identifier: MIT
"""Specs: read, parsed by rpm for a target, and changed."""
