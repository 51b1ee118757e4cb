# SPDX-License-Identifier: MIT
"""Writes the golden files again."""

from __future__ import annotations

import tempfile
from pathlib import Path

from builder.files import write_atomic
from builder.report import Report
from builder.runner import Runner
from tests.golden import PAIRS, expand, golden_path


def main() -> None:
    """Write those that differ, and say which."""
    report = Report()
    with tempfile.TemporaryDirectory() as work:
        for target, package in PAIRS:
            path = golden_path(target, package)
            text = expand(target, package, Path(work), Runner(report))
            if not path.is_file() or path.read_text(encoding="utf-8") != text:
                write_atomic(path, text)
                report.result(str(path))


if __name__ == "__main__":
    main()
