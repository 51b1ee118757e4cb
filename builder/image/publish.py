# SPDX-License-Identifier: MIT
"""The end of a build, whichever engine made the disk: the folder and the log get their places."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from builder.errors import BuildError
from builder.files import kept_name, replace_file, replace_folder
from builder.image import manifest, pages
from builder.image.build import Build
from builder.image.finished import FinishedImage
from builder.image.packages import repomd
from builder.manifest import write_manifest


def publish(build: Build, result: FinishedImage, states: tuple[repomd.RepositoryState, ...]) -> None:
    """Describe the finished files, and put their folder where `result` says.

    Args:
        states: of the plan's repositories.
    """
    paths = [build.finished / path.name for path in result.files]
    described = manifest.describe(build, paths, states)
    write_manifest(build.finished, described)
    pages.write(build, described, result.folder)
    replace_folder(build.finished, result.folder, result.manifest.name)
    if build.clusters:
        build.clusters.keep()


@contextlib.contextmanager
def log_kept(build: Build, log: Path) -> Iterator[None]:
    """Put the log of the build at `log` in the end, whatever happens, and let errors name it there."""
    try:
        yield
    except BuildError as error:
        if error.log is not None:
            error.log = log
        raise
    finally:
        if build.log.exists():
            replace_file(build.log, log)
        if build.options.keep:
            build.report.note(f"kept: {kept_name(build.work)}")
