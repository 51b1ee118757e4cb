# SPDX-License-Identifier: MIT
"""`python -m tests.rig.demo.images`: list the images of the cloud that the environment names."""

from __future__ import annotations

import sys

from openstack import connection

from builder.report import Report


def main() -> int:
    """Print a row for each image."""
    rows = [
        (
            image.name,
            image.status,
            image.size or 0,
            image.min_disk,
            f"{image.hash_algo}:{image.hash_value[:16]}…",
        )
        for image in connection.from_config().image.images()
    ]
    Report().table(("name", "status", "bytes", "min_disk", "hash"), rows)
    return 0


if __name__ == "__main__":
    sys.exit(main())
