# SPDX-License-Identifier: MIT
"""Measures: `make bench`."""
