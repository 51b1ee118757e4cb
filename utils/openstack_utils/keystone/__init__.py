# SPDX-License-Identifier: MIT
"""Keystone: its HTTP interface, and the ways to log in as its administrator."""
