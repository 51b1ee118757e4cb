# SPDX-License-Identifier: MIT
"""From names of elements to their part of the plan: the door of this package."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path

from builder.kickstart.elements import dependencies, maps, packages, phases, variables
from builder.kickstart.findings import Findings
from builder.kickstart.plan import Elements, MappedName, Packages, Variable
from builder.targets import Init, Target, TargetFamily


@dataclass(frozen=True, kw_only=True, slots=True)
class ElementChoice:
    """What the command line says of elements: their names, where they are, and their environment."""

    names: tuple[str, ...] = ()
    path: tuple[Path, ...] = ()
    variables: tuple[Variable, ...] = ()


def plan_elements(
    choice: ElementChoice, target: Target, architecture: str, findings: Findings
) -> tuple[Elements, packages.ElementPackages]:
    """Return the elements of an image, and the packages that they want."""
    wanted = packages.ElementPackages()
    if not choice.names:
        return Elements(), wanted
    distribution = distribution_of(target)
    found = dependencies.collect(choice.names, choice.path, findings)
    phases.judge(found, findings)
    phases.merge(found, findings)
    known = {variable.name: variable.value for variable in choice.variables}
    after = variables.evaluate(found, _defaults(distribution, architecture) | known)
    conditions = packages.Conditions(architecture=architecture, variables=after)
    package_rows: list[MappedName] = []
    service_rows: list[MappedName] = []
    for element in found:
        names = maps.package_map(element, distribution, findings)
        package_rows += maps.as_rows(element, names)
        service_rows += maps.as_rows(element, maps.service_map(element, distribution, findings))
        packages.collect(element, names, conditions, wanted, findings)
    wanted.settle(findings)
    return (
        Elements(
            elements=found,
            scripts=phases.order(found, after, findings),
            packages=tuple((name, element) for name, (element, _) in wanted.installed.items()),
            removed=tuple((name, element) for name, (element, _) in wanted.removed.items()),
            variables=choice.variables,
            package_map=tuple(package_rows),
            service_map=tuple(service_rows),
            distribution=distribution.name,
            release=distribution.release,
            init=distribution.init,
        ),
        wanted,
    )


def distribution_of(target: Target) -> maps.Distribution:
    """Return what elements know a target by."""
    if target.dib is not None:
        name, release = target.dib.element.removesuffix("-minimal"), target.dib.release
    else:
        name, release = "centos" if target.family is TargetFamily.EL else "fedora", target.releasever
    return maps.Distribution(
        name=name, release=release, init="sysv" if target.init is Init.SYSV else "systemd"
    )


def _defaults(distribution: maps.Distribution, architecture: str) -> dict[str, str]:
    """Return the variables that elements have without the user."""
    return {
        "DISTRO_NAME": distribution.name,
        "DIB_RELEASE": distribution.release,
        "DIB_INIT_SYSTEM": distribution.init,
        "DIB_PYTHON_VERSION": "3",
        "ARCH": packages.ARCHITECTURES.get(architecture, architecture),
    }


def add_packages(chosen: Packages, wanted: packages.ElementPackages, findings: Findings) -> Packages:
    """Return the kickstart's packages with those of elements; what the kickstart excludes stays out."""
    more = [name for name in wanted.installed if name not in chosen.excluded and name not in chosen.names]
    for name in wanted.installed:
        if name in chosen.excluded:
            element, _ = wanted.installed[name]
            place = chosen.places.get(f"-{name}")
            findings.warn(place, f"-{name}: the element {element} needs it, and the kickstart leaves it out")
    for name, (element, place) in wanted.removed.items():
        if name in chosen.names:
            findings.error(
                place,
                f"element {element}: removes {name}, which the kickstart installs",
                "change one of the two",
            )
    removed = [name for name in wanted.removed if name not in chosen.excluded]
    places = {name: wanted.installed[name][1] for name in more}
    places |= {f"-{name}": wanted.removed[name][1] for name in removed}
    return dataclasses.replace(
        chosen,
        names=(*chosen.names, *more),
        excluded=(*chosen.excluded, *removed),
        places={**chosen.places, **places},
    )
