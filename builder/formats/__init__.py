# SPDX-License-Identifier: MIT
"""What lies on disks, as bytes: formats that builders write and checks read."""
