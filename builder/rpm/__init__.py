# SPDX-License-Identifier: MIT
"""From specs to source and binary RPMs, and to a repository of them."""
