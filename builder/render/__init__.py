# SPDX-License-Identifier: MIT
"""Catalogue and targets in, text out: specs and the files next to them. Pure, no effects."""
