# SPDX-License-Identifier: MIT
"""Units of bytes (IEC 80000-13)."""

from __future__ import annotations

KIB = 1 << 10
MIB = 1 << 20
GIB = 1 << 30
TIB = 1 << 40
