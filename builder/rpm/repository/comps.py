# SPDX-License-Identifier: MIT
"""Groups of packages for dnf (comps.xml): one a project, for `dnf group install openstack-nova`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from xml.etree import ElementTree

from builder.catalogue.model import Catalogue
from builder.rpm.check.package import BuiltPackage

DOCTYPE = '<!DOCTYPE comps PUBLIC "-//Red Hat, Inc.//DTD Comps info//EN" "comps.dtd">'


def render_comps(packages: Sequence[BuiltPackage], catalogue: Catalogue) -> str:
    """Return the groups of `packages`: by source package, titles from the catalogue.

    What a service needs to run is of the kind default; documentation and the Python code that comes along by
    itself are optional.
    """
    titles = _titles(catalogue)
    root = ElementTree.Element("comps")
    for source in sorted({_source_name(package) for package in packages}):
        group = ElementTree.SubElement(root, "group")
        title = titles.get(source, source)
        for tag, text in (("id", source), ("name", title), ("description", f"What {source} is built into"),
                          ("default", "false"), ("uservisible", "true")):  # fmt: skip
            ElementTree.SubElement(group, tag).text = text
        listed = ElementTree.SubElement(group, "packagelist")
        for name in sorted({package.name for package in packages if _source_name(package) == source}):
            optional = name.endswith("-doc") or name.startswith("python")
            ElementTree.SubElement(
                listed, "packagereq", type="optional" if optional else "default"
            ).text = name
    ElementTree.indent(root)
    body = ElementTree.tostring(root, encoding="unicode")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{DOCTYPE}\n{body}\n'


def _source_name(package: BuiltPackage) -> str:
    """Return the name of the source package: its file's without version and release."""
    return package.source.rsplit("-", 2)[0]


def _titles(catalogue: Catalogue) -> Mapping[str, str]:
    titles = {"openstack-utils": "OpenStack utilities"}
    for project in catalogue.projects.values():
        for release in project.releases.values():
            if release.rpm is not None:
                titles[release.rpm.name] = f"OpenStack {project.title}"
    return titles
