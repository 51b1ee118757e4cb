# SPDX-License-Identifier: MIT
"""The tree of an image: its mounts, what is set in it, and the scripts that run in it."""
