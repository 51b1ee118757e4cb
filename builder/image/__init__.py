# SPDX-License-Identifier: MIT
"""From an image plan to a qcow2: `pipeline` reads from top to bottom."""
