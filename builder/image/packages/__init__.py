# SPDX-License-Identifier: MIT
"""Packages for an image: repositories, keys, and dnf."""
