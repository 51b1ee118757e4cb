# SPDX-License-Identifier: MIT
"""Koji: the real client library against a stand-in hub, or against a real one (README.md)."""
