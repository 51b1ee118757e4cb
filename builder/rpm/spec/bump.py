# SPDX-License-Identifier: MIT
"""A new version, release and changelog entry, written where they stand; every other byte stays as it is.

A hand-written spec has them itself. Those of a generated spec stand in the catalogue: in the file of the
project, below releases: RELEASE: rpm. A YAML parser finds the places, and the text is cut at them.

Why not the library specfile: it has no part in the catalogue, where all specs but two are bumped. For those
two it has rpm parse the spec, which runs its %(...) on this host, and makes files of the sources' names next
to it; it leaves `%` in an entry single, and writes Dec 1 for Dec 01 (specfile 0.41).
"""

from __future__ import annotations

import datetime
import re
from dataclasses import dataclass

import yaml

from builder.errors import InputError
from builder.rpm.spec.tags import read_spec

PACKAGER = re.compile(r"[^<>\n]+ <[^<>@ ]+@[^<>@ ]+>")


@dataclass(frozen=True, kw_only=True, slots=True)
class Bump:
    """What to write; None is what follows from what stands there.

    A new version begins with release 1, the same version gets the next release; the packager is the one of
    the newest entry. `sha256` is that of the source, whose URL has the version in it.
    """

    version: str | None
    release: int | None
    messages: tuple[str, ...]
    date: datetime.date
    packager: str | None
    sha256: str | None

    def __post_init__(self) -> None:
        if self.version is not None and not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._+~^]*", self.version):
            raise InputError(f'--version "{self.version}" is not that of a package')
        if self.release is not None and self.release < 1:
            raise InputError(f"--release {self.release}: one at least")
        if self.packager is not None and not PACKAGER.fullmatch(self.packager):
            raise InputError(f'--packager "{self.packager}" is not of the form Name <address>')
        for message in self.messages:
            if not message.strip() or "\n" in message:
                raise InputError("--message: one line of text each", hint="repeat --message for more lines")

    def following(self, version: str, release: int) -> tuple[str, int]:
        """Return version and release that follow those that stand there.

        Raises:
            InputError: they are the same.
        """
        new = self.version or version
        number = self.release or (1 if new != version else release + 1)
        if (new, number) == (version, release):
            raise InputError(f"it is {version}-{release} already")
        return new, number


@dataclass(frozen=True, kw_only=True, slots=True)
class Bumped:
    """A changed text, and what it says now."""

    text: str
    version: str
    release: int


def bump_spec(text: str, bump: Bump) -> Bumped:
    """Return a spec with a new version, release and entry of %changelog, `%` doubled.

    Raises:
        InputError: one of them does not stand there in plain text; or see Bump.
    """
    spec = read_spec(text)
    tags = {name: _line(text, name) for name in ("Version", "Release")}
    number = re.match(r"(\d+)(?=$|%\{\?dist\})", tags["Release"][2])
    if number is None:
        raise InputError(f'Release: "{tags["Release"][2]}" is not a number and %{{?dist}}')
    version, release = bump.following(tags["Version"][2], int(number[1]))
    entry = re.search(r"^%changelog\n\* \w{3} (\w{3} \d\d \d{4}) (.+?) - \S+$", text, re.MULTILINE)
    if entry is None:
        raise InputError(
            "%changelog: no entry of the form * Wed Nov 25 2026 Name <address> - VERSION-RELEASE"
        )
    _check_date(bump.date, datetime.datetime.strptime(entry[1], "%b %d %Y").date())
    lines = [f"* {bump.date:%a %b %d %Y} {bump.packager or entry[2]} - {version}-{release}"]
    lines += ["- " + message.replace("%", "%%") for message in bump.messages]
    edits = [
        (tags["Version"][0], tags["Version"][1], version),
        (tags["Release"][0], tags["Release"][0] + number.end(), str(release)),
        (entry.start() + len("%changelog\n"), entry.start() + len("%changelog\n"), "\n".join(lines) + "\n\n"),
    ]
    main = next((one for one in spec.sources if one.is_remote and tags["Version"][2] in one.location), None)
    if main is not None and version != tags["Version"][2]:
        edits.append(_new_digest(text, main.sha256, bump))
    return Bumped(text=_splice(text, edits), version=version, release=release)


def bump_catalogue(text: str, openstack: str, bump: Bump) -> Bumped:
    """Return the file of a project with a new version, release and entry of changelog for one release.

    Raises:
        InputError: the project is not packaged for it; or see Bump.
    """
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    rpm = _child(_child(_child(root, "releases"), openstack), "rpm")
    version_node, changelog = _need(rpm, "version"), _child(rpm, "changelog")
    if not isinstance(changelog, yaml.SequenceNode) or not changelog.value:
        raise InputError(f"release {openstack} has no rpm with a changelog")
    release_node = _child(rpm, "release")
    old = str(version_node.value)
    version, release = bump.following(old, int(str(release_node.value)) if release_node else 1)
    newest = changelog.value[0]
    _check_date(bump.date, datetime.date.fromisoformat(str(_need(newest, "date").value)))
    fields = [
        f'date: "{bump.date:%Y-%m-%d}"',
        f"packager: {_scalar(bump.packager or str(_need(newest, 'packager').value))}",
        f"version: {_scalar(f'{version}-{release}')}",
        f"changes: {_flow(bump.messages)}",
    ]
    margin = " " * newest.start_mark.column
    dash = text.rindex("-", 0, newest.start_mark.index)
    indent = " " * (dash - text.rindex("\n", 0, dash) - 1)
    entry = f"- {fields[0]}\n" + "".join(f"{margin}{field}\n" for field in fields[1:]) + indent
    edits = [(dash, dash, entry)]
    if version != old:
        edits.append(_replace(version_node, _scalar(version)))
    if release_node is not None:
        edits.append(_replace(release_node, str(release)))
    elif release != 1:
        at = text.index("\n", version_node.end_mark.index)
        column = " " * rpm.start_mark.column if rpm else ""
        edits.append((at, at, f"\n{column}release: {release}"))
    source = _child(rpm, "source")
    if source is not None and version != old:
        url, digest = _need(source, "url"), _need(source, "sha256")
        edits.append(_replace(url, str(url.value).replace(old, version)))
        edits.append(_new_digest(text, str(digest.value), bump))
    return Bumped(text=_splice(text, edits), version=version, release=release)


def _check_date(date: datetime.date, newest: datetime.date) -> None:
    if date < newest:
        raise InputError(
            f"{date} is before the newest entry of the changelog ({newest})", hint="--date tells another"
        )


def _new_digest(text: str, old: str | None, bump: Bump) -> tuple[int, int, str]:
    """Return the edit that puts the sha256 of the new source in place of the old one."""
    if bump.sha256 is None or not re.fullmatch(r"[0-9a-f]{64}", bump.sha256):
        raise InputError(
            "a new version has another source", hint="--sha256 HASH tells its sha256, of 64 hex digits"
        )
    at = text.index(old or "")
    return at, at + len(old or ""), bump.sha256


def _line(text: str, tag: str) -> tuple[int, int, str]:
    """Return begin, end and text of the value of a tag's line."""
    match = re.search(rf"^{tag}:[ \t]*(\S+)[ \t]*$", text, re.MULTILINE)
    if match is None or (tag == "Version" and "%" in match[1]):
        raise InputError(f"no line {tag}: with plain text")
    return match.start(1), match.end(1), match[1]


def _splice(text: str, edits: list[tuple[int, int, str]]) -> str:
    """Return `text` with each stretch from begin to end replaced."""
    for begin, end, new in sorted(edits, reverse=True):
        text = text[:begin] + new + text[end:]
    return text


def _child(node: yaml.Node | None, key: str) -> yaml.Node | None:
    """Return the value of a key of a mapping; None when it has none."""
    if isinstance(node, yaml.MappingNode):
        return next((value for name, value in node.value if name.value == key), None)
    return None


def _need(node: yaml.Node | None, key: str) -> yaml.ScalarNode:
    """Return the text that a key of a mapping has."""
    value = _child(node, key)
    if not isinstance(value, yaml.ScalarNode):
        raise InputError(f"no {key} where it should be")
    return value


def _replace(node: yaml.Node, text: str) -> tuple[int, int, str]:
    return node.start_mark.index, node.end_mark.index, text


def _scalar(text: str) -> str:
    """Return text as YAML has it, in quotes where it would be something else without."""
    dumped: str = yaml.safe_dump(text, width=10**6, allow_unicode=True)
    return dumped.removesuffix("...\n").rstrip("\n")


def _flow(texts: tuple[str, ...]) -> str:
    """Return a list in one line of YAML."""
    dumped: str = yaml.safe_dump(list(texts), default_flow_style=True, width=10**6, allow_unicode=True)
    return dumped.rstrip("\n")
