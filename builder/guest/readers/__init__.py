# SPDX-License-Identifier: MIT
"""Readers of our own for file systems that no tool reads without a mount."""
