# SPDX-License-Identifier: MIT
"""Glance: uploads a finished image file, compares its hash, and removes what a failed upload leaves."""
