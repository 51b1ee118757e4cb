# SPDX-License-Identifier: MIT
"""The current folder may be anybody's: programs that are started there import no module from it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]

ASK = (
    "from builder.download import pip_settings; from builder.report import Report;"
    "from builder.runner import Runner; print(pip_settings(Runner(Report())))"
)


def test_pip_is_asked_without_modules_of_the_current_folder(tmp_path: Path) -> None:
    for name in ("pip", "json", "re"):
        (tmp_path / f"{name}.py").write_text(f"open('{name}.ran', 'w')\n")

    done = subprocess.run(
        [sys.executable, "-P", "-c", ASK],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, check=True,
    )  # fmt: skip

    assert "index-url" in done.stdout
    assert not list(tmp_path.glob("*.ran"))
