# SPDX-License-Identifier: MIT
"""What builds leave for later ones: never needed, believed by its digest only, bounded, known to `clean`."""
