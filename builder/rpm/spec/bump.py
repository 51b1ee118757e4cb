# SPDX-License-Identifier: MIT
"""A new version, release and changelog entry, written where they stand; every other byte stays as it is.

A hand-written spec has them itself. For a generated spec they are in the catalogue: in the file of the
project, below releases: RELEASE: rpm. A YAML parser finds the places, and the text is cut at them.

Why not the library specfile: it has no part in the catalogue, where all specs but two are bumped. For those
two it has rpm parse the spec, which runs its %(...) on this host, and makes files of the sources' names next
to it; it leaves `%` in an entry single, and writes Dec 1 for Dec 01 (specfile 0.41).
"""

from __future__ import annotations

import datetime
import os
import re
from dataclasses import dataclass

import yaml

from builder import yaml_text
from builder.catalogue.texts import find_fault
from builder.errors import InputError
from builder.rpm.spec.tags import read_spec
from builder.versions import compare_versions

DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
PACKAGER = re.compile(r"[^<>\n]+ <[^<>@ ]+@[^<>@ ]+>")


def today() -> datetime.date:
    """Return the date of SOURCE_DATE_EPOCH, else today's, in UTC."""
    given = os.environ.get("SOURCE_DATE_EPOCH", "")
    now = datetime.datetime.now(datetime.UTC)
    return (datetime.datetime.fromtimestamp(int(given), datetime.UTC) if given.isdecimal() else now).date()


@dataclass(frozen=True, kw_only=True, slots=True)
class Bump:
    """What to write; None is what follows from what is there.

    A new version begins with release 1, the same version gets the next release; the packager is the one of
    the newest entry. `sha256` is the source's, whose name has the version in it; `upstream` what the
    project itself calls the version, where rpm writes it in another way; `downgrade`: it may be lower.
    """

    version: str | None
    release: int | None
    messages: tuple[str, ...]
    date: datetime.date
    packager: str | None
    sha256: str | None
    upstream: str | None = None
    downgrade: bool = False

    def __post_init__(self) -> None:
        for option, version in (("--version", self.version), ("--upstream", self.upstream)):
            # No part is empty: rpm takes 30..1 for 30.1, and the archive has neither name.
            if version is not None and not re.fullmatch(r"[A-Za-z0-9]+([._+~^][A-Za-z0-9]+)*", version):
                raise InputError(f'{option} "{version}" is not valid for a package')
        if self.sha256 is not None and not re.fullmatch(r"[0-9A-Fa-f]{64}", self.sha256):
            raise InputError(f"--sha256 {self.sha256}: not 64 hex digits")
        if self.release is not None and self.release < 1:
            raise InputError(f"--release must be at least 1, not {self.release}")
        if self.packager is not None and not PACKAGER.fullmatch(self.packager):
            raise InputError(f'--packager "{self.packager}" is not of the form Name <address>')
        for message in self.messages:
            if not message.strip() or "\n" in message:
                raise InputError("--message: one line of text each", hint="repeat --message for more lines")
            if fault := find_fault(message):
                raise InputError(f"--message: {fault}")
            if message.lstrip().startswith("- "):
                raise InputError(f'--message "{message}": leave out the hyphen: it is added')

    def following(self, version: str, release: int) -> tuple[str, int]:
        """Return version and release that follow those that stand there.

        Raises:
            InputError: they are the same, or lower.
        """
        new = self.version or version
        number = self.release or (1 if new != version else release + 1)
        order = compare_versions(f"{new}-{number}", f"{version}-{release}")
        if order == 0:
            raise InputError(f"version is already {version}-{release}")
        if order < 0 and not self.downgrade:
            raise InputError(
                f"{new}-{number} is lower than {version}-{release}: no host would be upgraded to it",
                hint="a pre-release such as 31.0.0~rc1 is lower than 31.0.0; --allow-downgrade allows it",
            )
        return new, number


@dataclass(frozen=True, kw_only=True, slots=True)
class Bumped:
    """A changed text, and what it says now; `before` is the version that stood there."""

    text: str
    before: str
    version: str
    release: int
    epoch: int = 0

    @property
    def evr(self) -> str:
        """Epoch (where there is one), version and release."""
        return f"{f'{self.epoch}:' if self.epoch else ''}{self.version}-{self.release}"


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
    # A day below 10 may have a blank in place of its zero, as date(1) writes it.
    entry = re.search(r"^%changelog\n\* \w{3} (\w{3} +\d{1,2} \d{4}) (.+?) - \S+$", text, re.MULTILINE)
    if entry is None:
        raise InputError(
            "%changelog: no entry of the form * Wed Nov 25 2026 Name <address> - VERSION-RELEASE"
        )
    _check_date(bump.date, datetime.datetime.strptime(entry[1], "%b %d %Y").date())
    epoch = int(spec.tags["epoch"]) if spec.tags.get("epoch", "").isdecimal() else 0
    evr = f"{f'{epoch}:' if epoch else ''}{version}-{release}"
    lines = [f"* {_day(bump.date)} {bump.packager or entry[2]} - {evr}"]
    lines += ["- " + message.replace("%", "%%") for message in bump.messages]
    edits = [
        (tags["Version"][0], tags["Version"][1], version),
        (tags["Release"][0], tags["Release"][0] + number.end(), str(release)),
        (entry.start() + len("%changelog\n"), entry.start() + len("%changelog\n"), "\n".join(lines) + "\n\n"),
    ]
    main = next((one for one in spec.sources if one.is_remote and tags["Version"][2] in one.location), None)
    if main is not None and version != tags["Version"][2]:
        edits.append(_new_digest(text, main.sha256, bump))
    return Bumped(
        text=_splice(text, edits), before=tags["Version"][2], version=version, release=release, epoch=epoch
    )


def bump_catalogue(text: str, openstack: str, bump: Bump) -> Bumped:
    """Return the file of a project with a new version, release and entry of changelog for one release.

    Raises:
        InputError: the project is not packaged for it; or see Bump.
    """
    root = yaml_text.compose(text)
    rpm = _child(_child(_child(root, "releases"), openstack), "rpm")
    version_node, changelog = _need(rpm, "version"), _child(rpm, "changelog")
    if not isinstance(changelog, yaml.SequenceNode) or not changelog.value:
        raise InputError(f"release {openstack} has no rpm with a changelog")
    release_node = _child(rpm, "release")
    old = str(version_node.value)
    version, release = bump.following(old, int(str(release_node.value)) if release_node else 1)
    epoch_node = _child(rpm, "epoch")
    epoch = int(str(epoch_node.value)) if epoch_node else 0
    newest = changelog.value[0]
    _check_date(bump.date, datetime.date.fromisoformat(str(_need(newest, "date").value)))
    fields = [
        f'date: "{bump.date:%Y-%m-%d}"',
        f"packager: {_scalar(bump.packager or str(_need(newest, 'packager').value))}",
        f"version: {_scalar(f'{epoch}:{version}-{release}' if epoch else f'{version}-{release}')}",
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
        edits.append(_new_digest(text, str(_need(source, "sha256").value), bump))
        edits += _new_upstream(text, rpm, version_node, bump)
    return Bumped(text=_splice(text, edits), before=old, version=version, release=release, epoch=epoch)


def _new_upstream(
    text: str, rpm: yaml.Node | None, version: yaml.Node, bump: Bump
) -> list[tuple[int, int, str]]:
    """Return the edits that say what the project itself calls the new version, where it is not rpm's.

    OpenStack's pre-releases have a part more: rpm's 31.0.0~rc1 is 31.0.0.0rc1 (pbr, its semver.rst).
    """
    assert bump.version is not None
    name = bump.upstream or (bump.version.replace("~", ".0") if "~" in bump.version else None)
    node = _child(rpm, "upstream")
    if node is not None:
        if name is not None:
            return [_replace(node, _scalar(name))]
        begin = text.rindex("\n", 0, node.start_mark.index)
        return [(begin, node.end_mark.index, "")]
    if name is None or rpm is None:
        return []
    at = text.index("\n", version.end_mark.index)
    return [(at, at, f"\n{' ' * rpm.start_mark.column}upstream: {_scalar(name)}")]


def _day(date: datetime.date) -> str:
    """Return a day as rpm reads it, in English whatever the locale."""
    return f"{DAYS[date.weekday()]} {MONTHS[date.month - 1]} {date:%d %Y}"


def _check_date(date: datetime.date, newest: datetime.date) -> None:
    # A fixed clock may be slow: a date is in the future only after both clocks.
    if date > max(today(), datetime.datetime.now(datetime.UTC).date()):
        raise InputError(f"{date} is in the future", hint="give another day with --date")
    if date < newest:
        raise InputError(
            f"{date} is before the newest entry of the changelog ({newest})",
            hint="give another day with --date",
        )


def _new_digest(text: str, old: str | None, bump: Bump) -> tuple[int, int, str]:
    """Return the edit that puts the sha256 of the new source in place of the old one."""
    if bump.sha256 is None:
        raise InputError(
            "a new version has a new source", hint="give its sha256 with --sha256 HASH, 64 hex digits"
        )
    at = text.index(old or "")
    return at, at + len(old or ""), bump.sha256.lower()


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
        raise InputError(f"{key} is not where it should be")
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
