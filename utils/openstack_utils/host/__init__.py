# SPDX-License-Identifier: MIT
"""The host of a command: its terminal, signals, threads and processes."""
