# SPDX-License-Identifier: MIT
"""What keeps a build apart from the host: namespaces, mounts, ids, and rooms for foreign programs."""
