# SPDX-License-Identifier: MIT
"""The test rig: what tests, demo and bench stand on, and programs to run by hand; nothing here is a test."""
