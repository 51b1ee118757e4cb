# SPDX-License-Identifier: MIT
"""Catalogue and targets in, text out: specs and the files that stand beside them. Pure, no effects."""
