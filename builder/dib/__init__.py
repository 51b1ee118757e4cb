# SPDX-License-Identifier: MIT
"""diskimage-builder: a plan of ours said in its elements."""
