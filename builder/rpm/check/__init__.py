# SPDX-License-Identifier: MIT
"""Checks finished RPMs for their target: each rule a function, what it means in specs/checks/rules.yaml."""
