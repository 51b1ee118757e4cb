# SPDX-License-Identifier: MIT
"""A plan, shown: for people and for machines. Passwords are never part of it, nor what scripts say."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping
from enum import StrEnum

from builder.errors import Problem
from builder.kickstart.disk.boot import has_loader
from builder.kickstart.place import Place
from builder.kickstart.plan import (
    ElementFile,
    Elements,
    ImagePlan,
    Packages,
    Password,
    Repository,
    Script,
    Setting,
    Variable,
    Volume,
)


def describe(plan: ImagePlan) -> list[str]:
    """Return the lines that `image --plan` prints."""
    rows: list[tuple[str, str]] = [
        ("image", f"{plan.name} for {plan.target}, {plan.architecture}"),
        ("kickstart", f"{', '.join(plan.kickstarts)} (syntax {plan.ksversion})"),
        *_disk(plan),
        *(("source", _repository(repository)) for repository in plan.repositories),
        *_packages(plan.packages),
        *(row for setting in plan.settings for row in setting.rows()),
        *_elements(plan.elements),
        *(("script", _script(script)) for script in plan.scripts),
        *(("unresolved", f"{name}, included at {place}") for name, place in plan.unresolved_includes),
    ]
    lines = []
    before = None
    for name, text in rows:
        lines.append(f"{'' if name == before else name:<11} {text}".rstrip())
        before = name
    return lines


def _disk(plan: ImagePlan) -> list[tuple[str, str]]:
    disk, loader = plan.disk, plan.bootloader
    size = f"{disk.size} MiB" if disk.size is not None else "size not known yet"
    ways = f"boots by {' and '.join(plan.firmware)}" if plan.firmware else "does not boot by itself"
    made = f"{disk.label}, {size}, {ways}" if disk.is_resolved else f"{size}, partitioned by %pre"
    rows = [("disk", made)]
    for number, part in enumerate(disk.partitions, 1):
        rows += [("disk", f"{number} {line}") for line in _volume(part, part.name)]
    for group in disk.groups:
        rows.append(("disk", f"volume group {group.name} on {' '.join(group.members)}"))
        rows += [("disk", f"  {line}") for volume in group.volumes for line in _volume(volume, volume.name)]
    for folder in disk.in_memory:
        size = f"{folder.size:>6} MiB" if folder.size else " " * 10
        rows.append(("disk", f"  {folder.mountpoint:<12} {size}  tmpfs    mounted {folder.options}"))
    if has_loader(loader):
        timeout = f", timeout {loader.timeout} s" if loader.timeout is not None else ""
        rows.append(("kernel", f"{loader.append or 'no arguments'}{timeout}"))
    return rows


def _volume(volume: Volume, name: str | None) -> list[str]:
    """Return the line of a partition or logical volume, and its subvolumes' lines."""
    size = f"{volume.size:>6} MiB" if volume.size else "size by %pre"
    words = [f"{volume.mountpoint or name or volume.fstype:<12} {size}  {volume.fstype:<8}"]
    words += [f"named {name}"] if name and volume.mountpoint else []
    words += [f"label {volume.label}"] if volume.label else []
    words += ["grows"] if volume.grow else []
    words += [f"up to {volume.max_size} MiB"] if volume.max_size else []
    words += [f"mounted {volume.fsoptions}"] if volume.fsoptions else []
    words += [f"made with {volume.mkfsoptions}"] if volume.mkfsoptions else []
    lines = [" ".join(words).rstrip()]
    below = [f"  subvolume {one.path:<12} {one.mountpoint or ''}".rstrip() for one in volume.subvolumes]
    return lines + below


def _repository(repository: Repository) -> str:
    address = repository.metalink or repository.mirrorlist or " ".join(repository.baseurl)
    kind = "metalink " if repository.metalink else "mirrorlist " if repository.mirrorlist else ""
    words = [f"{repository.name:<10} {kind}{address}"]
    words += [f"cost {repository.cost}"] if repository.cost is not None else []
    words += [f"only {' '.join(repository.includes)}"] if repository.includes else []
    words += [f"without {' '.join(repository.excludes)}"] if repository.excludes else []
    words += ["also in the image"] if repository.install else []
    words += ["TLS not verified"] if not repository.verify_tls else []
    return ", ".join(words)


def _packages(packages: Packages) -> list[tuple[str, str]]:
    groups = [f"@{name}" for name in packages.groups]
    groups += [f"@{name} --optional" for name in packages.optional_groups]
    groups += [f"@{name} --nodefaults" for name in packages.mandatory_groups]
    if packages.core and "core" not in packages.groups:
        groups.insert(0, "@core")
    if packages.environment:
        groups.insert(0, f"@^{packages.environment}")
    rows = [("groups", " ".join(groups))] if groups else []
    if packages.names:
        rows.append(("packages", " ".join(packages.names)))
    if added := [*packages.added, *(f"@{name}" for name in packages.added_groups)]:
        rows.append(("added", f"{' '.join(added)}, as the installer does"))
    without = [f"@{name}" for name in packages.excluded_groups] + list(packages.excluded)
    if without:
        rows.append(("without", " ".join(without)))
    notes = [] if packages.docs else ["no documentation"]
    notes += [] if packages.weak else ["no weak dependencies"]
    if packages.languages is not None:
        notes.append(f"languages {' '.join(packages.languages) or 'none'}")
    notes += ["missing ones are skipped"] if packages.ignore_missing else []
    return rows + ([("install", ", ".join(notes))] if notes else [])


def _elements(elements: Elements) -> list[tuple[str, str]]:
    """Return the rows of the elements, what they want of packages, and their scripts in order."""
    rows = [("elements", f"{one.name:<24} {one.folder or 'ours'}") for one in elements.elements]
    for what, pairs in (("with", elements.packages), ("without", elements.removed)):
        owners: dict[str, list[str]] = {}
        for package, element in pairs:
            owners.setdefault(element, []).append(package)
        rows += [("elements", f"{name}: {what} {' '.join(names)}") for name, names in owners.items()]
    if elements.variables:
        rows.append(("elements", f"get {' '.join(one.name for one in elements.variables)}"))
    rows += [("phases", f"{script.path:<40} {script.element}") for script in elements.scripts]
    return rows


def _script(script: Script) -> str:
    where = "" if script.chroot else ", outside the chroot"
    fail = ", its failure ends the build" if script.error_on_fail else ""
    log = f", log {script.log}" if script.log else ""
    return f"%{script.section.value} at {script.place}, {script.interpreter}{where}{fail}{log}"


def plan_as_json(plan: ImagePlan | Setting) -> dict[str, object]:
    """Return the plan for `--json`: its fields and those of its settings, places as text, no secrets."""
    value = _plain(plan)
    assert isinstance(value, dict)
    return value


def problem_as_json(problem: Problem) -> dict[str, str | None]:
    """Return a finding as `--json` has it."""
    return {"where": problem.where, "message": problem.message, "hint": problem.hint}


def _plain(value: object) -> object:
    """Return `value` as JSON takes it."""
    if isinstance(value, Place):
        return str(value)
    if isinstance(value, Password):
        return {"locked": value.locked, "set": bool(value.hash or value.plain)}
    if isinstance(value, Problem):
        return problem_as_json(value)
    if isinstance(value, StrEnum):
        return value.value
    if isinstance(value, ElementFile):
        return {"path": value.path, "sha256": hashlib.sha256(value.content).hexdigest(), "link": value.link}
    if isinstance(value, Variable):
        return {"name": value.name}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
        if isinstance(value, ImagePlan):
            del fields["settings"]
            for setting in value.settings:
                fields |= plan_as_json(setting)
        if isinstance(value, Script):
            body = fields.pop("body")
            fields["lines"] = str(body).count("\n")
            fields["sha256"] = hashlib.sha256(str(body).encode()).hexdigest()
        return fields
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value
