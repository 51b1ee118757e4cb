# SPDX-License-Identifier: MIT
"""Ini files as text: reading and editing them in three dialects, with every other byte kept."""
