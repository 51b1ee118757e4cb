# SPDX-License-Identifier: MIT
"""A hub: the profile that names it, the login, and calls whose failures are ours to explain.

Profiles, authentication and the wire format come from Koji's own library. Two kinds of calls are kept
apart: a question may be asked again when the connection breaks; a submission may not, since nobody knows
whether the first one arrived (`Hub.submit` and its caller find out by asking).
"""

from __future__ import annotations

import contextlib
import io
import logging
import re
import ssl
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.parsers.expat import ExpatError

from builder.errors import BuildError, InputError, RemoteError, ToolMissing

if TYPE_CHECKING:
    import types

# A hub that restarts is back within a minute or so; the library's own default is ten minutes of silence.
QUESTIONS = 6
PAUSE = 2.0
PAUSE_MOST = 20.0


class Lost(Exception):
    """The connection broke during a submission: it may have arrived, or not."""


@dataclass(frozen=True, slots=True)
class Call:
    """One call of the hub's API as `--dry-run` prints it: method and arguments."""

    method: str
    arguments: tuple[Any, ...] = ()

    def __str__(self) -> str:
        return f"{self.method}({', '.join(map(repr, self.arguments))})"


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
            f"koji profile {name}: {_first_line(error)}",
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


class Hub:
    """A session with a hub.

    Args:
        profile: which hub, and how to log in there.
        pause: called with the seconds to wait before a question is asked again.
    """

    def __init__(self, profile: Profile, *, pause: Callable[[float], None] = time.sleep) -> None:
        koji = library()
        self.profile = profile
        self._koji = koji
        self._pause = pause
        options = koji.grab_session_options(profile.options)
        # Retries are made here, where a query can be distinguished from a submission.
        options |= {"max_retries": 0, "retry_interval": 0, "anon_retry": False, "offline_retry": False}
        self._session = koji.ClientSession(profile.server, options)

    def login(self) -> str:
        """Log in as the profile says; return the user's name.

        Raises:
            RemoteError: the hub does not answer or does not let us in.
        """
        self._retried("login", self._activate, attempts=2)
        user = self.ask("getLoggedInUser")
        if not user:
            raise RemoteError(
                f"{self.profile.server}: the profile {self.profile.name} does not log in",
                hint="set authtype in the profile: kerberos, ssl or password",
            )
        return str(user["name"])

    def _activate(self) -> None:
        """Log in by the library, whose messages go to the terminal and whose failure is an exit."""
        from koji_cli.lib import activate_session

        said = io.StringIO()
        with contextlib.redirect_stderr(said), contextlib.redirect_stdout(said):
            try:
                activate_session(self._session, self.profile.options)
            except SystemExit as error:
                reason = said.getvalue().strip().splitlines()
                raise RemoteError(
                    f"{self.profile.server}: {reason[-1] if reason else 'unable to log in'}",
                    hint=f"see authtype of the profile {self.profile.name}; kinit for Kerberos",
                ) from error

    def ask(self, method: str, *arguments: Any, **keywords: Any) -> Any:
        """Call a method that changes nothing; asked again when the connection breaks.

        Raises:
            RemoteError: the hub refused, or did not answer several times in a row.
        """
        return self._retried(method, lambda: self._session._callMethod(method, arguments, keywords))

    def ask_all(self, calls: Sequence[Call]) -> list[Any]:
        """Make several calls that change nothing in one request; return their answers.

        Raises:
            RemoteError: the hub refused one of them, or did not answer.
        """
        if not calls:
            return []

        def request() -> list[Any]:
            with self._session.multicall(strict=True) as batch:
                answers = [getattr(batch, call.method)(*call.arguments) for call in calls]
            return [answer.result for answer in answers]

        answers: list[Any] = self._retried(calls[0].method, request)
        return answers

    def upload(self, path: Path, folder: str, progress: Callable[[int, int], None] | None = None) -> str:
        """Upload a file into a folder of the hub's work area; return its path there.

        Each chunk, and the whole, is compared by checksum (the library's fastUpload). An upload that broke
        is begun again: it overwrites itself.

        Args:
            progress: called with the bytes sent and the bytes of the file.
        """

        def show(sent: int, total: int, _size: int, _lap: float, _all: float) -> None:
            if progress is not None:
                progress(sent, total)

        self._retried("upload", lambda: self._session.uploadWrapper(str(path), folder, callback=show))
        return f"{folder}/{path.name}"

    def submit(self, call: Call) -> Any:
        """Make a call that changes something, once.

        Raises:
            Lost: the connection broke; the call may have arrived.
            RemoteError: the hub refused.
        """
        try:
            with self._explained(call.method):
                return self._session._callMethod(call.method, call.arguments, {}, retry=False)
        except _Broken as error:
            raise Lost(str(error)) from error

    def open(self, url: str, offset: int) -> RemoteFile:
        """Open a file of the hub's file server, from `offset` on where the server can.

        The library's own HTTP session is used: the profile's certificates count here too.

        Raises:
            RemoteError: it is not there, or the server does not answer.
        """

        def request() -> RemoteFile:
            headers = {"Range": f"bytes={offset}-"} if offset else {}
            verify = self.profile.options.get("serverca") or True
            timeout = self.profile.options.get("timeout") or 60
            answer = self._session.rsession.get(
                url, headers=headers, stream=True, verify=verify, timeout=timeout
            )
            if answer.status_code == 416:
                return RemoteFile(answer, resumed=True, ended=True)
            answer.raise_for_status()
            return RemoteFile(answer, resumed=answer.status_code == 206 or not offset)

        answer: RemoteFile = self._retried(url, request)
        return answer

    def _retried(self, method: str, function: Callable[[], Any], *, attempts: int = QUESTIONS) -> Any:
        wait = PAUSE
        for attempt in range(1, attempts + 1):
            try:
                with self._explained(method):
                    return function()
            except _Broken as error:
                if attempt == attempts:
                    raise RemoteError(
                        f"{self.profile.server}: {error}",
                        hint=f"is the hub of the profile {self.profile.name} up? "
                        "see its server line in Koji's configuration",
                    ) from error
            self._pause(wait)
            wait = min(2 * wait, PAUSE_MOST)
        raise AssertionError("unreachable")

    @contextlib.contextmanager
    def _explained(self, method: str) -> Iterator[None]:
        """Turn what the library raises into one clear error, or into `_Broken`."""
        import requests

        koji, server = self._koji, self.profile.server
        try:
            yield
        except BuildError:
            raise
        except requests.exceptions.SSLError as error:
            raise RemoteError(
                f"{server}: the certificate is not trusted: {_reason(error)}",
                hint="set serverca in the profile",
            ) from error
        except (requests.exceptions.ConnectionError, requests.exceptions.Timeout) as error:
            raise _Broken(_reason(error)) from error
        except requests.exceptions.HTTPError as error:
            status = error.response.status_code if error.response is not None else 0
            if status >= 500:
                raise _Broken(f"HTTP {status}") from error
            raise RemoteError(
                f"{server}: HTTP {status}", hint="is this the address of a hub? it ends in /kojihub"
            ) from error
        except (requests.exceptions.RequestException, ssl.SSLError, OSError) as error:
            raise _Broken(_reason(error)) from error
        except koji.ServerOffline as error:
            raise _Broken(f"the hub is offline: {_first_line(error)}") from error
        except koji.RetryError as error:
            # The hub saw this call before: the first answer was lost on the way.
            raise _Broken(_first_line(error)) from error
        except koji.ActionNotAllowed as error:
            raise RemoteError(
                f"{server}: {method} is not allowed: {_first_line(error)}",
                hint="ask the hub's administrators for the permission",
            ) from error
        except koji.AuthError as error:
            raise RemoteError(
                f"{server}: the login failed: {_first_line(error)}",
                hint=f"see authtype, principal and cert of the profile {self.profile.name}",
            ) from error
        except koji.GenericError as error:
            raise RemoteError(f"{server}: {method}: {_first_line(error)}") from error
        except (ExpatError, ValueError, TypeError, KeyError) as error:
            raise RemoteError(
                f"{server}: {method}: the answer is not a Koji hub's ({type(error).__name__})",
                hint="is this the address of a hub? it ends in /kojihub",
            ) from error


class RemoteFile:
    """The bytes of a file that is being downloaded; `resumed` when they begin where they were asked to."""

    def __init__(self, answer: Any, *, resumed: bool, ended: bool = False) -> None:
        self._answer = answer
        self._ended = ended
        self.resumed = resumed

    def __enter__(self) -> RemoteFile:
        return self

    def __exit__(self, *_error: object) -> None:
        self._answer.close()

    def read(self, size: int) -> bytes:
        """Return up to `size` bytes, none at the end.

        Raises:
            RemoteError: the connection broke.
        """
        if self._ended:
            return b""
        try:
            data: bytes = self._answer.raw.read(size)
        except Exception as error:
            raise RemoteError(
                f"{self._answer.url}: {_reason(error)}", hint="fetch again: it goes on where it stopped"
            ) from error
        return data


class _Broken(Exception):
    """The connection broke, or the hub is down for a moment."""


def _sections(koji: Any, config: Path | None) -> Any:
    """Return all profiles that the configuration files have, in the order that the library reads them."""
    files: list[Any] = ["/etc/koji.conf.d", "/etc/koji.conf"]
    if config is not None:
        files.append((str(config), True))
    else:
        files += [str(Path(name).expanduser()) for name in ("~/.koji/config.d", "~/.koji/config")]
    return koji.read_config_files(files, raw=True)


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


def _reason(error: Exception) -> str:
    """Return the innermost reason of a failed connection, without the layers around it."""
    inner: BaseException = error
    seen = 0
    while seen < 10:
        seen += 1
        below = getattr(inner, "reason", None) or next(
            (value for value in inner.args if isinstance(value, BaseException)), None
        )
        if not isinstance(below, BaseException):
            break
        inner = below
    text = str(getattr(inner, "strerror", None) or inner).strip().rpartition(": ")[2]
    return re.sub(r"^\[Errno \d+\] ", "", text).rstrip(".").lower() or type(error).__name__
