# SPDX-License-Identifier: MIT
"""What pyproject.toml cannot say: a wheel holds what the program reads, in builder/source.

In a checkout specs/, kickstarts/ and utils/ stand next to builder/, and an editable installation reads them
there; builder/places.py has the whole rule.
"""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).resolve().parent
READ = ("LICENSE", "kickstarts", "specs", "utils")
# Made by tools; `openstack-builder rpm` renders services.json itself.
MADE = shutil.ignore_patterns("__pycache__", "*.pyc", "*~", ".*_cache", "services.json")


class BuildWithSource(build_py):
    """build_py, and the source tree in the package."""

    def run(self) -> None:
        super().run()
        if self.editable_mode:
            return
        folder = Path(self.build_lib) / "builder" / "source"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        for name in READ:
            if (ROOT / name).is_dir():
                shutil.copytree(ROOT / name, folder / name, ignore=MADE)
            else:
                shutil.copy2(ROOT / name, folder)


setup(cmdclass={"build_py": BuildWithSource})
