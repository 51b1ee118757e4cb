# SPDX-License-Identifier: MIT
"""Files from elsewhere that go into a package: each by URL and sha256, fetched once and kept.

pypi://NAME/FILE is a file of the Python package index: of the one that pip is set to, whichever that is;
npm:///NAME/FILE is one of the registry that npm is set to.
"""

from __future__ import annotations

import hashlib
import os
import re
import sys
import urllib.parse
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path

from builder import http
from builder.errors import CommandFailed, InputError, RemoteError
from builder.files import cache_folder, locked, sha256_file, write_atomic
from builder.masking import mask
from builder.runner import Runner

SECONDS = 60
# A package of wheels has hundreds of them, and each takes two requests, which wait for the server.
AT_ONCE = 8
# What pip has answered to whom, by its variables: it takes a second to ask.
_settings: dict[tuple[tuple[str, str], ...], Mapping[str, str]] = {}
# Bytes of an index's page.
LARGEST_PAGE = 64 << 20


@dataclass(frozen=True, kw_only=True, slots=True)
class Remote:
    """A file elsewhere: where it is, what its bytes are, and what it is called here."""

    url: str
    sha256: str
    name: str

    def __post_init__(self) -> None:
        if urllib.parse.urlsplit(self.url).scheme not in ("https", "http", "file", "pypi", "npm"):
            raise ValueError(f'url "{self.url}" is not https, http, file, pypi or npm')
        if not re.fullmatch(r"[0-9a-f]{64}", self.sha256):
            raise ValueError(f'sha256 "{self.sha256}" is not 64 hex digits')
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._+~-]*", self.name):
            raise ValueError(f'name "{self.name}" is not the name of a file')


class _NotThere(Exception):
    """A URL gave nothing; the text says why."""


def fetch(source: Remote, runner: Runner) -> Path:
    """Return the path of `source` in the cache, downloaded now when it is not there.

    Raises:
        InputError: its bytes have another sha256.
        RemoteError: it cannot be got.
    """
    path = place_in_cache(source)
    with locked(path.with_name(".lock")):
        if path.is_file() and sha256_file(path) == source.sha256:
            return path
        data = _download(source, runner)
        found = hashlib.sha256(data).hexdigest()
        if found != source.sha256:
            raise InputError(
                f"{mask(source.url)}: sha256 is {found}, not {source.sha256}",
                hint="the file has changed, or the sha256 belongs to another file",
            )
        write_atomic(path, data)
    return path


def fetch_all(sources: Sequence[Remote], runner: Runner) -> list[Path]:
    """Return the paths of `sources` in the cache, in their order; several are downloaded at once.

    Raises:
        InputError, RemoteError: as `fetch`, for the first that fails.
    """
    if any(source.url.startswith("pypi:") and not place_in_cache(source).is_file() for source in sources):
        # Once, before the threads do.
        pip_settings(runner)
    pool = ThreadPoolExecutor(AT_ONCE)
    try:
        return list(pool.map(lambda source: fetch(source, runner), sources))
    finally:
        pool.shutdown(cancel_futures=True)


def place_in_cache(source: Remote) -> Path:
    """Return where the cache keeps `source`, whether it is there yet or not."""
    return cache_folder("sources", source.sha256) / source.name


def _download(source: Remote, runner: Runner) -> bytes:
    scheme = urllib.parse.urlsplit(source.url).scheme
    if scheme != "pypi":
        url = _npm_address(source.url, runner) if scheme == "npm" else source.url
        try:
            return _read(url)
        except _NotThere as error:
            raise RemoteError(f"{mask(url)}: {error}", hint="is there a network?") from error
    pip = pip_settings(runner)
    indexes = f"{pip['index-url']} {pip.get('extra-index-url', '')}".split()
    reasons = []
    for index in indexes:
        try:
            return _read_from_index(index, source.name, certificates=pip.get("cert"))
        except _NotThere as error:
            reasons.append(f"{mask(index)}: {error}")
    raise RemoteError(
        f"{source.name}: {'; '.join(reasons) or 'pip has no index'}",
        hint="is there a network? `pip config list` shows the index that is asked; http_proxy counts",
    )


def _npm_address(url: str, runner: Runner) -> str:
    """Return where npm's registry has npm:///NAME/FILE; NAME may have a scope, as in @novnc/novnc.

    The registry is that of npm_config_registry, or what npm says.
    """
    registry = os.environ.get("npm_config_registry")  # noqa: SIM112 - npm's own spelling
    if not registry:
        registry = runner.run(["npm", "config", "get", "registry"]).stdout.strip()
    name, _, file = urllib.parse.urlsplit(url).path.strip("/").rpartition("/")
    return f"{registry.rstrip('/')}/{name}/-/{file}"


def _read(url: str, *, certificates: str | None = None, limit: int = http.LARGEST) -> bytes:
    try:
        return http.get(url, limit=limit, certificates=certificates, timeout=SECONDS)
    except http.HttpError as error:
        raise _NotThere(error.reason) from error


def _read_from_index(index: str, name: str, *, certificates: str | None) -> bytes:
    """Return the file `name` of the repository `index` (PEP 503, the simple repository API)."""
    project = re.match(r"(.+?)-\d", name)
    normal = re.sub(r"[-_.]+", "-", project[1] if project else name).lower()
    page = f"{index.rstrip('/')}/{normal}/"
    if page.startswith("file:"):
        page += "index.html"
    links = _Links()
    links.feed(_read(page, certificates=certificates, limit=LARGEST_PAGE).decode(errors="replace"))
    for target in links.targets:
        url = urllib.parse.urljoin(page, target)
        if urllib.parse.unquote(urllib.parse.urlsplit(url).path).rpartition("/")[2] == name:
            return _read(url, certificates=certificates)
    raise _NotThere(f"{http.without_login(page)} has no {name}")


def _default_index(runner: Runner) -> str:
    """Return the index that pip asks when nothing is set, which pip alone knows."""
    program = "from pip._internal.models.index import PyPI; print(PyPI.simple_url)"
    try:
        return runner.run([sys.executable, "-P", "-c", program]).stdout.strip()
    except CommandFailed:
        return ""


def pip_variables() -> dict[str, str]:
    """Return what of our environment is pip's own, for a pip that we start."""
    return {name: value for name, value in os.environ.items() if name.startswith("PIP_")}


def pip_settings(runner: Runner) -> Mapping[str, str]:
    """Return pip's index-url, extra-index-url and cert: of its files, and of PIP_*, which win.

    `index-url` is always there: pip's own where none is set, or empty where there is no pip.
    """
    variables = tuple(sorted(pip_variables().items()))
    if variables not in _settings:
        _settings[variables] = _ask_pip(runner)
    return _settings[variables]


def _ask_pip(runner: Runner) -> Mapping[str, str]:
    try:
        text = runner.run([sys.executable, "-P", "-m", "pip", "config", "list"], env=pip_variables()).stdout
    except CommandFailed:
        text = ""
    rows = re.findall(r"^(\S+)\.(index-url|extra-index-url|cert)='(.*)'$", text, re.MULTILINE)
    rows.sort(key=lambda row: row[0] == ":env:")
    found = {name: value for _, name, value in rows}
    return found if found.get("index-url") else {**found, "index-url": _default_index(runner)}


class _Links(HTMLParser):
    """The links of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.targets: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.targets += [value for name, value in attrs if tag == "a" and name == "href" and value]
