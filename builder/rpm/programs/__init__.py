# SPDX-License-Identifier: MIT
"""Programs of their own, run by rpmbuild or by make lock."""
