# SPDX-License-Identifier: MIT
"""The disk of an image: where its partitions lie, their file systems, the boot loader, the qcow2."""
