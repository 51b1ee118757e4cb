# SPDX-License-Identifier: MIT
"""What the completion of a utility offers in bash."""

from __future__ import annotations

import subprocess
from pathlib import Path

from builder.catalogue.hostdata import render_services
from builder.catalogue.load import load_catalogue

UTILS = Path(__file__).resolve().parents[2] / "utils"
INSTALLED = "/usr/share/openstack-utils"


def offered(folder: Path, words: list[str], before: str = "") -> list[str]:
    """Return what is offered for the last of `words`, the first of which is the command.

    Args:
        folder: an empty one, which stands for /usr/share/openstack-utils.
        before: what the shell knows besides, such as functions.
    """
    (folder / "services.json").write_text(render_services(load_catalogue()), encoding="utf-8")
    (folder / "projects.awk").write_bytes((UTILS / "projects.awk").read_bytes())
    completion = (UTILS / "completion" / words[0]).read_text(encoding="utf-8")
    script = (
        f"{completion.replace(INSTALLED, str(folder))}\ncompopt() {{ :; }}\n{before}\n"
        'COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))\n'
        f'_{words[0].replace("-", "_")}; printf "%s\\n" "${{COMPREPLY[@]}}"'
    )
    done = subprocess.run(["bash", "-c", script, "bash", *words], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return done.stdout.split()
