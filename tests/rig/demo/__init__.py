# SPDX-License-Identifier: MIT
"""The whole main job as a user would do it, command by command: `make demo`."""
