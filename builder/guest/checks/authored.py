# SPDX-License-Identifier: MIT
"""What of an image is its author's: what commands and scripts of the kickstart did there on purpose.

An author may do what a check would else take for a fault: give the guest a swap file, turn cloud-init off.
What nobody asked for still is one. Without a manifest nothing is known to be the author's.
"""

from __future__ import annotations

from collections.abc import Collection

from builder.guest.evidence import ImageEvidence

# What is said of it where a check passes.
BY_SCRIPTS = "by scripts of the kickstart"


def is_changed(path: str, changed: Collection[str], *, missing: bool = False) -> bool:
    """Say whether scripts changed the file at `path`; or, where it is missing, a folder above it."""
    if not missing:
        return path in changed
    above = path.rstrip("/")
    while above := above.rpartition("/")[0]:
        if above in changed:
            return True
    return False


def is_by_scripts(evidence: ImageEvidence, path: str) -> bool:
    """Return whether scripts of the kickstart wrote the file at `path`, or removed it."""
    missing = not evidence.tree.exists(path) and evidence.tree.link(path) is None
    return is_changed(path, evidence.changed, missing=missing)


def is_kept(evidence: ImageEvidence, path: str) -> bool:
    """Return whether the kickstart put a file on purpose where a build cleans up."""
    kept = evidence.manifest.settings.kept if evidence.has_manifest else ()
    return any(path == one or path.startswith(f"{one}/") for one in kept)


def turned_off(evidence: ImageEvidence) -> frozenset[str]:
    """Return the units that packages turned on and the kickstart off."""
    return frozenset(evidence.manifest.settings.turned_off) if evidence.has_manifest else frozenset()


def removed(evidence: ImageEvidence) -> frozenset[str]:
    """Return the names of the packages that scripts of the kickstart removed."""
    return frozenset(evidence.manifest.settings.removed) if evidence.has_manifest else frozenset()
