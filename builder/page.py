# SPDX-License-Identifier: MIT
"""The report of a build as one page: no server, no script, nothing loaded. Its data stand in it as JSON.

`image` writes it next to the image, `verify` adds its checks. The next build reads from it which files the
image had, to say what has changed.
"""

from __future__ import annotations

import html
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from builder import json_text
from builder.errors import BuildError
from builder.files import read_regular, write_atomic

SUFFIX = ".report.html"
LARGEST = 64 << 20
# Rows that are shown of each list.
MOST = 40
# More files of one folder are shown as one row.
MANY = 5

# States of checks that want nothing done.
_GOOD = ("pass", "not-applicable")
_BEGIN, _END = '<script type="application/json" id="data">', "</script>"
_STYLE = """
:root { color-scheme: light dark }
body { font: 15px/1.45 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem }
h1 { font-size: 1.5rem } h2 { font-size: 1.1rem; margin-top: 2rem }
.bar { display: flex; height: 2rem; border-radius: 4px; overflow: hidden }
.bar span { min-width: 1px }
.key { display: flex; flex-wrap: wrap; gap: .2rem 1.2rem; margin: .5rem 0; padding: 0; list-style: none }
.key i { display: inline-block; width: .8em; height: .8em; margin-right: .4em; border-radius: 2px }
table { border-collapse: collapse; width: 100% } td { padding: .1rem .6rem .1rem 0; vertical-align: top }
td.k { white-space: nowrap; width: 1% } td.w { overflow-wrap: anywhere }
td.n { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums; width: 7rem }
td.m { width: 16% } td.m div { height: .7rem; background: #3b76c4; border-radius: 2px; min-width: 1px }
.two { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(24rem, 100%), 1fr)); gap: 0 2rem }
summary { cursor: pointer }
@media (max-width: 40rem) { td.k { white-space: normal } td.n { width: 5rem } }
.fail { color: #c33 } .pass { color: #2a7d46 } p.quiet, caption { opacity: .7; text-align: left }
code { overflow-wrap: anywhere }
"""
_COLOURS = (
    "#3b76c4",
    "#d9822b",
    "#3a9a5f",
    "#b1476b",
    "#7a62c9",
    "#9a8b3a",
    "#3a98a3",
    "#8a8a8a",
    "#c44f3b",
    "#5f7d1e",
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Check:
    """A check of `verify`, and what came out."""

    check: str
    state: str
    reason: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Changes:
    """Files of an image compared with the build before: path -> bytes, or (bytes then, bytes now)."""

    added: dict[str, int]
    removed: dict[str, int]
    resized: dict[str, tuple[int, int]]


@dataclass(frozen=True, kw_only=True, slots=True)
class BuildPage:
    """What the page shows.

    `stages` in seconds; `packages` and `files` in bytes. `sha256` is the image's; `changes` is None
    where no build came before, `checks` where the image was not verified.
    """

    name: str
    target: str
    image: str
    sha256: str
    size: int
    disk: int
    stages: tuple[tuple[str, float], ...]
    packages: dict[str, int]
    files: dict[str, int]
    warnings: tuple[str, ...]
    changes: Changes | None = None
    checks: tuple[Check, ...] | None = None


def page_path(image: Path) -> Path:
    """Return where the page of the image `NAME.qcow2` is."""
    return image.with_name(image.stem + SUFFIX)


def compare(before: Mapping[str, int], now: Mapping[str, int]) -> Changes:
    """Return what has changed from the files `before` to those `now`."""
    return Changes(
        added={path: size for path, size in now.items() if path not in before},
        removed={path: size for path, size in before.items() if path not in now},
        resized={path: (before[path], size) for path, size in now.items() if before.get(path, size) != size},
    )


def write_page(path: Path, page: BuildPage) -> None:
    """Write the page."""
    write_atomic(path, render(page))


def read_files(path: Path) -> dict[str, int] | None:
    """Return the files of the image that the page at `path` is of; None where there is no such page."""
    data = _read(path)
    files = data.get("files") if data else None
    if not isinstance(files, dict) or not all(_is_size(size) for size in files.values()):
        return None
    return files


def _is_size(value: object) -> bool:
    return isinstance(value, int) and 0 <= value < 1 << 63


def add_checks(path: Path, sha256: str, checks: tuple[Check, ...]) -> bool:
    """Put the checks of the image with that digest into its page; say whether there is such a page."""
    data = _read(path)
    if data is None or data.get("sha256") != sha256:
        return False
    try:
        changes = Changes(**data["changes"]) if data["changes"] else None
        stages = tuple((name, float(seconds)) for name, seconds in data["stages"])
        page = BuildPage(**{**data, "stages": stages, "changes": changes, "checks": None})
        write_page(path, replace(page, checks=checks))
    # A number may be any: one of a thousand digits has no other form.
    except (TypeError, KeyError, ValueError, AttributeError, OverflowError, BuildError):
        return False
    return True


def _read(path: Path) -> dict[str, Any] | None:
    try:
        text = read_regular(path, LARGEST).decode()
        data = json_text.parse(text.partition(_BEGIN)[2].partition(_END)[0])
    except (OSError, ValueError):
        return None
    return data if isinstance(data, dict) else None


def render(page: BuildPage) -> str:
    """Return the page as HTML."""
    title = html.escape(f"{page.name}: report of the build")
    # `<` in a string would end the element; in JSON it may be written as its number.
    data = json.dumps(_fields(page), default=_fields, separators=(",", ":")).replace("<", "\\u003c")
    policy = "default-src 'none'; style-src 'unsafe-inline'"
    parts = [
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">',
        '<meta name="viewport" content="width=device-width">',
        f"<title>{title}</title><style>{_STYLE}</style></head><body>",
        *_body(page),
        f"{_BEGIN}{data}{_END}</body></html>\n",
    ]
    return "\n".join(parts)


def _fields(part: Any) -> dict[str, Any]:
    """Return a dataclass as a mapping, nothing copied: there are ten thousands of files."""
    return {field.name: getattr(part, field.name) for field in fields(part)}


def _body(page: BuildPage) -> Iterator[str]:
    yield f"<h1>{_text(page.name)}</h1>"
    yield f"<p>{_text(page.target)}, {len(page.packages)} packages, {len(page.files)} files. "
    yield f"<code>{_text(page.image)}</code>: {_size(page.size)}, a disk of {_size(page.disk)}. "
    yield f"sha256 <code>{_text(page.sha256)}</code></p>"
    yield from _stages(page.stages)
    if page.warnings:
        yield "<h2>Warnings</h2><ul>"
        yield from (f"<li>{_text(warning)}</li>" for warning in page.warnings)
        yield "</ul>"
    yield from _changes(page.changes)
    yield from _checks(page.checks)
    yield '<div class="two"><section><h2>Packages</h2>'
    yield from _sizes(page.packages)
    yield "</section><section><h2>Folders</h2>"
    yield from _sizes(folders(page.files))
    yield "</section></div>"


def _stages(stages: Iterable[tuple[str, float]]) -> Iterator[str]:
    rows = [(name, seconds, _COLOURS[n % len(_COLOURS)]) for n, (name, seconds) in enumerate(stages)]
    yield f"<h2>Stages: {sum(seconds for _, seconds, _ in rows):.1f} s</h2>" + '<div class="bar">'
    for name, seconds, colour in rows:
        yield (
            f'<span style="flex-grow:{max(seconds, 0.001):.3f};background:{colour}" '
            f'title="{_text(name)} {seconds:.1f} s"></span>'
        )
    yield '</div><ul class="key">'
    for name, seconds, colour in rows:
        yield f'<li><i style="background:{colour}"></i>{_text(name)} {seconds:.1f} s</li>'
    yield "</ul>"


def _checks(checks: tuple[Check, ...] | None) -> Iterator[str]:
    yield "<h2>Verified</h2>"
    if checks is None:
        yield '<p class="quiet">Not yet: openstack-builder verify adds its checks here.</p>'
        return
    counts = Counter(one.state for one in checks)
    said = ", ".join(f"{count} {_text(state)}" for state, count in counts.items())
    good = [one for one in checks if one.state in _GOOD]
    bad = [one for one in checks if one.state not in _GOOD]
    if bad:
        yield "<table>"
        yield from map(_check, bad)
        yield "</table>"
    yield f"<details><summary>{said}</summary><table>"
    yield from map(_check, good)
    yield "</table></details>"


def _check(one: Check) -> str:
    kind = "pass" if one.state == "pass" else "" if one.state in _GOOD else "fail"
    return (
        f'<tr><td class="k {kind}">{_text(one.state)}</td><td class="k">{_text(one.check)}</td>'
        f'<td class="w">{_text(one.reason)}</td></tr>'
    )


def _changes(changes: Changes | None) -> Iterator[str]:
    yield "<h2>Against the build before</h2>"
    if changes is None:
        yield '<p class="quiet">There was none here.</p>'
        return
    grown = {path: now - then for path, (then, now) in changes.resized.items()}
    total = sum(changes.added.values()) - sum(changes.removed.values()) + sum(grown.values())
    yield f"<p>{len(changes.added)} added, {len(changes.removed)} removed, {len(grown)} of another size: "
    yield f"{_signed(total)}.</p>"
    rows = [(path, size, "added") for path, size in changes.added.items()]
    rows += [(path, -size, "removed") for path, size in changes.removed.items()]
    rows += [(path, size, "grown" if size > 0 else "shrunk") for path, size in grown.items()]
    rows = sorted(_by_folder(rows), key=lambda row: (-abs(row[1]), row[0]))
    yield "<table>"
    for path, size, what in rows[:MOST]:
        yield f'<tr><td class="n">{_signed(size)}</td><td class="k">{what}</td>'
        yield f"<td><code>{_text(path)}</code></td></tr>"
    yield f"</table>{_left_out(len(rows))}"


def _by_folder(rows: Iterable[tuple[str, int, str]]) -> Iterator[tuple[str, int, str]]:
    """Yield the rows, those of many files of one folder as one: else what else has changed is not seen."""
    groups: dict[tuple[str, str], list[tuple[str, int, str]]] = {}
    for row in rows:
        groups.setdefault((row[0].rpartition("/")[0], row[2]), []).append(row)
    for (folder, what), group in groups.items():
        if len(group) > MANY:
            yield f"{folder}/ ({len(group)} files)", sum(size for _, size, _ in group), what
        else:
            yield from group


def _sizes(sizes: Mapping[str, int]) -> Iterator[str]:
    rows = sorted(sizes.items(), key=lambda pair: (-pair[1], pair[0]))
    most = max((size for _, size in rows), default=0) or 1
    yield "<table>"
    for name, size in rows[:MOST]:
        bar = f'<div style="width:{100 * size / most:.1f}%"></div>'
        yield f'<tr><td class="n">{_size(size)}</td><td class="m">{bar}</td>'
        yield f"<td><code>{_text(name)}</code></td></tr>"
    yield f"</table>{_left_out(len(rows))}"


def folders(files: Mapping[str, int]) -> dict[str, int]:
    """Return the bytes of the files by folder: two levels, three below /usr."""
    found: Counter[str] = Counter()
    for path, size in files.items():
        parts = path.split("/")[1:-1]
        found["/" + "/".join(parts[: 3 if parts[:1] == ["usr"] else 2])] += size
    return dict(found)


def _left_out(count: int) -> str:
    return f'<p class="quiet">and {count - MOST} more</p>' if count > MOST else ""


def _text(value: str) -> str:
    return html.escape(value.encode(errors="replace").decode())


def _size(size: int) -> str:
    if size >= 1_000_000_000:
        return f"{size / 1e9:.1f} GB"
    if size >= 100_000:
        return f"{size / 1e6:.1f} MB"
    return f"{size / 1e3:.1f} kB" if size >= 1000 else f"{size} B"


def _signed(size: int) -> str:
    return ("+" if size > 0 else "−" if size < 0 else "") + _size(abs(size))
