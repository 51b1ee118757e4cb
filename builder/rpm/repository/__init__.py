# SPDX-License-Identifier: MIT
"""Repositories of built RPMs: metadata, groups, signatures."""
