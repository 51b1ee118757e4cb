# SPDX-License-Identifier: MIT
"""What is on disks, as bytes: formats that builders write and checks read."""
