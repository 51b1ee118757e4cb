# SPDX-License-Identifier: MIT
"""Guests: boot a finished image on a throw-away overlay, and run the checklist on it."""
