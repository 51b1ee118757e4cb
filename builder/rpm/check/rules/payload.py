# SPDX-License-Identifier: MIT
"""Can the target's rpm read the package? Payload, digests, features of rpm that it needs."""

from __future__ import annotations

import re
from collections.abc import Iterator

from builder.rpm.check.context import CheckContext
from builder.rpm.check.package import BuiltPackage

# The first rpm that reads a payload of this kind (rpm's own release notes).
COMPRESSORS = {"none": "4.0", "gzip": "4.0", "bzip2": "4.0", "lzma": "4.6", "xz": "4.8", "zstd": "4.14"}
# The first rpm with a feature, where packages of ours may come to need it (lib/rpmds.c of rpm).
FEATURES = {
    "CompressedFileNames": "4.0",
    "PayloadFilesHavePrefix": "4.0",
    "FileDigests": "4.6",
    "PayloadIsXz": "4.8",
    "PayloadIsZstd": "4.14",
    "ScriptletInterpreterArgs": "4.0",
    "BuiltinLuaScripts": "4.2",
    "TildeInVersions": "4.10",
    "RichDependencies": "4.12",
    "LargeFiles": "4.12",
    "CaretInVersions": "4.15",
    "DynamicBuildRequires": "4.15",
}
# RPMTAG_FILEDIGESTALGO: the numbers of OpenPGP (RFC 4880, section 9.4).
DIGESTS = {1: "md5", 2: "sha1", 8: "sha256", 9: "sha384", 10: "sha512"}


def unreadable_payload(package: BuiltPackage, context: CheckContext) -> Iterator[str]:
    rpm = context.target.rpm
    first = COMPRESSORS.get(package.compressor)
    if first is None or not rpm.is_at_least(first):
        yield f"payload is {package.compressor}, and rpm {rpm.version} of the target cannot read it"


def unreadable_digests(package: BuiltPackage, context: CheckContext) -> Iterator[str]:
    wanted = context.target.rpm.filedigest
    found = DIGESTS.get(package.digest, str(package.digest))
    if package.files and found not in ("md5", wanted):
        yield f"digests of files are {found}, where the target's are {wanted}"


def feature_too_new(package: BuiltPackage, context: CheckContext) -> Iterator[str]:
    rpm = context.target.rpm
    for need in package.requires:
        match = re.fullmatch(r"rpmlib\((\w+)\)", need.name)
        if not match:
            continue
        first = FEATURES.get(match[1])
        if first is None:
            yield f"{need.whole}: a feature that is not known here"
        elif not rpm.is_at_least(first):
            yield f"{need.whole}: came with rpm {first}, the target has {rpm.version}"


def other_dist_tag(package: BuiltPackage, context: CheckContext) -> Iterator[str]:
    if not package.release.endswith(context.target.dist):
        yield f"release {package.release} does not end with {context.target.dist}"


RULES = (unreadable_payload, unreadable_digests, feature_too_new, other_dist_tag)
