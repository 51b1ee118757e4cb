# SPDX-License-Identifier: MIT
"""Reading and writing files: whole or not at all, with locks and the old file's attributes."""
