# SPDX-License-Identifier: MIT
"""The catalogue: every OpenStack project that we package, as data (specs/services/*.yaml)."""
