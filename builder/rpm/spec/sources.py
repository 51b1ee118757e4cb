# SPDX-License-Identifier: MIT
"""Finds the files that a spec names as its sources: made from the checkout, next to the spec, or remote."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from builder.download import Remote
from builder.errors import InputError, Problem
from builder.rpm import programs
from builder.rpm.spec.tags import SpecSource
from builder.schema import show_path

# What a spec may run while it is built, on a host without openstack-builder too.
PROGRAMS = Path(programs.__path__[0])


@dataclass(frozen=True, kw_only=True, slots=True)
class SourceFiles:
    """The files for rpm's SOURCES: the archive made here, `local` ones next to the spec, `remote` ones."""

    made: str | None = None
    local: tuple[Path, ...] = ()
    remote: tuple[Remote, ...] = ()


def find_sources(spec: Path, sources: Iterable[SpecSource], *, made: str | None) -> SourceFiles:
    """Return where each source of a spec comes from.

    A local file is in the folder of the spec, in the folder there that has the spec's name, or a program of
    builder.rpm.programs. One with a sha256 and without a URL is a file of the Python package index.

    Args:
        made: the name of the archive that will be made.

    Raises:
        InputError: for every file that is not there, and every URL without a right sha256.
    """
    local: list[Path] = []
    remote: list[Remote] = []
    problems = []
    for source in sources:
        if source.name == made:
            continue
        if not source.is_remote:
            places = [folder / source.name for folder in (spec.parent, spec.with_suffix(""), PROGRAMS)]
            there = [place for place in places if place.is_file()]
            local += there[:1]
            if not there:
                problems.append(
                    Problem(where=_where(spec, source), message=f"{source.tag}: {places[0]} does not exist")
                )
            continue
        try:
            if source.sha256 is None:
                raise ValueError('needs a line "# sha256: …" above it')
            url = source.location if "://" in source.location else f"pypi:///{source.location}"
            remote.append(Remote(url=url, sha256=source.sha256, name=source.name))
        except ValueError as error:
            problems.append(Problem(where=_where(spec, source), message=f"{source.tag}: {error}"))
    if problems:
        raise InputError(problems=problems)
    return SourceFiles(made=made, local=tuple(local), remote=tuple(remote))


def _where(spec: Path, source: SpecSource) -> str:
    return f"{show_path(spec)}:{source.line}"
