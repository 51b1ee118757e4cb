# SPDX-License-Identifier: MIT
"""Why rpmbuild or rpmspec failed, in rpm's own words, out of what it printed."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator
from pathlib import Path

import yaml

from builder import yaml_text
from builder.errors import BuildError, CommandFailed, InputError, Problem
from builder.places import SPECS
from builder.rpm.spec.packages import Package
from builder.schema import show_path
from builder.targets import Target


def find_project(package: Package) -> Path | None:
    """Return the file of the catalogue that a spec is generated from; None: it is written by hand."""
    named = re.search(r"^# Made by .* from specs/(services/[\w.-]+):", package.text, re.MULTILINE)
    return SPECS / named[1] if named else None


def find_origin(package: Package, line: int) -> str | None:
    """Return "file:line" of the catalogue that a line of a generated spec comes from, None without one.

    It is the longest text of the project's YAML that is in the line.
    """
    lines = package.text.splitlines()
    path = find_project(package)
    if path is None or not 0 < line <= len(lines):
        return None
    written = lines[line - 1].replace("%%", "%")
    try:
        root = yaml_text.compose(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError):
        return None
    release = _child(_child(root, "releases"), package.release or "")
    if release is None:
        return None
    texts = [node for node in _scalars(release) if len(node.value) > 3 and _is_in(node.value, written)]
    longest = max(texts, key=lambda node: len(node.value), default=None)
    return f"{show_path(path)}:{longest.start_mark.line + 1}" if longest else None


def _is_in(text: str, line: str) -> bool:
    """Say whether a line has a text, or is one of the lines that a paragraph was wrapped into."""
    return text in line or (len(line.strip()) > 20 and line.strip() in " ".join(text.split()))


def _child(node: yaml.Node | None, key: str) -> yaml.Node | None:
    if isinstance(node, yaml.MappingNode):
        return next((value for name, value in node.value if name.value == key), None)
    return None


def _scalars(node: yaml.Node) -> Iterator[yaml.ScalarNode]:
    """Yield every text below a node, keys too."""
    if isinstance(node, yaml.ScalarNode):
        yield node
    elif isinstance(node, yaml.SequenceNode):
        for child in node.value:
            yield from _scalars(child)
    elif isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            yield from _scalars(key)
            yield from _scalars(value)


def explain_failure(
    package: Package, target: Target, text: str, *, buildroot: str, log: Path | None
) -> BuildError:
    """Return the error with rpm's reason.

    An error of parsing is reported with the line of the spec; one of a script with the last line it printed.

    Args:
        text: all that rpm printed.
        buildroot: the folder whose name in the text means nothing to a user.
        log: where the text stands.
    """
    spec = show_path(package.spec)
    lines = text.replace(buildroot, "BUILDROOT").splitlines()
    at = next((index for index, line in enumerate(lines) if line.startswith("error: ")), None)
    if at is None:
        return CommandFailed(f"rpmbuild failed for {package.name} on {target.name}", log=log)
    reason = lines[at].removeprefix("error: ")
    if match := re.match(r"(?:\S+\.spec: )?line (\d+): (.*)", reason):
        problem = Problem(where=f"{spec}:{match[1]}", message=f"{match[2]} ({target.name})")
        origin = find_origin(package, int(match[1]))
        hint = f"made from {origin}: change that, then `openstack-builder specs`" if origin else None
        return InputError(problems=[problem], log=log, hint=hint)
    if match := re.match(r"Bad exit status from \S+ \((%\w+)\)", reason):
        said = [line for line in lines[:at] if line.strip() and not line.startswith("+ ")]
        reason = f"{match[1]} failed" + (f": {said[-1].strip()}" if said else "")
    elif reason.endswith(":"):
        # "Installed (but unpackaged) file(s) found:", and the files below it.
        for line in lines[at + 1 :]:
            if not line.startswith(" "):
                break
            reason += f" {line.strip()}"
    # Since rpm 4.20 it lies in the package's own folder: BUILD/NAME-VERSION-build/BUILDROOT.
    reason = re.sub(r"\S+-build/BUILDROOT(?=/)|BUILDROOT/[^/\s]+", "", reason)
    project = find_project(package)
    made = f", made from {show_path(project)}," if project else ","
    full = os.strerror(errno.ENOSPC) in text
    return CommandFailed(
        f"rpmbuild failed for {package.name} on {target.name}: {reason}",
        hint="build where there is more space with --work DIR" if full else f"see {spec}{made} and the log",
        log=log,
    )
