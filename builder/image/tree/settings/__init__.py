# SPDX-License-Identifier: MIT
"""What a kickstart's commands set in the tree, one module a subject, each with `apply(build)`."""
