# SPDX-License-Identifier: MIT
"""Finds the parts of openstack-python-bundled in the package index that pip is set to.

uv chooses the versions, because it can for a Python that is not on this host: pip judges markers
(`python_version < "3.12"`) by the Python that it runs on. pip chooses the file of each: the best wheel for
that Python and the oldest glibc of its targets, else the source archive.
"""

from __future__ import annotations

import importlib.util
import json
import sys
import urllib.parse
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from builder import json_text
from builder.download import Remote, fetch, pip_settings, pip_variables
from builder.errors import InputError, Problem, ToolMissing
from builder.rpm.bundle.metadata import find_license
from builder.rpm.bundle.parts import TABLE, Part, PartsTable, normalize
from builder.runner import Runner
from builder.schema import show_path

# The platform tags of wheels before there was one for each glibc (PEP 513, 571, 599), with the glibc of each.
_OLDER = {"manylinux2014": 17, "manylinux2010": 12, "manylinux1": 5}


@dataclass(frozen=True, kw_only=True, slots=True)
class Question:
    """What is to be resolved, and for which Pythons: `3.12` -> the oldest glibc, `2.34`, of its targets.

    `projects` (name -> version) are asked for and have packages of their own; `more` is asked for besides.
    """

    pythons: Mapping[str, str]
    projects: Mapping[str, str]
    more: Sequence[str]
    table: PartsTable


def choose_versions(
    question: Question, preferred: Mapping[str, Mapping[str, str]], runner: Runner
) -> dict[str, dict[str, str]]:
    """Return name -> version of all that is needed, without the projects, for each Python.

    Args:
        preferred: versions that are kept where they fit, for each Python. What one Python has got is
            preferred for the others.

    Raises:
        CommandFailed: no versions fit together; the text says which.
        ToolMissing: uv is not installed.
    """
    if importlib.util.find_spec("uv") is None:
        raise ToolMissing("uv is not installed", hint=f"{sys.executable} -m pip install uv")
    asked = [f"{name}=={version}" for name, version in question.projects.items()]
    chosen: dict[str, dict[str, str]] = {}
    first: dict[str, str] = {}
    with TemporaryDirectory() as folder:
        work = Path(folder)
        (work / "requirements.in").write_text("\n".join((*asked, *question.more)) + "\n")
        settings = work / "uv.toml"
        settings.touch(0o600)
        settings.write_text(_uv_settings(runner))
        for python in question.pythons:
            (work / "excludes").write_text("\n".join(question.table.left_out_of(python)) + "\n")
            pins = work / f"{python}.txt"
            # Versions that stand in the file already are kept.
            pins.write_text(_as_pins({**preferred.get(python, {}), **first}))
            runner.run(
                [sys.executable, "-P", "-m", "uv", "pip", "compile", "--quiet", "--no-header",
                 "--no-annotate",
                 "--config-file", settings, "--python-version", python, "--excludes", work / "excludes",
                 "--output-file", pins, work / "requirements.in"],
                hint="the line before says which requirements do not fit together",
                env={"SSL_CERT_FILE": pip_settings(runner).get("cert", "")},
            )  # fmt: skip
            found = dict(line.split("==") for line in pins.read_text().splitlines() if "==" in line)
            chosen[python] = {
                name: version for name, version in found.items() if name not in question.projects
            }
            first = first or found
    return chosen


def choose_files(
    question: Question, versions: Mapping[str, Mapping[str, str]], runner: Runner
) -> dict[str, tuple[Part, ...]]:
    """Return the parts of each Python: the file of each version, and its licence.

    Raises:
        InputError: the licence of a part is not known, with all such parts.
    """
    lock: dict[str, tuple[Part, ...]] = {}
    licenses: dict[str, str] = {}
    problems: dict[str, Problem] = {}
    for python, glibc in question.pythons.items():
        parts = []
        for name, version, file, sha256 in _find_files(versions[python], python, glibc, runner):
            if file not in licenses:
                local = fetch(Remote(url=f"pypi:///{file}", sha256=sha256, name=file), runner)
                try:
                    licenses[file] = find_license(name, local, question.table)
                except ValueError as error:
                    hint = f"add it to licenses in {show_path(TABLE)}"
                    problems[name] = Problem(message=str(error), hint=hint)
                    continue
            parts.append(Part(name=name, version=version, file=file, sha256=sha256, license=licenses[file]))
        lock[python] = tuple(sorted(parts, key=lambda part: part.name))
    if problems:
        raise InputError(problems=list(problems.values()))
    return lock


def _find_files(
    versions: Mapping[str, str], python: str, glibc: str, runner: Runner
) -> Iterable[tuple[str, str, str, str]]:
    """Return name, version, file and sha256 of what pip would install."""
    with TemporaryDirectory() as folder:
        pins, report = Path(folder, "pins.txt"), Path(folder, "report.json")
        pins.write_text(_as_pins(versions))
        runner.run(
            [sys.executable, "-P", "-m", "pip", "install", "--quiet", "--dry-run", "--ignore-installed",
             "--no-deps", "--target", folder, "--python-version", python, "--implementation", "cp",
             *(word for tag in _platforms(glibc) for word in ("--platform", tag)),
             "--report", report, "--requirement", pins],
            env=pip_variables(),
        )  # fmt: skip
        return read_report(report.read_text(encoding="utf-8"))


def read_report(text: str) -> list[tuple[str, str, str, str]]:
    """Return name, version, file and sha256 of what a report of pip says would be installed.

    Raises:
        ValueError: a file was named by its address instead of found in an index, or has no sha256.
    """
    found = []
    for item in json_text.parse(text)["install"]:
        url = item["download_info"]["url"]
        sha256 = item["download_info"].get("archive_info", {}).get("hashes", {}).get("sha256")
        # An index may well be a folder: a mirror on the disk.
        if item.get("is_direct") or not sha256:
            raise ValueError(f"{url}: not a file of an index with a sha256")
        file = urllib.parse.unquote(urllib.parse.urlsplit(url).path).rpartition("/")[2]
        metadata = item["metadata"]
        found.append((normalize(metadata["name"]), metadata["version"], file, sha256))
    return found


def _platforms(glibc: str) -> list[str]:
    """Return the platform tags of wheels that run with a glibc, the newest first (PEP 600)."""
    minor = int(glibc.split(".")[1])
    tags = [f"manylinux_2_{number}" for number in range(minor, 4, -1)]
    older = [tag for tag, number in _OLDER.items() if number <= minor]
    return [f"{tag}_x86_64" for tag in (*tags, *older, "linux")]


def _as_pins(versions: Mapping[str, str]) -> str:
    return "".join(f"{name}=={version}\n" for name, version in versions.items())


def _uv_settings(runner: Runner) -> str:
    """Return the settings by which uv asks the indexes that pip asks, and takes the best of all."""
    pip = pip_settings(runner)
    first = pip["index-url"]
    rows = [f"[[index]]\nurl = {json.dumps(url)}\n" for url in pip.get("extra-index-url", "").split()]
    return "\n".join(
        [
            'index-strategy = "unsafe-best-match"',
            *rows,
            f"[[index]]\nurl = {json.dumps(first)}\ndefault = true\n",
        ]
    )
