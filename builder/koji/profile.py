# SPDX-License-Identifier: MIT
"""The profile that names a hub and says how to log in there, read by Koji's own library."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from builder.errors import InputError, ToolMissing
from builder.koji.faults import first_line

if TYPE_CHECKING:
    import types


@dataclass(frozen=True, kw_only=True, slots=True)
class Profile:
    """What a profile says: the addresses, and how often to ask while tasks run (seconds).

    `options` is everything that Koji's library read for it; it may hold secrets. `config` is the file that it
    was read from, where one was named.
    """

    name: str
    server: str
    weburl: str
    topurl: str | None
    poll_interval: float
    options: dict[str, Any]
    config: Path | None = None

    def task_page(self, task: int) -> str:
        """Return the address of the page that shows a task."""
        return f"{self.weburl.rstrip('/')}/taskinfo?taskID={task}"


def read_profile(name: str, config: Path | None = None) -> Profile:
    """Read a profile out of Koji's configuration files.

    Args:
        name: the section's name: `koji` for Fedora's hub.
        config: read this file instead of ~/.koji/config.

    Raises:
        InputError: there is no such profile, or a value of it is not valid.
        ToolMissing: Koji's library is not installed.
    """
    koji = library()
    try:
        options = koji.read_config(name, user_config=None if config is None else str(config))
    except koji.ConfigurationError as error:
        known = ", ".join(sorted(_sections(koji, config).sections())) or "none"
        raise InputError(
            f"koji profile {name}: {first_line(error)}",
            hint=f"profiles of /etc/koji.conf, /etc/koji.conf.d and ~/.koji/config: {known}",
        ) from error
    # The library takes a password from the command line only, where every user of the host could read it.
    section = _sections(koji, config)[name]
    options |= {word: section[word] for word in ("user", "password") if word in section}
    return Profile(
        name=name,
        server=options["server"],
        weburl=options["weburl"],
        topurl=options["topurl"],
        poll_interval=max(1.0, float(options["poll_interval"])),
        options=options,
        config=config,
    )


def library() -> types.ModuleType:
    """Import Koji's library.

    Raises:
        ToolMissing: it is not installed.
    """
    try:
        import koji
    except ModuleNotFoundError as error:
        raise ToolMissing(
            f"Koji's Python library is not installed: {error}", hint="run make setup-koji, or install koji"
        ) from error
    # We report retries ourselves.
    logging.getLogger("koji").addHandler(logging.NullHandler())
    logging.getLogger("koji").propagate = False
    module: types.ModuleType = koji
    return module


def _sections(koji: Any, config: Path | None) -> Any:
    """Return all profiles that the configuration files have, in the order that the library reads them."""
    files: list[Any] = ["/etc/koji.conf.d", "/etc/koji.conf"]
    if config is not None:
        files.append((str(config), True))
    else:
        files += [str(Path(name).expanduser()) for name in ("~/.koji/config.d", "~/.koji/config")]
    return koji.read_config_files(files, raw=True)
